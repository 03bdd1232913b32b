"""How the cost of an extraction grows: with images, threads, batches and taps."""
import statistics

from datasets import photographs, small_images, small_network
from measure import extract, table

RESNET18 = ["--backbone", "resnet18", "--weights", "random:0"]


def typical(args, *command):
    """Medians over the rounds of what a run tells."""
    runs = [extract(args, *command) for _ in range(args.rounds)]
    return {key: statistics.median(run[key] for run in runs) for key in ("rate", "process_seconds", "peak_mb")}


def bench_images(args, out):
    rows = []
    for count in (400, 4000, 60000):
        cost = typical(args, small_images(args, out), out / "growth.h5", *small_network(args), "--sample", count)
        rows.append([f"{count:,} images", cost["rate"], cost["process_seconds"], cost["peak_mb"]])
    return table("images: small JPEG files through a ResNet-18 of a quarter of the width, 96 pixels",
                 ["", "images/s", "seconds in all", "peak MB"], rows)


def bench_workers(args, out):
    """Of a network that the processor is busy with, and of one that waits for images."""
    folder, rows = photographs(args, out), []
    for workers in (1, 2, 4):
        large = typical(args, folder, out / "growth.h5", *RESNET18, "--workers", workers)
        small = typical(args, folder, out / "growth.h5", *small_network(args), "--workers", workers)
        rows.append([f"--workers {workers}", large["rate"], small["rate"], large["peak_mb"]])
    return table("decoding threads: photographs, images/s",
                 ["", "ResNet-18, 224 pixels", "a quarter of it, 96 pixels", "peak MB of ResNet-18"], rows)


def bench_batches(args, out):
    folder, rows = photographs(args, out), []
    for batch in (1, 2, 4, 8, 16, 32, 64, 128):
        cost = typical(args, folder, out / "growth.h5", *RESNET18, "--batch", batch)
        rows.append([f"--batch {batch}", cost["rate"], cost["peak_mb"]])
    return table("batch: photographs through ResNet-18", ["", "images/s", "peak MB"], rows)


def bench_taps(args, out):
    """Four taps in one pass, and each in a pass of its own."""
    folder, taps = photographs(args, out), ["avgpool", "layer2", "layer3", "layer4"]
    costs = {tap: typical(args, folder, out / "growth.h5", *RESNET18, "--tap", tap) for tap in taps}
    together = typical(args, folder, out / "growth.h5", *RESNET18, "--tap", ",".join(taps))
    apart = sum(cost["process_seconds"] for cost in costs.values())
    rows = [[f"--tap {tap}", cost["rate"], cost["process_seconds"], cost["peak_mb"]] for tap, cost in costs.items()]
    rows += [["these four runs", None, apart, max(cost["peak_mb"] for cost in costs.values())],
             ["--tap " + ",".join(taps), together["rate"], together["process_seconds"], together["peak_mb"]]]
    entry = table("taps: photographs through ResNet-18", ["", "images/s", "seconds in all", "peak MB"], rows)
    ratio = apart / together["process_seconds"]
    print(f"  {'four runs / one pass':44} {ratio:9.2f}x")
    return {**entry, "ratios": {"four runs / one pass": ratio}}


def bench_growth(args, out):
    return [bench_images(args, out), bench_workers(args, out), bench_batches(args, out), bench_taps(args, out)]
