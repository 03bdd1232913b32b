#!/usr/bin/env python3
"""The Python module against h5py with HDF5's filter, against predict, and by pip.

usage: python_module.py BUILD SOURCE

Parts that need pandas, torch, zstandard or pyarrow are left out where they are missing, and said.
"""
import importlib.metadata
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc

BUILD, SOURCE = (os.path.abspath(argument) for argument in sys.argv[1:3])
os.environ["HDF5_PLUGIN_PATH"] = f"{BUILD}/lib/hdf5-plugins"  # before HDF5 is loaded
sys.path.insert(0, f"{SOURCE}/python")
sys.dont_write_bytecode = True

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

import permafrost
from permafrost import filters

ROWS = 1100
checks, left_out = 0, []


def has(module):
    found = importlib.util.find_spec(module) is not None
    if not found and module not in left_out:
        left_out.append(module)
    return found


def can_unzstd():
    return has("zstandard") or importlib.util.find_spec("compression") is not None


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"FAILED: {what}")


def same(a, b, what):
    a, b = np.asarray(a), np.asarray(b)
    check(a.shape == b.shape and a.dtype == b.dtype, f"{what}: {a.shape} {a.dtype}, expected {b.shape} {b.dtype}")
    check(np.array_equal(a, b), f"{what}: values differ")


def fails(kind, words, call, *arguments):
    try:
        call(*arguments)
    except kind as problem:
        check(words in str(problem), f"expected '{words}', got '{problem}'")
        return
    check(False, f"nobody said '{words}'")


def run(*command, code=0, **keywords):
    result = subprocess.run([str(part) for part in command], capture_output=True, **keywords)
    check(result.returncode == code, f"{command}: {result.returncode}, {result.stderr[-2000:]}")
    return result


def make(name, compression="zstd", rows=ROWS):
    run(f"{BUILD}/tests/cache_tool", "write", name, compression, rows)


class WithoutFilter:
    """HDF5 as it is where no plugin is found."""

    def __enter__(self):
        self.has_zstd = filters.has_zstd
        filters.has_zstd = lambda: False

    def __exit__(self, *error):
        filters.has_zstd = self.has_zstd


# ---- features ----

KEYS = [slice(None), slice(3, 700), slice(-5, None), slice(700, 100), slice(None, None, 7), slice(50, 10, -3), 0, -1, 1099,
        np.int64(513), [5, 3, 3, 1099, 512, -1], np.arange(1100)[::-1], np.arange(1100) % 3 == 0, [], Ellipsis,
        (slice(2, 5), 0), (7, slice(0, 2)), ([9, 600], Ellipsis, 1), (Ellipsis, 0), np.array(7), (np.array(7), slice(0, 2)), ([9, 600, 9], [0, 1, 0]),
        (np.arange(1100) % 500 == 1, [0, 1, 0]), (np.array([[9], [-1]]), [0, 1]), ([], []), (3, [1, 0])]


def compare_features(cache, wanted, what):
    """wanted: {tap: all rows}"""
    for tap, rows in wanted.items():
        features = cache.features(tap)
        check(features.shape == rows.shape and features.dtype == rows.dtype and len(features) == len(rows), tap)
        same(np.asarray(features), rows, f"{what} {tap}")
        for key in KEYS:
            got, expected = features[key], rows[key]
            same(got, expected, f"{what} {tap}[{key}]")
        for wrong in (1100, -1101, [0, 1100], np.zeros(5, bool), 1.5, (None, 0), (True, 0), ([0, 1100], 0)):
            fails(IndexError, "", features.__getitem__, wrong)


def check_features():
    for compression in ("none", "gzip", "zstd"):
        make("ours.h5", compression)
        with h5py.File("ours.h5") as f:
            wanted = {tap: f["features"][tap][:] for tap in f["features"]}
        with permafrost.open("ours.h5") as cache:
            check(set(cache.taps) == set(wanted) and len(cache) == ROWS, "taps, rows")
            compare_features(cache, wanted, compression)
            check(isinstance(filters.reader(cache.file["features/avgpool"]), h5py.Dataset), "HDF5 has the filter")
        if compression == "zstd" and not can_unzstd():
            continue
        with WithoutFilter(), permafrost.open("ours.h5") as cache:
            compare_features(cache, wanted, f"{compression} without the filter")


