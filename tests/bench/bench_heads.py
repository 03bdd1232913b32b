"""Stage two: heads on features that are there."""
import json
import os
import pathlib
import sys

from datasets import feature_files
from measure import HERE, alternate, medians, number, processor_seconds, program, report, run

SWEEP = ["--sweep", "lr=1e-4..1e-2:log8", "--sweep", "weight-decay=0,1e-6,1e-5,1e-4,3e-4,1e-3,3e-3,1e-2"]
ADAM = ["--optimizer", "adam", "--epochs", "5", "--batch", "64"]


def bench_one_head(args, out):
    archive, cache = feature_files(out)
    result, accuracy = out / "head.json", {}

    def ours():
        seconds, _ = run([program(args, "train"), cache, *ADAM, "--lr", "1e-3", "--normalize", "none", "-q", "--json", result])
        accuracy["train"] = json.loads(result.read_text())["val"]["accuracy"]
        return seconds

    def theirs(*flags):
        def once():
            seconds, text = run([sys.executable, HERE / "peer_heads.py", archive, *flags])
            accuracy["PyTorch"] = number(r"val_acc ([0-9.]+)", text)
            return seconds
        return once

    figures = alternate({"train": ours, "PyTorch, DataLoader": theirs("--loader"), "PyTorch, index batches": theirs()},
                        args.rounds)
    median = medians(figures)
    ratios = {f"{name} / train": value / median["train"] for name, value in median.items() if name != "train"}
    title = "one head, 50,000 x 512, Adam, batch 64, 5 epochs, whole process, seconds (less is better)"
    return {**report(title, figures, ratios), "val_accuracy": accuracy,
            "notes": [f"Validation accuracy: train {accuracy['train']:.4f}, PyTorch {accuracy['PyTorch']:.4f}."]}


def ceiling(args):
    """GFLOP/s that all cores could do with their multiply-adds in registers."""
    _, text = run([pathlib.Path(args.build) / "tests" / "bench_kernels"])
    return number(r"ceiling, [^:]*: ([0-9.]+) GFLOP/s", text) * len(os.sched_getaffinity(0))


def bench_many_heads(args, out):
    """64 heads: ours side by side, PyTorch's one after the other (8 of them, times 8)."""
    archive, cache = feature_files(out)
    result, rates = out / "sweep.json", []

    def ours():
        seconds, _ = run([program(args, "train"), cache, *ADAM, "--normalize", "none", *SWEEP, "-q", "--json", result])
        products = 5 * 2 * 512 * 640 * (2 * 50000 + 10000)  # forward and backward, validation
        rates.append(products / json.loads(result.read_text())["seconds"]["train"] / 1e9)
        return seconds

    def theirs():
        _, text = run([sys.executable, HERE / "peer_heads.py", archive, "--heads", "8"])
        loop, process = number(r"seconds ([0-9.]+)", text), number(r"process ([0-9.]+)", text)
        return process - loop + 8 * loop

    figures = alternate({"train --sweep": ours, "PyTorch, index batches": theirs}, args.rounds)
    median = medians(figures)
    rate, most = sorted(rates)[len(rates) // 2], ceiling(args)
    entry = report("64 heads, the same otherwise, whole process, seconds", figures,
                   {"PyTorch / train --sweep": median["PyTorch, index batches"] / median["train --sweep"]})
    note = f"Training: {rate:.0f} GFLOP/s in the products alone; these cores' ceiling is {most:.0f}."
    print(f"  {note}")
    return {**entry, "gflops": rate, "ceiling_gflops": most, "notes": [note]}


def bench_heads(args, out):
    return [bench_one_head(args, out), bench_many_heads(args, out)]


def bench_one_optimum(args, out, name, rounds):
    archive, cache = feature_files(out, name)
    result, objective = out / "optimum.json", {}

    def ours():
        seconds, _ = run([program(args, "train"), cache, "--optimizer", "lbfgs", "--normalize", "none", "--weight-decay", "2e-5",
                          "-q", "--json", result])
        objective["train"] = json.loads(result.read_text())["lbfgs"]["objective"]
        return seconds

    def theirs():
        _, text = run([sys.executable, HERE / "peer_heads.py", archive, "--sklearn"])
        objective["scikit-learn"] = number(r"objective ([0-9.]+)", text)
        return number(r"seconds ([0-9.]+)", text)

    figures = alternate({"train --optimizer lbfgs": ours, "scikit-learn, fit alone": theirs}, rounds)
    median = medians(figures)
    entry = report(f"the optimum, 50,000 x 512 {name}, 10 classes, seconds", figures,
                   {"scikit-learn / train": median["scikit-learn, fit alone"] / median["train --optimizer lbfgs"]})
    relative = objective["train"] / objective["scikit-learn"] - 1
    note = f"Objective: train {objective['train']:.8f}, scikit-learn {objective['scikit-learn']:.8f} ({relative:+.1e})."
    print(f"  {note}")
    return {**entry, "objective": objective, "notes": [note]}


def bench_optimum(args, out):
    """Softmax regression to its optimum: L-BFGS of ours and of scikit-learn, C = 1."""
    return [bench_one_optimum(args, out, "features", args.rounds), bench_one_optimum(args, out, "correlated", 1)]


def bench_one_stream(args, out, rows, features):
    """In memory, and through a quarter of what they take, one head and 64."""
    cache = out / f"stream_{rows}x{features}.h5"
    if not cache.exists():
        run([pathlib.Path(args.build) / "tests" / "make_large_cache", cache, str(rows), str(features), "zstd"])

    def trains(memory, *flags):
        return lambda: processor_seconds([program(args, "train"), cache, *ADAM, "-q", *flags, "--memory", str(memory)])

    whole = rows * features * 4
    figures = alternate({
        "one head, in memory": trains(whole), "one head, streamed": trains(whole // 4),
        "64 heads, in memory": trains(whole, *SWEEP), "64 heads, streamed": trains(whole // 4, *SWEEP),
    }, args.rounds)
    median = medians(figures)
    ratios = {f"{heads}, streamed / in memory": median[f"{heads}, streamed"] / median[f"{heads}, in memory"]
              for heads in ("one head", "64 heads")}
    return report(f"{rows:,} x {features} f16 through a quarter of their memory, whole process, processor seconds", figures, ratios)


def bench_streaming(args, out):
    return [bench_one_stream(args, out, 60000, 512), bench_one_stream(args, out, 200000, 1024)]
