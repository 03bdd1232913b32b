#!/usr/bin/env python3
"""Our commands and their peers, alternating in one run, as medians and ratios.

usage: bench.py --build BUILD_DIR --out WORK_DIR [--data FOLDER] [--rounds N] [--only extract|heads|streaming]

--data holds hymenoptera_data/train, or is itself a folder of class folders;
without it 244 JPEG files of 500x400 pixels are made. Absolute times of a busy
machine mean little: every claim is a ratio of two medians from one run.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

import h5py
import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent


def run(command, environment=None):
    """Wall seconds and what it wrote; a failing command ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return seconds, done.stdout + done.stderr


def number(pattern, text):
    match = re.search(pattern, text)
    if not match:
        sys.exit(f"no {pattern!r} in:\n{text[-2000:]}")
    return float(match.group(1))


def alternate(contenders, rounds):
    """{name: function} -> {name: [figures]}, one of each in turn."""
    figures = {name: [] for name in contenders}
    for index in range(rounds):
        for name, function in contenders.items():
            figures[name].append(function())
            print(f"  round {index + 1} {name}: {figures[name][-1]:.3f}", file=sys.stderr, flush=True)
    return figures


def photographs(args, out):
    """A folder of class folders with some 250 photographs."""
    if args.data:
        data = pathlib.Path(args.data)
        for folder in (data / "hymenoptera_data" / "train", data / "train", data):
            if folder.is_dir():
                return folder
        sys.exit(f"--data {data}: no such folder")
    folder = out / "photographs"
    generator = np.random.default_rng(0)
    for index in range(244):
        path = folder / f"class{index % 2}" / f"{index:03d}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        # Smooth shapes with some texture: JPEG sizes like a photograph's.
        small = generator.integers(0, 256, (12, 15, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(small).resize((500, 400), Image.BICUBIC), dtype=np.int16)
        pixels = pixels + generator.integers(-12, 13, pixels.shape, dtype=np.int16)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)
    return folder


def bench_extract(args, out):
    folder = photographs(args, out)
    extract = pathlib.Path(args.build) / "bin" / "extract"
    peer = HERE / "peer_extract.py"

    def ours(*flags):
        def once():
            _, text = run([extract, folder, "-o", out / "bench.h5", "--backbone", "resnet18", "--weights",
                           "random:0", "--force", *flags])
            return number(r"([0-9.]+) images/s", text)
        return once

    def theirs(*flags):
        def once():
            _, text = run([sys.executable, peer, folder, out / "peer.h5", *flags])
            return number(r"images_per_s ([0-9.]+)", text)
        return once

    contenders = {
        "extract fp32": ours(),
        "seeds' way, 0 workers": theirs(),
        "seeds' way, 2 workers": theirs("--workers", "2"),
        "tuned fp32": theirs("--channels-last", "--fuse", "--workers", "1"),
        "extract bf16": ours("--precision", "bf16"),
        "tuned bf16": theirs("--channels-last", "--fuse", "--workers", "1", "--bf16"),
    }
    if not has_bf16():
        contenders = {name: function for name, function in contenders.items() if "bf16" not in name}
    figures = alternate(contenders, args.rounds)
    median = {name: statistics.median(values) for name, values in figures.items()}
    seeds = max(median["seeds' way, 0 workers"], median["seeds' way, 2 workers"])
    ratios = {
        "extract fp32 / seeds' way": median["extract fp32"] / seeds,
        "extract fp32 / tuned fp32": median["extract fp32"] / median["tuned fp32"],
    }
    if "extract bf16" in median:
        ratios["extract bf16 / seeds' way"] = median["extract bf16"] / seeds
        ratios["extract bf16 / tuned bf16"] = median["extract bf16"] / median["tuned bf16"]
    return report(f"stage one: ResNet-18, photographs in {folder.name}/, images/s (more is better)", figures, ratios)


def has_bf16():
    return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


