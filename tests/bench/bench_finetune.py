"""Stage three: a part of the network learns, ours from cached maps, the peer's from the files."""
import json
import os
import subprocess
import sys

from datasets import photographs, small_images
from measure import HERE, alternate, has_bf16, medians, number, program, report, run, table

PARTS = ("read", "forward", "backward", "step")


class OurEpochs:
    """Two epochs of train from the maps in a cache; keeps the seconds of each part."""

    def __init__(self, args, out, cache, node):
        self.command = [program(args, "train"), cache, "--finetune", node, "--optimizer", "adam", "--lr", "1e-4",
                        "--epochs", "2", "--val", "0", "-q", "--json", out / "finetune.json"]
        self.result, self.shares = out / "finetune.json", []

    def rate(self, *flags):
        def once():
            run([*self.command, *flags])
            result = json.loads(self.result.read_text())
            self.shares.append({part: result["seconds"][part] for part in PARTS})
            return 2 * result["train"]["rows"] / sum(self.shares[-1].values())
        return once

    def shares_text(self):
        total = sum(self.shares[0].values())
        return "Of its time: " + ", ".join(f"{part} {100 * value / total:.0f} %" for part, value in self.shares[0].items()) + "."


def bench_network(args, out, arch, node, taps, rounds):
    folder, cache = photographs(args, out), out / f"finetune_{arch}.h5"
    run([program(args, "extract"), folder, "-o", cache, "--backbone", arch, "--weights", "random:0", "--tap", taps])
    ours = OurEpochs(args, out, cache, node)

    def theirs():
        _, text = run([sys.executable, HERE / "peer_finetune.py", folder, "--arch", arch])
        return number(r"images_per_s ([0-9.]+)", text)

    contenders = {"train --finetune": ours.rate(), "train --finetune, norms learn": ours.rate("--batch-norm", "learn"),
                  "train --finetune, bf16": ours.rate("--precision", "bf16"), "seeds' loop": theirs}
    if arch == "vgg16":  # which has no norms
        del contenders["train --finetune, norms learn"]
    if not has_bf16():
        del contenders["train --finetune, bf16"]
    figures = alternate(contenders, rounds)
    median = medians(figures)
    ratios = {f"{name} / seeds' loop": median[name] / median["seeds' loop"] for name in median if "seeds" not in name}
    entry = report(f"{arch} from {node} on, an epoch, images/s (more is better)", figures, ratios)
    print(f"  {ours.shares_text()}")
    return {**entry, "shares": ours.shares, "notes": [ours.shares_text()]}


def bench_finetune(args, out):
    """layer4 + fc of a ResNet-18, and a VGG-16 from features.24 on."""
    return [bench_network(args, out, "resnet18", "layer4", "avgpool,layer3", args.rounds),
            bench_network(args, out, "vgg16", "features.24", "features.23", 1)]


def peak_of(command):
    """Runs it and returns the most memory that it, or this program where that is more, held, in MB."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{said[-2000:]}")
    return usage.ru_maxrss / 1e3


def bench_streamed_maps(args, out):
    """20,000 maps of 100 KB, 2 GB in half precision: an epoch from memory, and through 0.3 GB of it."""
    cache, result = out / "many_maps.h5", out / "many_maps.json"
    images = small_images(args, out)
    images = images / "train" if (images / "train").is_dir() else images
    run([program(args, "extract"), images, "-o", cache, "--sample", "20000", "--backbone", "resnet18",
         "--weights", "random:0", "--tap", "layer3"])
    rows = []
    for name, memory in (("in memory", "8G"), ("streamed", "300M")):
        peak = peak_of([program(args, "train"), cache, "--finetune", "layer4", "--epochs", "1", "--val", "0", "--memory", memory, "-q", "--json", result])
        seconds = json.loads(result.read_text())["seconds"]
        count = json.loads(result.read_text())["train"]["rows"]
        rows.append([name, count / sum(seconds[part] for part in PARTS), peak, 100 * seconds["read"] / seconds["train"],
                     seconds.get("stream_read"), seconds.get("stream_decompress")])
    entry = table(f"ResNet-18's layer4 on {count:,} maps (256,14,14), an epoch",
                  ["", "images/s", "peak MB", "waiting %", "reading s", "decompressing s"], rows)
    ratio = rows[1][1] / rows[0][1]
    print(f"  streamed / in memory {ratio:.2f}x")
    return [{**entry, "ratios": {"streamed / in memory": ratio}}]