def check_damage_is_seen():
    """Without HDF5, which has checksums of its own."""
    make("ours.h5")
    with h5py.File("ours.h5") as f:
        where = f["features/layer3"].id.get_chunk_info(0)
    with open("ours.h5", "r+b") as stream:
        stream.seek(where.byte_offset + where.size // 2)
        byte = stream.read(1)[0] ^ 4
        stream.seek(-1, 1)
        stream.write(bytes([byte]))
    with WithoutFilter(), permafrost.open("ours.h5") as cache:
        fails(OSError, "its checksum does not match", cache.features("layer3").__getitem__, slice(0, 5))
    frame = filters.unzstd
    if can_unzstd():
        make("whole.h5")
        with h5py.File("whole.h5") as f:
            chunk = f["features/layer3"].id.read_direct_chunk((0, 0, 0, 0))[1][:-4]
        fails(OSError, "claims to hold", frame, chunk, 17)


def check_other_filters():
    """What others have written with zstd: filters in another order, chunks that are not of whole rows."""
    x = np.random.default_rng(0).integers(0, 9, (3000, 40)).astype("f4")
    with h5py.File("theirs.h5", "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f.create_dataset("features/x", data=x, chunks=(700, 40), shuffle=True, compression=32015, compression_opts=(3,))
        f.create_dataset("features/y", data=x, chunks=(700, 8), compression=32015, compression_opts=(3,))
        f["features/z"] = x.astype("f8")
        f["features/views"] = x.reshape(3000, 5, 8)
    with permafrost.open("theirs.h5") as cache:
        views, numbers = x.reshape(3000, 5, 8), np.arange(3000) % 5
        for key in ((np.arange(3000), numbers), (7, slice(None), [1, 3]), ([7, 5], slice(None), [1, 3]), ([2, 9], [1, 4], [0, 7])):
            same(cache.features("views")[key], views[key], "rows and views in pairs")
    with WithoutFilter(), permafrost.open("theirs.h5") as cache:
        if can_unzstd():
            same(cache.features("x")[:], x, "shuffle, zstd")
        fails(OSError, "pip install hdf5plugin", cache.features, "y")
        same(cache.features("z")[5:7], x[5:7].astype("f8"), "contiguous")
        fails(KeyError, "'views', 'x', 'y', 'z'", cache.features)
        fails(ValueError, "has no /samples/split", cache.rows, "train")
        check(cache.paths() is None and cache.splits() is None, "no samples")
        same(next(cache.iter_batches("z", 10))[0], x[:10].astype("f8"), "batches without targets")
        check(next(cache.iter_batches("z", 10))[1] is None, "no targets")


def check_fletcher32():
    """Against HDF5's, which h5py lets us see: lengths, zeros, multiples of 65535."""
    for data in (b"", b"\0\0", b"\1", b"\xff\xff", b"\xff\xff\xff\xff\0", bytes(range(256)) * 9 + b"x", bytes(5000), b"\xff" * 4001):
        with h5py.File("sum.h5", "w") as f:
            if data:
                x = f.create_dataset("x", data=np.frombuffer(data, "u1"), chunks=(len(data),), fletcher32=True)
                f.flush()
                stored = int.from_bytes(x.id.read_direct_chunk((0,))[1][-4:], "little")
                check(filters.fletcher32(data) == stored, f"Fletcher-32 of {len(data)} bytes")


def check_files():
    make("ours.h5")
    with open("ours.h5", "rb") as stream:
        content = stream.read()
    with open("cut.h5", "wb") as stream:
        stream.write(content[:-1])
    fails(ValueError, "the seal at its end is gone", permafrost.open, "cut.h5")
    with h5py.File("other.h5", "w") as f:
        f["x"] = 1
    fails(ValueError, "is no cache", permafrost.open, "other.h5")
    fails(OSError, "", permafrost.open, "absent.h5")
    os.mkfifo("pipe.h5")
    fails(ValueError, "is no file", permafrost.open, "pipe.h5")


def check_virtual():
    os.makedirs("set/parts")
    for i, (compression, rows) in enumerate((("zstd", 700), ("gzip", 1), ("zstd", 399))):
        make(f"set/parts/{i}.h5", compression, rows)
    parts = [f"set/parts/{i}.h5" for i in range(3)]
    run(f"{BUILD}/bin/extract", "--merge", "--virtual", "set/all.h5", *parts)
    run(f"{BUILD}/bin/extract", "--merge", "merged.h5", *parts)
    os.rename("set", "moved")
    with h5py.File("merged.h5") as f:
        wanted = {tap: f["features"][tap][:] for tap in f["features"]}
    with permafrost.open("moved/all.h5") as cache:
        compare_features(cache, wanted, "virtual")
    if can_unzstd():
        with WithoutFilter(), permafrost.open("moved/all.h5") as cache:
            compare_features(cache, wanted, "virtual without the filter")
    make("moved/parts/0.h5", "gzip", 700)
    with permafrost.open("moved/all.h5") as cache:
        fails(ValueError, "'parts/0.h5' is another file", cache.features, "avgpool")
    os.remove("moved/parts/0.h5")
    with permafrost.open("moved/all.h5") as cache:
        fails(FileNotFoundError, "'parts/0.h5' is no file", cache.features, "avgpool")
    make("outside.h5", "zstd", 700)
    os.symlink("../../outside.h5", "moved/parts/0.h5")
    with permafrost.open("moved/all.h5") as cache:
        fails(FileNotFoundError, "'parts/0.h5' is no file in its folder", cache.features, "avgpool")
    layout = h5py.VirtualLayout((700, 512), "f2")
    layout[:] = h5py.VirtualSource("gone.h5", "features/avgpool", (700, 512))
    with h5py.File("holes.h5", "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f.create_virtual_dataset("features/avgpool", layout)
    with permafrost.open("holes.h5") as cache:
        fails(FileNotFoundError, "'gone.h5' is no file", cache.features)


def check_virtual_from_elsewhere():
    """Through a link in another folder, parts are found beside the file itself."""
    os.makedirs("far/parts")
    for i in range(2):
        make(f"far/parts/{i}.h5", "gzip", 50)
    run(f"{BUILD}/bin/extract", "--merge", "--virtual", "far/all.h5", "far/parts/0.h5", "far/parts/1.h5")
    with h5py.File("far/parts/1.h5") as f:
        tap = list(f["features"])[0]
        wanted = f["features"][tap][:]
    layout = h5py.VirtualLayout((50,) + wanted.shape[1:], wanted.dtype)
    layout[:] = h5py.VirtualSource("parts/1.h5", f"features/{tap}", wanted.shape)
    with h5py.File("far/own.h5", "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f.create_virtual_dataset(f"features/{tap}", layout)
    os.makedirs("near")
    for name in ("all.h5", "own.h5"):
        os.symlink(f"../far/{name}", f"near/{name}")
        with permafrost.open(f"near/{name}") as cache:
            same(cache.features(tap)[-50:], wanted, f"near/{name}")
            left = cache.features(tap)
        if name == "all.h5":
            fails(ValueError, "was closed", left.__getitem__, 3)


def check_catalogue():
    """More than 1,000 sources: /features/<tap> is a group, and /sources says where the rows are."""
    run(f"{BUILD}/tests/make_large_cache", "many", 3003, 8, "gzip", 1001)
    run(f"{BUILD}/tests/make_large_cache", "one.h5", 3003, 8, "gzip")
    run(f"{BUILD}/bin/extract", "--merge", "--virtual", "catalogue.h5", "many")
    with h5py.File("one.h5") as f:
        tap = list(f["features"])[0]
        wanted, classes = f["features"][tap][:], f["targets"]
        classes = {name: classes[name][:] for name in classes}
    with permafrost.open("catalogue.h5") as cache:
        check(isinstance(cache.file["features"][tap], h5py.Group) and len(cache) == 3003, "a catalogue")
        features = cache.features(tap)
        check(features.shape == wanted.shape and features.dtype == wanted.dtype, "shape of a catalogue")
        for key in (slice(None), slice(5, 17), [3002, 0, 1500, 0], -1, ([4, 5], [1, 0])):
            same(features[key], wanted[key], f"catalogue[{key}]")
        check(0 < len(cache._sources.open) <= 32, "parts that stay open")
        for name, values in classes.items():
            same(cache.targets(name), values.astype(cache.targets(name).dtype), f"catalogue's {name}")
        check(sum(len(x) for x, _ in cache.iter_batches(tap, 500, shuffle=True)) == 3003, "batches of a catalogue")
    with h5py.File("headless.h5", "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f.create_group("features/x")
    with permafrost.open("headless.h5") as cache:
        fails(ValueError, "there is no /sources", cache.features)
        fails(ValueError, "there is no /sources", len, cache)


def check_links_are_refused():
    os.makedirs("foreign")
    with h5py.File("secret.h5", "w") as f:
        f["x"] = np.zeros((4, 3), "f4")
    with open("secret.bin", "wb") as stream:
        stream.write(bytes(48))

    def foreign(fill):
        with h5py.File("foreign/f.h5", "w") as f:
            f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
            fill(f)
        return "foreign/f.h5"

    def linked(f):
        f["features/x"] = h5py.ExternalLink("../secret.h5", "/x")

    def linked_deep(f):
        f["deep/er/x"] = h5py.ExternalLink("../secret.h5", "/x")
        f["features/x"] = h5py.SoftLink("/deep/er/x")

    def stored(f):
        f.create_dataset("features/x", (4, 3), "f4", external=[("../secret.bin", 0, 48)])

    def mapped(f, name="features/x", file="../secret.h5"):
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:] = h5py.VirtualSource(file, "x", (4, 3))
        f.create_virtual_dataset(name, layout)
    fails(ValueError, "/features/x is a link to another file", permafrost.open, foreign(linked))
    fails(ValueError, "/deep/er/x is a link to another file", permafrost.open, foreign(linked_deep))
    fails(ValueError, "external storage", permafrost.open, foreign(stored))
    fails(ValueError, "/samples/path is virtual", permafrost.open, foreign(lambda f: mapped(f, "samples/path")))
    with permafrost.open(foreign(mapped)) as cache:
        fails(FileNotFoundError, "in its folder or below", cache.features)
    with permafrost.open(foreign(lambda f: mapped(f, file="."))) as cache:
        fails(ValueError, "has no dataset 'x'", cache.features)
    with permafrost.open(foreign(lambda f: mapped(f, file="part.h5"))) as cache:
        for shape, words in (((3, 3), "has no dataset 'x'"), (None, "has no dataset 'x'"), ((4, 3), None)):
            with h5py.File("foreign/part.h5", "w") as part:
                if shape:
                    part["x"] = np.ones(shape, "f4")
            if words:
                fails(ValueError, words, cache.features)
            else:
                same(cache.features()[:], np.ones((4, 3), "f4"), "a part that is all there")

    def mapped_without_end(f):
        end = h5py.h5s.UNLIMITED
        layout = h5py.VirtualLayout((4, 3), "f4", maxshape=(None, 3))
        layout[0:end, :] = h5py.VirtualSource("part.h5", "x", (4, 3), maxshape=(None, 3))[0:end, :]
        f.create_virtual_dataset("features/x", layout)
    with h5py.File("foreign/part.h5", "w") as part:
        part.create_dataset("x", data=np.ones((4, 3), "f4"), maxshape=(None, 3))
    with permafrost.open(foreign(mapped_without_end)) as cache:
        same(cache.features()[:], np.ones((4, 3), "f4"), "a part without an end")

    def mapped_in_part(f):
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:3] = h5py.VirtualSource("part.h5", "x", (4, 3))[:3]
        f.create_virtual_dataset("features/x", layout)
    with permafrost.open(foreign(mapped_in_part)) as cache:
        fails(ValueError, "has 12 numbers, but its parts have only 9", cache.features)

    def with_negative_split(f):
        f["features/x"], f["samples/split"] = np.zeros((3, 2), "f4"), np.array([0, -1, 1])
    with permafrost.open(foreign(with_negative_split)) as cache:
        fails(ValueError, "/samples/split holds -1 to 1", cache.splits)

    def target(f):
        f["features/x"] = np.zeros((4, 3), "f4")
        mapped(f, "targets/y")
        f["hidden"] = f["targets/y"]
    with permafrost.open(foreign(target)) as cache:
        fails(FileNotFoundError, "in its folder or below", cache.targets, "y")
    os.rename(foreign(linked), "foreign/part.h5")
    with permafrost.open(foreign(lambda f: mapped(f, file="part.h5"))) as cache:
        fails(ValueError, "is a link to another file", cache.features)


# ---- targets, table, batches ----

def make_targets(name):
    """A cache of h5py's with all kinds of targets and two views."""
    random = np.random.default_rng(1)
    with h5py.File(name, "w") as f:
        f.attrs["format"], f.attrs["format_version"], f.attrs["identity"] = "permafrost-cache", 1, '{"views": 2}'
        f["features/avgpool"] = random.normal(size=(60, 2, 5)).astype("f2")
        f["targets/kind"] = np.arange(60) % 4 - 1
        f["classes/kind"] = ["ants", "bées", "wasps"]
        f["targets/age"] = np.where(np.arange(60) % 5, np.arange(60) / 4, np.nan).astype("f4")
        f["targets/split"] = random.normal(size=(60, 2)).astype("f4")
        f["targets/tags"] = (random.random((60, 2)) < 0.5).astype("f4")
        f["targets/tags"].attrs["kind"] = "multilabel"
        f["classes/tags"] = ["red", "round"]
        f["targets/eye"] = random.normal(size=(60, 4)).astype("f4")
        f["targets/eye"].attrs["kind"] = "keypoints"
        f["classes/eye"] = ["left", "right"]
        f["samples/split"] = (np.arange(60) % 3).astype("u1")
        f["samples/path"] = [os.fsencode(f"a/{i}\udcff.jpg") for i in range(60)]


def check_targets_and_frame():
    make_targets("targets.h5")
    cache = permafrost.open("targets.h5")
    check(cache.kinds == {"kind": "class", "age": "regression", "split": "regression", "tags": "multilabel",
                          "eye": "keypoints"}, f"kinds: {cache.kinds}")
    check(cache.classes("kind") == ["ants", "bées", "wasps"] and cache.paths()[3] == "a/3\udcff.jpg", "names")
    same(cache.targets("kind"), np.arange(60) % 4 - 1, "classes")
    same(cache.rows("val"), np.arange(1, 60, 3), "rows of val")
    fails(ValueError, "'dev' is no split", cache.rows, "dev")
    fails(KeyError, "say which", cache.targets)
    if has("pandas"):
        frame = cache.frame()
        check(sorted(frame.columns) == sorted(
            ["path", "split", "kind", "age", "target.split.0", "target.split.1", "tags.red", "tags.round", "eye.left.x",
             "eye.left.y", "eye.right.x", "eye.right.y"]), f"columns: {list(frame.columns)}")
        check(list(frame["kind"][:5]) == [None, "ants", "bées", "wasps", None], "classes as text")
        check(list(frame["split"][:4]) == ["train", "val", "test", "train"], "splits as text")
        check(frame["path"][59] == "a/59\udcff.jpg" and frame["age"].isna().sum() == 12, "paths, missing numbers")
        same(frame["eye.right.x"].to_numpy(), cache.targets("eye")[:, 2], "points")
    cache.close()
    with h5py.File("rowless.h5", "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f["features/x"], f["targets/age"], f["targets/eye"] = np.zeros((0, 3), "f4"), np.zeros(0, "f4"), np.zeros((0, 4), "f4")
    with permafrost.open("rowless.h5") as cache:
        same(cache.targets("age"), np.zeros((0, 1), "f4"), "targets of no rows")
        same(cache.targets("eye"), np.zeros((0, 4), "f4"), "targets of no rows")


def batches(cache, **keywords):
    got = list(cache.iter_batches("logits", target="class", **keywords))
    return [x for x, _ in got], [y for _, y in got]


def make_rows(name):
    """Rows that all differ, in chunks of 64 and through zstd."""
    with h5py.File(name, "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        x = np.arange(ROWS * 10, dtype="f4").reshape(ROWS, 10)
        f.create_dataset("features/logits", data=x, chunks=(64, 10), compression=32015, compression_opts=(1,))
        f["targets/class"], f["targets/box"] = np.arange(ROWS) % 4 - 1, x[:, :4] / 2
        f["samples/split"] = (np.arange(ROWS) % 3).astype("u1")


def check_batches():
    make_rows("rows.h5")
    with permafrost.open("rows.h5") as cache:
        x, y = cache.features("logits")[:], cache.targets("class")
        for split in (None, "val"):
            rows = cache.rows(split)
            for batch in (1, 7, 100, 5000):
                xs, ys = batches(cache, batch=batch, split=split)
                check([len(part) for part in xs[:-1]] == [batch] * (len(xs) - 1), "sizes of batches")
                same(np.concatenate(xs), x[rows], "batches in order")
                same(np.concatenate(ys), y[rows], "their targets")
        key = {row.tobytes(): i for i, row in enumerate(x)}
        check(len(key) == ROWS, "all rows differ")
        for memory in (1 << 30, 1):
            orders = []
            for seed in (0, 0, 1):
                xs, ys = batches(cache, batch=64, shuffle=True, seed=seed, memory=memory)
                check(all(part.flags.writeable and part.flags.c_contiguous for part in xs), "for torch.from_numpy")
                check([len(part) for part in xs] == [64] * 17 + [12], "sizes of shuffled batches")
                orders.append([key[row.tobytes()] for row in np.concatenate(xs)])
                same(np.concatenate(ys), y[orders[-1]], "targets of shuffled rows")
                check(sorted(orders[-1]) == list(range(ROWS)), "each row once")
            check(orders[0] == orders[1] and orders[0] != orders[2], "order by seed")
            moved = np.abs(np.diff(orders[0])) > 1
            check(moved.mean() > 0.9, "rows are mixed")
        taken = next(cache.iter_batches(None, 5, target=["class", "box"]))[1]
        check(set(taken) == {"class", "box"} and taken["box"].shape == (5, 4), "several targets")


def check_torch():
    if not has("torch"):
        return
    import torch
    make_rows("rows.h5")
    with permafrost.open("rows.h5") as cache:
        x, y = cache.features("logits")[:], cache.targets("class")
        for memory in (1 << 30, 1):
            dataset = cache.dataset("logits", "test", "class", memory=memory)
            rows = cache.rows("test")
            loader = torch.utils.data.DataLoader(dataset, batch_size=50, num_workers=2 if memory == 1 else 0)
            got = list(loader)
            check(len(dataset) == len(rows), "length of the Dataset")
            same(torch.cat([part for part, _ in got]).numpy(), x[rows], "Dataset's features")
            same(torch.cat([part for _, part in got]).numpy(), y[rows], "Dataset's targets")
            several = dataset.__getitems__([3, 0])  # what a DataLoader of torch 2 calls
            same(torch.stack([part for part, _ in several]).numpy(), x[rows[[3, 0]]], "rows of the Dataset")
            same(dataset[-1][0].numpy(), x[rows[-1]], "one row of the Dataset")
            fails(IndexError, "", dataset.__getitem__, len(rows))


# ---- models ----

def predictions(model, cache):
    """{target: (N, outputs)} by predict."""
    top = ["--top", 10] if any(target["kind"] == "class" for target in model.targets) else []
    out = run(f"{BUILD}/bin/predict", model.path, cache, "--json", "-", *top).stdout
    rows = json.loads(out)
    result = {}
    for target in model.targets:
        def numbers(row, name=target["name"], kind=target["kind"], classes=target.get("classes")):
            of = row[name] if kind != "class" or len(model.targets) > 1 else row
            if kind == "class":
                chosen = {entry["label"]: entry["probability"] for entry in of["top"]}
                return [chosen[label] for label in classes]
            if kind == "multilabel":
                return [of["probabilities"][label] for label in classes]
            return np.ravel(of)
        result[target["name"]] = np.array([numbers(row) for row in rows], "f8")
    return result


def check_damaged_models():
    """One bit of a number or of the metadata; numbers that are not finite, with and without a digest."""
    content = open("model.safetensors", "rb").read()
    check(b'digest\\":\\"' in content, "train notes a digest")

    def refused(words, change):
        with open("damaged.safetensors", "wb") as stream:
            stream.write(change)
        fails(ValueError, words, permafrost.load_model, "damaged.safetensors")
    refused("is damaged, or was changed", content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    refused("is damaged, or was changed", content.replace(b'\\"tags\\"', b'\\"tagt\\"'))
    refused("not finite", content[:-4] + b"\0\0\xc0\x7f")
    start = content.index(b',\\"digest')
    removed = content[:start] + content[content.index(b'}', start):]
    size = int.from_bytes(content[:8], "little") - (len(content) - len(removed))
    undigested = size.to_bytes(8, "little") + removed[8:]
    refused("not finite", undigested[:-4] + b"\0\0\xc0\x7f")
    with open("undigested.safetensors", "wb") as stream:
        stream.write(undigested)
    permafrost.load_model("undigested.safetensors")


def check_models():
    run(f"{BUILD}/tests/make_cache", "known.h5", "val", "numbers", "labels", "hard")
    kinds = [["--target", "class"], ["--target", "class", "--normalize", "l2"],
             ["--target", "class", "--head", "mlp:12x6", "--head-norm", "batch"],
             ["--target", "class,size,tags", "--head", "mlp:9", "--head-norm", "layer", "--activation", "gelu"],
             ["--target", "size"], ["--target", "tags", "--head", "mlp:7", "--dropout", "0.2", "--normalize", "l2"]]
    for options in kinds:
        run(f"{BUILD}/bin/train", "known.h5", "-o", "model.safetensors", "--epochs", 7, *options)
        model = permafrost.load_model("model.safetensors")
        with permafrost.open("known.h5") as cache:
            x = cache.features(model.tap)[:]
        wanted, got = predictions(model, "known.h5"), model.predict(x)
        check(set(got) == set(wanted), f"targets: {set(got)}")
        for name in wanted:
            scale = max(1, np.abs(wanted[name]).max())
            worst = np.abs(got[name] - wanted[name]).max() / scale
            check(got[name].dtype == np.float32 and worst < 1e-5, f"{options}, {name}: {worst} from predict's")
        if has("torch"):
            import torch
            with torch.no_grad():
                scores = model.module()(torch.from_numpy(x))
            for name, values in model.scores(x).items():
                worst = np.abs(scores[name].numpy() - values).max() / max(1, np.abs(values).max())
                check(worst < 1e-5, f"{options}, {name}: torch is {worst} off")
        if options == kinds[0]:
            labels = model.labels(x)["class"]
            check(labels[3] == model.targets[0]["classes"][int(wanted["class"][3].argmax())], "labels")
            fails(ValueError, "takes rows of 16 numbers", model.predict, x[:, :5])
        empty = model.predict(x[:0])
        check(all(empty[name].shape == (0,) + got[name].shape[1:] for name in got), f"{options}: no rows")
    check_damaged_models()
    with open("cut.safetensors", "wb") as stream:
        stream.write(open("model.safetensors", "rb").read()[:-1])
    fails(ValueError, "reaches beyond the file", permafrost.load_model, "cut.safetensors")
    fails(ValueError, "is no .safetensors file", permafrost.load_model, "known.h5")
    content = open("model.safetensors", "rb").read().replace(b'version\\":1', b'version\\":3')
    with open("newer.safetensors", "wb") as stream:
        stream.write(content)
    fails(ValueError, "is of version 3", permafrost.load_model, "newer.safetensors")


# ---- Parquet ----

def write_parquet(path, rows, names=("cat", "dog", "great tit"), label=True, typed=True):
    """A dataset of images as Hugging Face stores it: rows of (bytes, path, label)."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    images = pa.array([{"bytes": data, "path": name} for data, name, _ in rows],
                      pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    columns = {"image": images}
    if label:
        columns["label"] = pa.array([number for _, _, number in rows])
    columns["other"] = pa.array([i for i in range(len(rows))])
    table = pa.table(columns)
    if typed:
        features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"},
                    "other": {"dtype": "int64", "_type": "Value"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=7)


def to_tar(*arguments, code=0):
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}/python"}
    return run(sys.executable, "-m", "permafrost", "parquet", *arguments, code=code, env=environment)


def check_parquet():
    if not has("pyarrow"):
        return
    jpeg, png = b"\xff\xd8\xff\xe0 jpeg %d", b"\x89PNG\r\n\x1a\n png %d"
    rows = [(jpeg % 0, None, 0), (png % 1, "own.name.png", 1), (jpeg % 2, "deep/er/name.jpg", 2), (jpeg % 3, "name.jpeg", 0),
            (jpeg % 4, "", -1), (b"RIFF....WEBP", "ä b.webp", 1), (jpeg % 6, "x.jpg", None)]
    write_parquet("a.parquet", rows)
    write_parquet("b.parquet", [(jpeg % i, None, i % 3) for i in range(40)])
    result = to_tar("a.parquet", "b.parquet")
    check(b"47 images, 2 of them without a label" in result.stderr, result.stderr)
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    expected = [("000000.jpg", rows[0][0]), ("000000.cls", b"cat"), ("own_name.png", rows[1][0]), ("own_name.cls", b"dog"),
                ("name.jpg", rows[2][0]), ("name.cls", b"great tit"), ("name-000003.jpg", rows[3][0]),
                ("name-000003.cls", b"cat"), ("000004.jpg", rows[4][0]), ("ä b.webp", rows[5][0]), ("ä b.cls", b"dog"),
                ("x.jpg", rows[6][0])]
    check(members[:12] == expected, f"members: {members[:12]}")
    check(members[12:14] == [("000007.jpg", jpeg % 0), ("000007.cls", b"cat")] and len(members) == 12 + 80, "second file")
    write_parquet("texts.parquet", [(jpeg % 0, None, "a class")], typed=False)
    with tarfile.open(fileobj=io.BytesIO(to_tar("texts.parquet").stdout)) as tar:
        check(tar.extractfile("000000.cls").read() == b"a class", "classes as text")
    write_parquet("again.parquet", [(jpeg % i, name, i) for i, name in enumerate(("cat-000002.jpg", "cat.jpg", "cat.jpg"))])
    with tarfile.open(fileobj=io.BytesIO(to_tar("again.parquet").stdout)) as tar:
        names = tar.getnames()
    check(names[4:] == ["cat-000002-2.jpg", "cat-000002-2.cls"] and len(set(names)) == 6, f"names: {names}")
    write_parquet("numbers.parquet", [(jpeg % i, None, label) for i, label in enumerate((7, -1, None, 0))], typed=False)
    write_parquet("empty.parquet", [(jpeg % 9, None, "")], typed=False)
    result = to_tar("numbers.parquet", "empty.parquet")
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as tar:
        classes = {name: tar.extractfile(name).read() for name in tar.getnames() if name.endswith(".cls")}
    check(classes == {"000000.cls": b"7", "000003.cls": b"0"}, "numbers without names: -1 and empty are no classes")
    check(b"5 images, 3 of them without a label" in result.stderr, "those without a label are counted")
    with tarfile.open(fileobj=io.BytesIO(to_tar("a.parquet", "--label", "").stdout)) as tar:
        check(all(not name.endswith(".cls") for name in tar.getnames()), "--label ''")
    write_parquet("bad.parquet", [(jpeg % 0, None, 3)])
    result = to_tar("a.parquet", "bad.parquet", code=1)
    check(b"row 0: its label is 3, which is no class of 3" in result.stderr, "bad label")
    fails(tarfile.ReadError, "", tarfile.open(fileobj=io.BytesIO(result.stdout)).getnames)
    write_parquet("bad.parquet", [(None, "far.jpg", 0)])
    check(b"row 0 has no image's bytes, only the path 'far.jpg'" in to_tar("bad.parquet", code=1).stderr, "no bytes")
    check(b"there is no column 'x'" in to_tar("a.parquet", "--image", "x", code=1).stderr, "no such column")
    check(b"ermafrost: " in to_tar("absent.parquet", code=1).stderr, "no such file")
    check_parquet_memory()


def check_parquet_memory():
    """One row group of 128 MB in pages of one: memory for a few images only."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from permafrost import parquet
    blob = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8).tobytes()
    images = pa.array([{"bytes": b"\xff\xd8\xff%d" % i + blob, "path": None} for i in range(128)],
                      pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image": images}), "large.parquet", row_group_size=128, compression="none", use_dictionary=False,
                   write_batch_size=1)
    del images

    class Options:
        image = label = None
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0

    class Sink:
        def write(self, data):
            nonlocal most
            most = max(most, pool.bytes_allocated() - before)
            return len(data)
    out = parquet.TarStream(Sink())
    tracemalloc.start()
    parquet.stream_file("large.parquet", Options, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    out.close()
    check(out.count == 128 and most + peak < 80 << 20, f"memory: {most >> 20} MB by pyarrow, {peak >> 20} MB by Python")


# ---- pip, the page ----

def check_pip():
    """Installs the tree as a wheel, into a folder, and uses it from there."""
    if not has("pip") or not has("setuptools") or not has("wheel"):
        return
    if int(importlib.metadata.version("setuptools").split(".")[0]) < 61:
        left_out.append("setuptools 61")
        return
    shutil.copytree(f"{SOURCE}/python", "tree", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target",
        "installed", "./tree")
    make("ours.h5")
    program = "import permafrost; print(permafrost.__file__); print(permafrost.open('ours.h5').features('avgpool')[0, 1])"
    out = run(sys.executable, "-c", program, env={**os.environ, "PYTHONPATH": "installed"}).stdout.decode()
    check("installed/permafrost/__init__.py" in out, out)
    names = sorted(os.listdir("installed/permafrost"))
    check([name for name in names if name.endswith(".py")] ==
          sorted(name for name in os.listdir(f"{SOURCE}/python/permafrost") if name.endswith(".py")), f"files: {names}")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    check_features()
    check_damage_is_seen()
    check_other_filters()
    check_fletcher32()
    check_files()
    check_virtual()
    check_virtual_from_elsewhere()
    check_catalogue()
    check_links_are_refused()
    check_targets_and_frame()
    check_batches()
    check_torch()
    check_models()
    check_parquet()
    check_pip()
    os.chdir("/")
print(f"h5py {h5py.__version__}: {checks} checks passed"
      + (f"; left out for want of {', '.join(left_out)}" if left_out else ""))