def write_features(out, name, features, labels):
    """The first 50,000 rows to train on, the rest to validate, as .npz and as a cache."""
    archive, cache = out / f"{name}.npz", out / f"{name}.h5"
    train, val = slice(0, 50000), slice(50000, None)
    np.savez(archive, X=features[train], Y=labels[train], Xt=features[val], Yt=labels[val])
    with h5py.File(cache, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file.create_dataset("features/avgpool", data=features, chunks=(512, 512))
        file.create_dataset("targets/class", data=labels.astype("i4"))
        file["targets/class"].attrs["kind"] = "class"
        file.create_dataset("samples/split", data=(np.arange(len(labels)) >= 50000).astype("u1"))


def feature_files(out, name="features"):
    """60,000 x 512 features of 10 classes. "features": round clouds. "correlated": as networks give them: none below 0,
    most of the variance in few directions."""
    archive, cache = out / f"{name}.npz", out / f"{name}.h5"
    if archive.exists() and cache.exists():
        return archive, cache
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(10, 512)).astype("f4")
    labels = generator.integers(0, 10, 60000)
    noise = generator.normal(size=(60000, 512)).astype("f4")
    if name == "features":
        features = noise + 0.08 * centres[labels]
    else:
        spectrum = 8 * np.arange(1, 513, dtype="f4") ** -0.8
        turn = np.linalg.qr(generator.normal(size=(512, 512)))[0].astype("f4")
        features = np.maximum((spectrum * (noise + 0.09 * centres[labels])) @ turn + 0.3, 0)
    write_features(out, name, features.astype("f2"), labels)
    return archive, cache


def bench_heads(args, out):
    archive, cache = feature_files(out)
    train = pathlib.Path(args.build) / "bin" / "train"
    result = out / "head.json"
    seeds_run = ["--optimizer", "adam", "--lr", "1e-3", "--epochs", "5", "--batch", "64", "--normalize", "none"]
    accuracy = {}

    def ours():
        seconds, _ = run([train, cache, *seeds_run, "-q", "--json", result])
        accuracy["train"] = json.loads(result.read_text())["val"]["accuracy"]
        return seconds

    def theirs(*flags):
        def once():
            seconds, text = run([sys.executable, HERE / "peer_heads.py", archive, *flags])
            accuracy["PyTorch"] = number(r"val_acc ([0-9.]+)", text)
            return seconds
        return once

    figures = alternate({
        "train": ours,
        "PyTorch, DataLoader": theirs("--loader"),
        "PyTorch, index batches": theirs(),
    }, args.rounds)
    median = {name: statistics.median(values) for name, values in figures.items()}
    ratios = {
        "PyTorch, DataLoader / train": median["PyTorch, DataLoader"] / median["train"],
        "PyTorch, index batches / train": median["PyTorch, index batches"] / median["train"],
    }
    title = "stage two: one head, 50,000 x 512, Adam, batch 64, 5 epochs, whole process, seconds (less is better)"
    print(f"validation accuracy: train {accuracy['train']:.4f}, PyTorch {accuracy['PyTorch']:.4f}", file=sys.stderr)
    return {**report(title, figures, ratios), "val_accuracy": accuracy}


def ceiling(args):
    """GFLOP/s that all cores could do with their multiply-adds in registers."""
    _, text = run([pathlib.Path(args.build) / "tests" / "bench_kernels"])
    return number(r"ceiling, [^:]*: ([0-9.]+) GFLOP/s", text) * len(os.sched_getaffinity(0))


