#!/usr/bin/env python3
"""extract --merge and h5py: it reads our virtual caches, and we merge what it writes.

usage: merge_h5py.py EXTRACT CACHE_TOOL PLUGIN_FOLDER
"""
import os
import pathlib
import subprocess
import sys
import tempfile

EXTRACT, TOOL, PLUGINS = (os.path.abspath(argument) for argument in sys.argv[1:4])
os.environ["HDF5_PLUGIN_PATH"] = PLUGINS  # before HDF5 is loaded

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TAPS = ("avgpool", "layer3", "logits", "input")
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"FAILED: {what}")


def run(*command, code=0):
    result = subprocess.run(command, capture_output=True, text=True)
    check(result.returncode == code, f"{command}: {result.returncode}, {result.stderr}")
    return result


def read_tap(name, tap):
    run(TOOL, "read", name, tap, "out.f32")
    return np.fromfile("out.f32", "f4")


def check_h5py_reads_virtual():
    os.makedirs("set/parts")
    for i, (compression, rows) in enumerate((("zstd", 700), ("gzip", 1), ("zstd", 1100))):
        run(TOOL, "write", f"set/parts/{i}%.h5", compression, str(rows))
    parts = [f"set/parts/{i}%.h5" for i in range(3)]
    run(EXTRACT, "--merge", "--virtual", "set/all.h5", *parts)
    run(EXTRACT, "--merge", "whole.h5", *parts)
    os.rename("set", "moved")
    with h5py.File("moved/all.h5") as f, h5py.File("whole.h5") as whole:
        for tap in TAPS:
            x = f["features"][tap]
            check(x.is_virtual and not whole["features"][tap].is_virtual, f"{tap}: virtual")
            check(np.array_equal(x[:], whole["features"][tap][:]), f"{tap}: values")
            check(np.array_equal(read_tap("moved/all.h5", tap), x[:].astype("f4").ravel()), tap)
        check(list(f["sources/path"].asstr()[:]) == [f"parts/{i}%.h5" for i in range(3)], "paths")
        check(list(f["sources/rows"][:]) == [700, 1, 1100], "rows")
        check(f["sources/seal"].shape == (3, 16), "seals")
        for name in ("targets/class", "targets/box", "samples/digest", "samples/split"):
            check(np.array_equal(f[name][:], whole[name][:], equal_nan=name == "targets/box"), name)
    # What HDF5 makes of a missing file, and what we do.
    os.rename("moved/parts/0%.h5", "away.h5")
    with h5py.File("moved/all.h5") as f:
        check(np.isnan(f["features/avgpool"][0]).all(), "a missing file reads as NaN")
    check("0%.h5', and that file is not there" in
          run(TOOL, "read", "moved/all.h5", "avgpool", "out.f32", code=1).stderr, "missing")


def write(name, x, y=None, classes=None, **more):
    with h5py.File(name, "w") as f:
        f.attrs["format"] = "permafrost-cache"
        f.attrs["format_version"] = 1
        f["features/avgpool"] = x
        if y is not None:
            f["targets/class"] = y
        if classes is not None:
            f["classes/class"] = classes
        for key, value in more.items():
            f[key] = value


def check_we_merge_what_h5py_writes():
    x = np.random.default_rng(0).normal(size=(30, 6)).astype("f2")
    write("a.h5", x[:10], np.arange(10) % 3 - 1, ["dog", "cat"])
    write("b.h5", x[10:], np.arange(20) % 2, ["cat", "bird"])
    run(EXTRACT, "--merge", "ab.h5", "a.h5", "b.h5")
    with h5py.File("ab.h5") as f:
        check(np.array_equal(f["features/avgpool"][:], x), "features")
        check(list(f["classes/class"].asstr()[:]) == ["dog", "cat", "bird"], "order of appearance")
        y = np.concatenate([np.arange(10) % 3 - 1, np.arange(20) % 2 + 1])
        check(np.array_equal(f["targets/class"][:], y), "classes by name")
        paths = [f"a.h5#{i}" for i in range(10)] + [f"b.h5#{i}" for i in range(20)]
        check(list(f["samples/path"].asstr()[:]) == paths, "paths")
        check(f.attrs["identity"] == "{}", "identity")
    # Sorted lists give a sorted one.
    write("c.h5", x, np.arange(30) % 2, ["ant", "dog"])
    write("d.h5", x, np.arange(30) % 2, ["bee", "cat"])
    run(EXTRACT, "--merge", "cd.h5", "d.h5", "c.h5")
    with h5py.File("cd.h5") as f:
        check(list(f["classes/class"].asstr()[:]) == ["ant", "bee", "cat", "dog"], "sorted")
        check(list(f["targets/class"][:4]) == [1, 2, 1, 2], "classes of the first")
        check(list(f["targets/class"][30:34]) == [0, 3, 0, 3], "classes of the second")
    # Numbers, and targets that only one has.
    with h5py.File("c.h5", "r+") as f:
        f["targets/age"] = np.arange(60, dtype="f4").reshape(30, 2)
    result = run(EXTRACT, "--merge", "cd.h5", "d.h5", "c.h5", "--force")
    check("'d.h5' has no target 'age'" in result.stderr, result.stderr)
    with h5py.File("cd.h5") as f:
        check(np.isnan(f["targets/age"][:30]).all(), "missing numbers")
        check(np.array_equal(f["targets/age"][30:].ravel(), np.arange(60)), "numbers")
    # A seal is what a virtual cache knows its sources by.
    result = run(EXTRACT, "--merge", "--virtual", "v.h5", "a.h5", "b.h5", code=1)
    check("'a.h5' has no seal" in result.stderr, result.stderr)


def check_we_refuse_what_does_not_fit():
    x = np.zeros((4, 6), "f2")
    write("ok.h5", x)
    cases = {
        "wide": (np.zeros((4, 7), "f2"), "tap 'avgpool' is (6) f16 in 'ok.h5' and (7) f16"),
        "type": (x.astype("f4"), "(6) f32 in 'bad.h5'"),
    }
    for features, words in cases.values():
        write("bad.h5", features)
        result = run(EXTRACT, "--merge", "out.h5", "ok.h5", "bad.h5", code=4)
        check(words in result.stderr, result.stderr)
    write("bad.h5", x, **{"features/more": x})
    for pair in (("ok.h5", "bad.h5"), ("bad.h5", "ok.h5")):
        result = run(EXTRACT, "--merge", "out.h5", *pair, code=4)
        check("'ok.h5' has no features of tap 'more'" in result.stderr, result.stderr)
    run(TOOL, "write", "ours.h5", "zstd", "5")
    result = run(EXTRACT, "--merge", "out.h5", "ours.h5", "ok.h5", code=4)
    check("backbone" in result.stderr and "'ok.h5'" in result.stderr, result.stderr)
    write("bad.h5", x, np.zeros((4, 2), "f4"))
    write("ok.h5", x, np.zeros(4, "i4"))
    result = run(EXTRACT, "--merge", "out.h5", "ok.h5", "bad.h5", code=1)
    check("target 'class' of 'bad.h5' is of kind regression, 2 numbers a row" in result.stderr, result.stderr)
    check(not pathlib.Path("out.h5").exists(), "nothing was written")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    check_h5py_reads_virtual()
    check_we_merge_what_h5py_writes()
    check_we_refuse_what_does_not_fit()
    os.chdir("/")
print(f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}: {checks} checks passed")
