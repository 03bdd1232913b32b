"""What a dataset of any size costs: the constants of docs/scale.md, and the same for 10^6, 10^8 and 10^9 images."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np

from datasets import draw
from measure import program, table

FEATURES = 64
ROWS_A_SHARD = 1000


# A small process between: what the benchmark itself takes would count as the least that its children take.
LAUNCH = """
import os, sys, time
started = time.perf_counter()
child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(f"\\nlaunched {time.perf_counter() - started} {usage.ru_maxrss * 1024 / 1e6} {os.waitstatus_to_exitcode(status)}")
"""


def timed(command, environment=None):
    """Seconds, peak MB and what it said; a failing command ends the benchmark."""
    words = [str(word) for word in command]
    done = subprocess.run([sys.executable, "-SEc", LAUNCH, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(environment or {})}, check=True)
    text, _, told = done.stdout.decode(errors="replace").rpartition("\nlaunched ")
    seconds, peak, code = (float(word) for word in told.split())
    if code:
        sys.exit(f"{' '.join(words)} failed ({code:.0f}):\n{text[-2000:]}")
    print(f"  {pathlib.Path(words[0]).name} {' '.join(words[1:])[:100]}: {seconds:.2f} s, {peak:.0f} MB", file=sys.stderr, flush=True)
    return seconds, peak, text


def sources(args, out, shards, rows):
    """Shards of so many rows in all, whose extraction would have made them; kept from run to run."""
    folder = out / f"shards_{shards}x{rows // shards}"
    if len(list(folder.glob("*.h5"))) != shards:
        shutil.rmtree(folder, ignore_errors=True)
        timed([pathlib.Path(args.build) / "tests" / "make_large_cache", folder, rows, FEATURES, "zstd", shards])
    return folder


def bench_sources(args, out, shards, rows_a_shard):
    """Merged, catalogued, opened, trained on and verified."""
    rows = shards * rows_a_shard
    folder = sources(args, out, shards, rows)
    extract, train = program(args, "extract"), program(args, "train")
    whole, thin = out / "scale.h5", out / "scale.thin.h5"
    memory = ["--memory", max(rows * FEATURES * 4 // 4, 20_000_000)]
    epoch = ["--epochs", 1, "--no-search", "--force", "-q", "-o", out / "scale.safetensors"]
    steps = {"merge": [extract, "--merge", "--force", whole, folder],
             "catalogue": [extract, "--merge", "--force", "--virtual", thin, folder],
             "open the catalogue": [sys.executable, "-c", OPEN, args.build, thin],
             "an epoch of the merged cache": [train, whole, *epoch, *memory],
             "an epoch of the catalogue": [train, thin, *epoch, *memory],
             "verify the merged cache": [extract, "--verify", whole],
             "verify the catalogue": [extract, "--verify", thin]}
    found = {name: timed(command) for name, command in steps.items()}
    stored = sum(path.stat().st_size for path in folder.glob("*.h5"))
    sizes = {"shards": stored, "merged": whole.stat().st_size, "catalogue": thin.stat().st_size}
    for path in (whole, thin):
        path.unlink()
    entry = table(f"{shards:,} caches of {rows_a_shard:,} rows of {FEATURES} float16 features",
                  ["", "seconds", "ms a source", "us a row", "peak MB"],
                  [[name, seconds, seconds / shards * 1e3, seconds / rows * 1e6, peak] for name, (seconds, peak, _) in found.items()])
    notes = ["Bytes a row: " + ", ".join(f"{name} {size / rows:.0f}" for name, size in sizes.items()) + "."]
    print("  " + notes[0])
    return {**entry, "notes": notes, "bytes_a_row": {name: size / rows for name, size in sizes.items()}}


# The library through Python's ctypes: opening alone.
OPEN = """
import ctypes, pathlib, sys
library = ctypes.CDLL(str(next(pathlib.Path(sys.argv[1]).glob("lib/libpermafrost.so*"))))
cache, error = ctypes.c_void_p(), ctypes.create_string_buffer(4096)
sys.exit(library.pf_cache_open(sys.argv[2].encode(), ctypes.byref(cache), error))
"""


def many_names(out, count):
    """A manifest of so many paths and class folders of so many files, which are 1,000 small images behind links."""
    folder = out / f"names_{count}"
    if not (folder / "table.csv").exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "images").mkdir(parents=True)
        (folder / "classes").mkdir()
        draw(folder / "images" / "0000.jpg", np.random.default_rng(1), 64, 64)
        for i in range(1, 1000):
            shutil.copy(folder / "images" / "0000.jpg", folder / "images" / f"{i:04}.jpg")
        for i in range(count // 1000):
            (folder / "classes" / f"c{i:05}").symlink_to("../images")
        with open(folder / "table.csv", "w", encoding="ascii") as table_file:
            print("path,label", file=table_file)
            for i in range(count):
                print(f"classes/c{i // 1000:05}/{i % 1000:04}.jpg,{i % 10}", file=table_file)
    return folder


def bench_starts(args, out, count):
    """What a shard of 100 images does until these are known: of a list, of a manifest, of a folder."""
    folder, extract = many_names(out, count), program(args, "extract")
    plugin = {"PERMAFROST_PLUGIN": str(pathlib.Path(args.build) / "tests" / "fake_backbone_plugin.so")}
    (out / "net.pt").write_text("a network\n")
    shards = count // 100
    lists = {"the manifest": folder / "table.csv", "the folder": folder / "classes"}
    rows = []
    for name, dataset in lists.items():
        seconds, peak, _ = timed([extract, "--list", dataset, "-o", out / "scale.list"])
        rows.append([f"--list of {name}, once", seconds, peak])
        for what, operand in (("a shard of that list", out / "scale.list"), (f"a shard of {name}", dataset)):
            seconds, peak, _ = timed([extract, operand, "-o", out / "start.h5", "--shard", f"2/{shards}", "--dry-run",
                                      "--backbone", out / "net.pt", "--resize", 20, "--crop", 16], plugin)
            rows.append([what, seconds, peak])
    (out / "scale.list").unlink()
    return table(f"start and end: a shard of 100 of {count:,} images", ["", "seconds", "peak MB"], rows)


def bench_million(args, out):
    """The cache's own steps, each on its own: bench_scale.c."""
    _, _, text = timed([pathlib.Path(args.build) / "tests" / "bench_scale", out])
    title, rows = "", []
    for line in text.splitlines():
        step = re.match(r"  (\S.*?) +([0-9.]+) s +([0-9.]+) MB/s of features  peak +([0-9]+) MB", line)
        if step:
            rows.append([f"{title}: {step[1]}", *(float(value) for value in step.groups()[1:])])
        elif not line.startswith(" "):
            title = line.split(":")[0]
    return table("a million rows, and large maps, through the cache", ["", "seconds", "MB/s of features", "peak MB"], rows)


def bench_scale(args, out):
    few = args.rounds == 1  # a look at whether it works
    return [bench_million(args, out), bench_starts(args, out, 10_000 if few else 1_000_000),
            bench_sources(args, out, 1_100 if few else 10_000, 10 if few else ROWS_A_SHARD),
            bench_sources(args, out, 2_000 if few else 65_536, 10 if few else 100)]
