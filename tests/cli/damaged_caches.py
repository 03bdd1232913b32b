#!/usr/bin/env python3
"""Caches without a seal, damaged: whatever HDF5 makes of them, our programs end, with an exit
code of their own and a message that names the file.

usage: damaged_caches.py BUILD [COUNT]     COUNT copies of each of four kinds of cache, read by
    every program; without it 40, each read by one
"""
import concurrent.futures
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1]).resolve()
IS_LONG = len(sys.argv) > 2
COUNT = int(sys.argv[2]) if IS_LONG else 40
LIMIT = 10 if not os.environ.get("PF_SANITIZE") else 60  # seconds
ROWS = 60
TRAIN = ["--head", "linear", "--epochs", "1", "--quiet", "--val", "0", "--tap", "avgpool", "--target", "class"]

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)


def write_foreign(path, **options):
    """What docs/cache-format.md says is all that train needs, and what else a cache may have."""
    x = np.random.default_rng(0).normal(size=(ROWS, 16)).astype("float16")
    with h5py.File(path, "w", **options) as f:
        f.attrs["format"] = "permafrost-cache"
        f.attrs["format_version"] = 1
        f.attrs["identity"] = "{}"
        f.create_dataset("features/avgpool", data=x, chunks=(16, 16), compression="gzip", fletcher32=True)
        f["targets/class"] = np.arange(ROWS) % 2
        f["classes/class"] = ["cat", "dog"]
        f["targets/box"] = x[:, :4].astype("float32")
        f["samples/path"] = [f"{i}.jpg" for i in range(ROWS)]
        f["samples/size"] = np.arange(ROWS)
        f["rejected/path"] = ["bad.jpg"]
        f["rejected/reason"] = ["is empty (0 bytes)"]


def write_documented(path):
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/cache-format.md").read_text()
    program = re.search(r"all that `train` needs:\n\n```python\n(.*?)```", page, re.S).group(1)
    subprocess.run([sys.executable, "-c", program], cwd=path.parent, check=True)
    (path.parent / "mine.h5").rename(path)


def write_unsealed(path):
    """Ours, and the promise of a seal taken back."""
    subprocess.run([BUILD / "tests/cache_tool", "write", path, "zstd", str(ROWS)], check=True, capture_output=True)
    with h5py.File(path, "r+") as f:
        del f.attrs["sealed"], f["samples/split"]


def damaged(content, seed):
    """One to four other bytes, mostly where HDF5 keeps what it needs to find the rest."""
    draw = random.Random(seed)
    content = bytearray(content)
    marks = [m.start() for m in re.finditer(b"GCOL|TREE|HEAP|SNOD|OHDR|FRHP|BTHD|\x89HDF", bytes(content))]
    for _ in range(draw.randint(1, 4)):
        if draw.random() < 0.6:
            at = min(draw.choice(marks) + draw.randrange(160), len(content) - 1)
        else:
            at = draw.randrange(len(content))
        content[at] = draw.choice([0, 0xff, draw.randrange(256), content[at] ^ 1 << draw.randrange(8)])
    return bytes(content)


def commands(path, model):
    train = ["train", path, *TRAIN]
    return [train + ["-o", path.with_suffix(".pfm")], ["extract", "--info", path], ["extract", "--verify", path],
            ["predict", model, path]]


def judge(command):
    """None, or what is wrong with how it ended; and its exit code."""
    command = [BUILD / "bin" / command[0], *command[1:]]
    try:
        result = subprocess.run(command, capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "hangs", None
    if result.returncode < 0 or b"Sanitizer" in result.stderr:
        return f"ended by {result.returncode}: {result.stderr.decode(errors='replace')[-300:]}", result.returncode
    if result.returncode and not result.stderr:
        return f"exit {result.returncode} without a word", result.returncode
    return None, (result.returncode, b"HDF5 did not survive" in result.stdout + result.stderr,
                  b"HDF5 does not come to an end" in result.stdout + result.stderr)


def try_copy(folder, name, content, model, seed):
    path = folder / f"{name}-{seed}.h5"
    path.write_bytes(damaged(content, f"{name} {seed}"))
    chosen = commands(path, model)
    if not IS_LONG:
        chosen = [chosen[seed % len(chosen)]]
    found = [(command[0] if command[0] != "extract" else command[1], *judge(command))
             for command in chosen]
    wrong = [f"{path.name}: {what}: {reason}" for what, reason, _ in found if reason]
    path.unlink()
    path.with_suffix(".pfm").unlink(missing_ok=True)
    return wrong, [(what, code) for what, reason, code in found if not reason]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        makers = {"documented": write_documented, "old": write_foreign,
                  "new": lambda path: write_foreign(path, libver="latest"), "unsealed": write_unsealed}
        wrong, counts = [], {}
        for kind, make in makers.items():
            path = folder / f"{kind}.h5"
            make(path)
            model = folder / f"{kind}.pfm"
            result = subprocess.run([BUILD / "bin/train", path, *TRAIN, "-o", model],
                                    capture_output=True, text=True)
            if result.returncode:
                sys.exit(f"FAILED: train on {kind}.h5: {result.stderr}")
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                for more, codes in pool.map(lambda seed: try_copy(folder, kind, path.read_bytes(), model, seed), range(COUNT)):
                    wrong += more
                    for what, (code, died, hung) in codes:
                        counts[what, code] = counts.get((what, code), 0) + 1
                        counts["child died", died] = counts.get(("child died", died), 0) + 1
                        counts["child stopped", hung] = counts.get(("child stopped", hung), 0) + 1
        print("\n".join(wrong))
        for (what, code), count in sorted(counts.items()):
            print(f"{what}: {code}: {count}")
        if wrong:
            sys.exit(f"FAILED: {len(wrong)} runs")
        if not counts.get(("child died", True)):
            sys.exit("FAILED: HDF5 survived everything, so this shows nothing")


main()