def bench_many_heads(args, out):
    """64 heads: ours side by side, PyTorch's one after the other (8 of them, times 8)."""
    archive, cache = feature_files(out)
    train = pathlib.Path(args.build) / "bin" / "train"
    sweep = ["--optimizer", "adam", "--epochs", "5", "--batch", "64", "--normalize", "none",
             "--sweep", "lr=1e-4..1e-2:log8", "--sweep", "weight-decay=0,1e-6,1e-5,1e-4,3e-4,1e-3,3e-3,1e-2"]

    result, rates = out / "sweep.json", []

    def ours():
        seconds, _ = run([train, cache, *sweep, "-q", "--json", result])
        products = 5 * 2 * 512 * 640 * (2 * 50000 + 10000)  # forward and backward, validation
        rates.append(products / json.loads(result.read_text())["seconds"]["train"] / 1e9)
        return seconds

    def theirs():
        _, text = run([sys.executable, HERE / "peer_heads.py", archive, "--heads", "8"])
        loop, process = number(r"seconds ([0-9.]+)", text), number(r"process ([0-9.]+)", text)
        return process - loop + 8 * loop

    figures = alternate({"train --sweep": ours, "PyTorch, index batches": theirs}, args.rounds)
    median = {name: statistics.median(values) for name, values in figures.items()}
    title = "stage two: 64 heads, the same otherwise, whole process, seconds"
    rate, most = statistics.median(rates), ceiling(args)
    results = report(title, figures,
                     {"PyTorch / train --sweep": median["PyTorch, index batches"] / median["train --sweep"]})
    print(f"  training: {rate:.0f} GFLOP/s in the products alone; these cores' ceiling is {most:.0f}")
    return {**results, "gflops": rate, "ceiling_gflops": most}


def bench_optimum(args, out):
    """Softmax regression to its optimum: L-BFGS of ours and of scikit-learn, C = 1."""
    train, results = pathlib.Path(args.build) / "bin" / "train", []
    for name, rounds in (("features", args.rounds), ("correlated", 1)):
        archive, cache = feature_files(out, name)
        result, objective = out / "optimum.json", {}

        def ours(cache=cache, objective=objective):
            seconds, _ = run([train, cache, "--optimizer", "lbfgs", "--normalize", "none", "--weight-decay", "2e-5",
                              "-q", "--json", result])
            objective["train"] = json.loads(result.read_text())["lbfgs"]["objective"]
            return seconds

        def theirs(archive=archive, objective=objective):
            _, text = run([sys.executable, HERE / "peer_heads.py", archive, "--sklearn"])
            objective["scikit-learn"] = number(r"objective ([0-9.]+)", text)
            return number(r"seconds ([0-9.]+)", text)

        figures = alternate({"train --optimizer lbfgs": ours, "scikit-learn, fit alone": theirs}, rounds)
        median = {contender: statistics.median(values) for contender, values in figures.items()}
        relative = objective["train"] / objective["scikit-learn"] - 1
        ratios = {"scikit-learn / train": median["scikit-learn, fit alone"] / median["train --optimizer lbfgs"]}
        entry = report(f"stage two: the optimum, 50,000 x 512 {name}, 10 classes, seconds", figures, ratios)
        print(f"  objective: train {objective['train']:.8f}, scikit-learn {objective['scikit-learn']:.8f} ({relative:+.1e})")
        results.append({**entry, "objective": objective})
    return results


def bench_finetune(args, out):
    """An epoch of layer4 + fc, and of a VGG-16 from features.24 on: from cached maps, and the seeds' way."""
    folder, build, results = photographs(args, out), pathlib.Path(args.build) / "bin", []
    for arch, node, taps, rounds in (("resnet18", "layer4", "avgpool,layer3", args.rounds),
                                     ("vgg16", "features.24", "features.23", 1)):
        cache, result = out / f"finetune_{arch}.h5", out / "finetune.json"
        run([build / "extract", folder, "-o", cache, "--backbone", arch, "--weights", "random:0", "--tap", taps])
        shares = []

        def ours(*flags, cache=cache, node=node, shares=shares):
            def once():
                run([build / "train", cache, "--finetune", node, "--optimizer", "adam", "--lr", "1e-4", "--epochs", "2",
                     "--val", "0", "-q", "--json", result, *flags])
                seconds = json.loads(result.read_text())["seconds"]
                parts = {part: seconds[part] for part in ("read", "forward", "backward", "step")}
                shares.append(parts)
                rows = json.loads(result.read_text())["train"]["rows"]
                return 2 * rows / sum(parts.values())
            return once

        def theirs(*flags, arch=arch):
            def once():
                _, text = run([sys.executable, HERE / "peer_finetune.py", folder, "--arch", arch, *flags])
                return number(r"images_per_s ([0-9.]+)", text)
            return once

        contenders = {"train --finetune": ours(), "train --finetune, norms learn": ours("--batch-norm", "learn"),
                      "train --finetune, bf16": ours("--precision", "bf16"), "seeds' loop": theirs()}
        if arch == "vgg16":  # which has no norms
            del contenders["train --finetune, norms learn"]
        if not has_bf16():
            del contenders["train --finetune, bf16"]
        figures = alternate(contenders, rounds)
        median = {name: statistics.median(values) for name, values in figures.items()}
        ratios = {f"{name} / seeds' loop": median[name] / median["seeds' loop"] for name in median if "seeds" not in name}
        entry = report(f"stage three: {arch} from {node} on, an epoch, images/s (more is better)", figures, ratios)
        total = sum(shares[0].values())
        print("  of its time: " + ", ".join(f"{part} {100 * value / total:.0f} %" for part, value in shares[0].items()))
        results.append({**entry, "shares": shares})
    return results


