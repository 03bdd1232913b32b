"""Stage one on a GPU: the forward stage alone, and image files to a cache."""
import os
import sys

from datasets import photographs
from measure import HERE, alternate, extract, medians, number, report, run

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
BATCH = "256"


def gpu_name():
    import torch
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def many_photographs(args, out, copies=60):
    """So many of each, with other bytes behind the image, as extract would compute equal files once."""
    folder = out / "many_photographs"
    for source in sorted(photographs(args, out).rglob("*.jp*g")):
        place = folder / source.parent.name
        place.mkdir(parents=True, exist_ok=True)
        for index in range(copies):
            copy = place / f"{source.stem}-{index:03d}{source.suffix}"
            if not copy.exists():
                copy.write_bytes(source.read_bytes() + os.urandom(8))
    return folder


def bench_forward(args, out, arch, precision):
    tool = args.build + "/tests/bench_forward"

    def rate(*command):
        return lambda: number(r"images_per_s ([0-9.]+)", run(list(map(str, command)))[1])

    def theirs(mode):
        return rate(sys.executable, HERE / "peer_forward.py", "--arch", arch, "--precision", precision, "--batch", BATCH, "--mode", mode)

    ours = rate(tool, arch, "random:0", "avgpool", "cuda", precision, BATCH, 3)
    figures = alternate({"extract's": ours, "PyTorch, eager": theirs("eager"), "PyTorch, as a CUDA graph": theirs("graph"),
                         "PyTorch, compiled (max-autotune)": theirs("compile")}, args.rounds)
    median = medians(figures)
    ratios = {f"extract's / {name}": median["extract's"] / median[name] for name in figures if name != "extract's"}
    return report(f"{arch}, {precision}, batch {BATCH}: the forward stage alone on one {gpu_name()}, images/s", figures, ratios)


def bench_end_to_end(args, out):
    folder, cores = many_photographs(args, out), str(len(os.sched_getaffinity(0)))

    def ours(*flags):
        return lambda: extract(args, folder, out / "gpu.h5", "--backbone", "resnet18", "--weights", "random:0", "--device", "cuda",
                               *flags)["rate"]

    def theirs(*flags):
        command = [sys.executable, HERE / "peer_extract.py", folder, out / "peer.h5", "--device", "cuda", "--workers", cores,
                   "--batch", BATCH, *flags]
        return lambda: number(r"images_per_s ([0-9.]+)", run(command)[1])

    figures = alternate({"extract fp32": ours(), "extract bf16": ours("--precision", "bf16"),
                         f"DataLoader, {cores} workers, fp32": theirs(),
                         f"DataLoader, {cores} workers, tuned bf16": theirs("--channels-last", "--fuse", "--bf16")}, args.rounds)
    median = medians(figures)
    best = max(value for name, value in median.items() if name.startswith("DataLoader"))
    ratios = {f"{name} / DataLoader": value / best for name, value in median.items() if name.startswith("extract")}
    return report(f"ResNet-18 on one {gpu_name()} and {cores} cores: photographs to HDF5, images/s", figures, ratios)


def bench_gpu(args, out):
    if not gpu_name():
        print("  skipped: Python's torch finds no GPU", flush=True)
        return []
    tables = [bench_forward(args, out, "resnet18", precision) for precision in PRECISIONS]
    return [*tables, bench_forward(args, out, "resnet50", "bf16"), bench_end_to_end(args, out)]
