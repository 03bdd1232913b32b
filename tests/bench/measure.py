"""What every part of the benchmark shares: running, alternating, and tables as text, JSON and Markdown.

A table is a dictionary: {"title", "columns", "rows"}, rows beginning with a name; a comparison has "figures" (all of
them, by name) and "ratios" as well.
"""
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def run(command, environment=None):
    """Wall seconds and what it wrote; a failing command ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return seconds, done.stdout + done.stderr


def processor_seconds(command):
    """Of a command that does not fail, its threads summed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def number(pattern, text):
    match = re.search(pattern, text)
    if not match:
        sys.exit(f"no {pattern!r} in:\n{text[-2000:]}")
    return float(match.group(1).replace(",", ""))


def program(args, name):
    return pathlib.Path(args.build) / "bin" / name


def extract(args, dataset, cache, *flags, environment=None):
    """A run of extract that computes everything: what its --json tells, wall seconds of the process and peak memory in MB
    included."""
    told = pathlib.Path(args.out) / "extract.json"
    seconds, _ = run([program(args, "extract"), dataset, "-o", cache, "--force", "-q", "--json", told, *map(str, flags)],
                     environment)
    result = json.loads(told.read_text())
    return {**result, "rate": result["images_per_second"], "process_seconds": seconds,
            "peak_mb": result["peak_memory_bytes"] / 1e6}


def has_bf16():
    return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


def alternate(contenders, rounds):
    """{name: function} -> {name: [figures]}, one of each in turn."""
    figures = {name: [] for name in contenders}
    for index in range(rounds):
        for name, function in contenders.items():
            figures[name].append(function())
            print(f"  round {index + 1} {name}: {figures[name][-1]:.3f}", file=sys.stderr, flush=True)
    return figures


def medians(figures):
    return {name: statistics.median(values) for name, values in figures.items()}


def report(title, figures, ratios):
    """The comparison of contenders that alternated: medians, spread, and the ratios of medians that matter."""
    rows = [[name, statistics.median(values), min(values), max(values)] for name, values in figures.items()]
    entry = table(title, ["", "median", "lowest", "highest"], rows)
    for name, ratio in ratios.items():
        print(f"  {name:44} {ratio:9.2f}x")
    return {**entry, "figures": figures, "ratios": ratios}


def table(title, columns, rows):
    entry = {"title": title, "columns": columns, "rows": rows}
    print(f"\n{title}")
    for row in [columns] + rows:
        print("  " + f"{row[0]:44}" + "".join(f" {shown(value):>12}" for value in row[1:]), flush=True)
    return entry


def shown(value):
    """Four digits or so, as people read numbers."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value - 1) < 0.01 and value != 1:  # cosines
        return f"{value:.6f}"
    return f"{value:.4g}"


def markdown(entry):
    """As README and docs/ have tables."""
    lines = [f"**{entry['title']}**", "", "| " + " | ".join(entry["columns"]) + " |", "|" + "---|" * len(entry["columns"])]
    lines += ["| " + " | ".join(shown(value) for value in row) + " |" for row in entry["rows"]]
    ratios = [f"{name}: {ratio:.2f}x" for name, ratio in entry.get("ratios", {}).items()]
    if ratios:
        lines += ["", "; ".join(ratios)]
    lines += ["", *entry.get("notes", [])]
    return "\n".join(lines).rstrip() + "\n"