def bench_streaming(args, out):
    """Features in memory and streamed through a quarter of what they take, one head and 64."""
    build, results = pathlib.Path(args.build), []
    for rows, features in ((60000, 512), (240000, 1024)):
        cache = out / f"stream_{rows}x{features}.h5"
        if not cache.exists():
            run([build / "tests" / "make_large_cache", cache, str(rows), str(features), "zstd"])
        settings = ["--optimizer", "adam", "--epochs", "5", "--batch", "64", "-q"]
        sweep = ["--sweep", "lr=1e-4..1e-2:log8", "--sweep", "weight-decay=0,1e-6,1e-5,1e-4,3e-4,1e-3,3e-3,1e-2"]

        def trains(memory, *flags, cache=cache, settings=settings):
            return lambda: run([build / "bin" / "train", cache, *settings, *flags, "--memory", str(memory)])[0]

        table = rows * features * 4
        figures = alternate({
            "one head, in memory": trains(table), "one head, streamed": trains(table // 4),
            "64 heads, in memory": trains(table, *sweep), "64 heads, streamed": trains(table // 4, *sweep),
        }, args.rounds)
        median = {name: statistics.median(values) for name, values in figures.items()}
        ratios = {f"{heads}, streamed / in memory": median[f"{heads}, streamed"] / median[f"{heads}, in memory"]
                  for heads in ("one head", "64 heads")}
        title = f"stage two: {rows:,} x {features} f16 through a quarter of their memory, whole process, seconds"
        results.append(report(title, figures, ratios))
    return results


def report(title, figures, ratios):
    print(f"\n{title}")
    print(f"  {'':32} {'median':>9} {'min':>9} {'max':>9}")
    for name, values in figures.items():
        print(f"  {name:32} {statistics.median(values):9.3f} {min(values):9.3f} {max(values):9.3f}")
    for name, ratio in ratios.items():
        print(f"  {name:32} {ratio:9.2f}x")
    return {"title": title, "figures": figures, "ratios": ratios}


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    import torch
    return {"cpu": model.group(1) if model else platform.processor(), "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(), "torch": torch.__version__, "h5py": h5py.__version__}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--data", default=os.environ.get("PERMAFROST_DATA"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["extract", "heads", "finetune", "streaming"])
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine()}
    print(json.dumps(results["machine"]))
    if args.only in (None, "extract"):
        results["extract"] = bench_extract(args, out)
    if args.only in (None, "heads"):
        results["heads"] = bench_heads(args, out)
        results["many_heads"] = bench_many_heads(args, out)
        results["optimum"] = bench_optimum(args, out)
    if args.only in (None, "finetune"):
        results["finetune"] = bench_finetune(args, out)
    if args.only == "streaming":
        results["streaming"] = bench_streaming(args, out)
    (out / "bench.json").write_text(json.dumps(results, indent=1))
    print(f"\nall figures: {out / 'bench.json'}")


if __name__ == "__main__":
    main()
