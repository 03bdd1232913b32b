"""How the cost of an extraction grows: with images, threads, batches and taps."""
import statistics
import sys

from datasets import photographs, small_images, small_network
from measure import extract, table

RESNET18 = ["--backbone", "resnet18", "--weights", "random:0"]


def costs(args, out, runs):
    """{name: [dataset, flags of extract...]} -> {name: medians of what the runs tell}; they take turns."""
    told = {name: [] for name in runs}
    for index in range(args.rounds):
        for name, (dataset, *flags) in runs.items():
            told[name].append(extract(args, dataset, out / "growth.h5", *flags))
            print(f"  round {index + 1} {name}: {told[name][-1]['rate']:.1f} images/s", file=sys.stderr, flush=True)
    return {name: {key: statistics.median(cost[key] for cost in all_of_it)
                   for key in ("rate", "process_seconds", "peak_mb")} for name, all_of_it in told.items()}


def bench_images(args, out):
    folder, network = small_images(args, out), small_network(args)
    found = costs(args, out, {f"{count:,} images": [folder, *network, "--sample", count] for count in (400, 4000, 60000)})
    return table("images: small JPEG files through a ResNet-18 of a quarter of the width, 96 pixels",
                 ["", "images/s", "seconds in all", "peak MB"],
                 [[name, cost["rate"], cost["process_seconds"], cost["peak_mb"]] for name, cost in found.items()])


def bench_workers(args, out):
    """Of a network that the processor is busy with, and of one that waits for images."""
    folder, small = photographs(args, out), small_network(args)
    names = {workers: f"--workers {workers}" for workers in (1, 2, 4)}
    found = costs(args, out, {
        **{name: [folder, *RESNET18, "--workers", workers] for workers, name in names.items()},
        **{name + ", small": [folder, *small, "--workers", workers] for workers, name in names.items()}})
    return table("decoding threads: photographs, images/s",
                 ["", "ResNet-18, 224 pixels", "a quarter of it, 96 pixels", "peak MB of ResNet-18"],
                 [[name, found[name]["rate"], found[name + ", small"]["rate"], found[name]["peak_mb"]] for name in names.values()])


def bench_batches(args, out):
    folder = photographs(args, out)
    found = costs(args, out, {f"--batch {batch}": [folder, *RESNET18, "--batch", batch] for batch in (1, 2, 4, 8, 16, 32, 64, 128)})
    return table("batch: photographs through ResNet-18", ["", "images/s", "peak MB"],
                 [[name, cost["rate"], cost["peak_mb"]] for name, cost in found.items()])


def bench_taps(args, out):
    """Four taps in one pass, and each in a pass of its own."""
    folder, taps = photographs(args, out), ["avgpool", "layer2", "layer3", "layer4"]
    found = costs(args, out, {f"--tap {tap}": [folder, *RESNET18, "--tap", tap] for tap in [*taps, ",".join(taps)]})
    *alone, together = found.values()
    apart = sum(cost["process_seconds"] for cost in alone)
    rows = [[name, cost["rate"], cost["process_seconds"], cost["peak_mb"]] for name, cost in found.items()]
    rows.insert(len(taps), ["these four runs", None, apart, max(cost["peak_mb"] for cost in alone)])
    entry = table("taps: photographs through ResNet-18", ["", "images/s", "seconds in all", "peak MB"], rows)
    ratio = apart / together["process_seconds"]
    print(f"  {'four runs / one pass':44} {ratio:9.2f}x")
    return {**entry, "ratios": {"four runs / one pass": ratio}}


def bench_growth(args, out):
    return [bench_images(args, out), bench_workers(args, out), bench_batches(args, out), bench_taps(args, out)]
