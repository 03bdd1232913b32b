"""Stage three: a part of the network learns, ours from cached maps, the peer's from the files."""
import json
import sys

from datasets import photographs
from measure import HERE, alternate, has_bf16, medians, number, program, report, run

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
