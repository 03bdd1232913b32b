"""Stage one: image files to a cache of features; ours and the peers' ways."""
import sys

from datasets import photographs
from measure import HERE, alternate, extract, has_bf16, medians, number, report, run

TUNED = ["--channels-last", "--fuse", "--workers", "1"]


class Contender:
    """once() -> images/s and wall seconds of the process. Called, it gives the first and keeps the second."""

    def __init__(self, once):
        self.once = once
        self.seconds = []

    def __call__(self):
        rate, seconds = self.once()
        self.seconds.append(seconds)
        return rate


def rates(args, out, folder, arch, tap="avgpool"):
    """ours(flags), theirs(flags): contenders."""
    def ours(*flags):
        def once():
            told = extract(args, folder, out / "bench.h5", "--backbone", arch, "--weights", "random:0", "--tap", tap, *flags)
            return told["rate"], told["process_seconds"]
        return Contender(once)

    def theirs(*flags):
        def once():
            seconds, text = run([sys.executable, HERE / "peer_extract.py", folder, out / "peer.h5", "--arch", arch, "--tap", tap, *flags])
            return number(r"images_per_s ([0-9.]+)", text), seconds
        return Contender(once)

    return ours, theirs


def without_bf16(contenders):
    """Those that this processor can run."""
    return contenders if has_bf16() else {name: once for name, once in contenders.items() if "bf16" not in name}


def against_tuned(median):
    return {f"extract {precision} / tuned {precision}": median[f"extract {precision}"] / median[f"tuned {precision}"]
            for precision in ("fp32", "bf16") if f"extract {precision}" in median}


def against_seeds(median):
    seeds = max(median["seeds' way, 0 workers"], median["seeds' way, 2 workers"])
    return {f"{name} / seeds' way": value / seeds for name, value in median.items() if name.startswith("extract")}


def bench_resnet18(args, out):
    folder = photographs(args, out)
    ours, theirs = rates(args, out, folder, "resnet18")
    contenders = without_bf16({
        "extract fp32": ours(),
        "seeds' way, 0 workers": theirs(),
        "seeds' way, 2 workers": theirs("--workers", "2"),
        "tuned fp32": theirs(*TUNED),
        "extract bf16": ours("--precision", "bf16"),
        "tuned bf16": theirs(*TUNED, "--bf16"),
    })
    figures = alternate(contenders, args.rounds)
    title = f"ResNet-18, photographs in {folder.name}/ to HDF5, loading of programs and network left out"
    tables = []
    for what, each in ((f"{title}, images/s", figures), ("the same by the whole command, images/s", whole_rates(contenders, folder))):
        median = medians(each)
        tables.append(report(what, each, {**against_seeds(median), **against_tuned(median)}))
    return tables


def whole_rates(contenders, folder):
    """What somebody who waits for the command gets: images by seconds of the process."""
    count = sum(path.is_file() for path in folder.rglob("*"))
    return {name: [count / seconds for seconds in contender.seconds] for name, contender in contenders.items()}


def bench_other(args, out, arch, title, tap="avgpool"):
    """One of the slow networks, or large outputs, against the tuned peer alone."""
    folder = photographs(args, out)
    ours, theirs = rates(args, out, folder, arch, tap)
    figures = alternate(without_bf16({
        "extract fp32": ours(), "tuned fp32": theirs(*TUNED),
        "extract bf16": ours("--precision", "bf16"), "tuned bf16": theirs(*TUNED, "--bf16"),
    }), min(args.rounds, 2))
    return report(f"{title}, images/s", figures, against_tuned(medians(figures)))


def bench_extract(args, out):
    return [*bench_resnet18(args, out), bench_other(args, out, "vgg16", "VGG-16"),
            bench_other(args, out, "resnet50", "ResNet-50")]


def bench_maps(args, out):
    """Feature maps: 50,176 values a row are compressed and written, ours by zstd, theirs by gzip."""
    return [bench_other(args, out, "resnet18", "ResNet-18's layer3 maps (256,14,14) to HDF5", "layer3")]
