"""Stage one: image files to a cache of features; ours and the peers' ways."""
import sys

from datasets import photographs
from measure import HERE, alternate, extract, has_bf16, medians, number, report, run

TUNED = ["--channels-last", "--fuse", "--workers", "1"]


def rates(args, out, folder, arch, tap="avgpool"):
    """ours(flags), theirs(flags): functions that run once and return images/s."""
    def ours(*flags):
        return lambda: extract(args, folder, out / "bench.h5", "--backbone", arch, "--weights", "random:0", "--tap", tap,
                               *flags)["rate"]

    def theirs(*flags):
        def once():
            _, text = run([sys.executable, HERE / "peer_extract.py", folder, out / "peer.h5", "--arch", arch, "--tap", tap, *flags])
            return number(r"images_per_s ([0-9.]+)", text)
        return once

    return ours, theirs


def without_bf16(contenders):
    """Those that this processor can run."""
    return contenders if has_bf16() else {name: once for name, once in contenders.items() if "bf16" not in name}


def against_tuned(median):
    return {f"extract {precision} / tuned {precision}": median[f"extract {precision}"] / median[f"tuned {precision}"]
            for precision in ("fp32", "bf16") if f"extract {precision}" in median}


def bench_resnet18(args, out):
    folder = photographs(args, out)
    ours, theirs = rates(args, out, folder, "resnet18")
    figures = alternate(without_bf16({
        "extract fp32": ours(),
        "seeds' way, 0 workers": theirs(),
        "seeds' way, 2 workers": theirs("--workers", "2"),
        "tuned fp32": theirs(*TUNED),
        "extract bf16": ours("--precision", "bf16"),
        "tuned bf16": theirs(*TUNED, "--bf16"),
    }), args.rounds)
    median = medians(figures)
    seeds = max(median["seeds' way, 0 workers"], median["seeds' way, 2 workers"])
    ratios = {f"{name} / seeds' way": value / seeds for name, value in median.items() if name.startswith("extract")}
    title = f"ResNet-18, photographs in {folder.name}/ to HDF5, images/s (more is better)"
    return report(title, figures, {**ratios, **against_tuned(median)})


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
    return [bench_resnet18(args, out), bench_other(args, out, "vgg16", "VGG-16"),
            bench_other(args, out, "resnet50", "ResNet-50")]


def bench_maps(args, out):
    """Feature maps: 50,176 values a row are compressed and written, ours by zstd, theirs by gzip."""
    return [bench_other(args, out, "resnet18", "ResNet-18's layer3 maps (256,14,14) to HDF5", "layer3")]
