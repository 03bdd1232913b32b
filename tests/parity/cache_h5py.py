#!/usr/bin/env python3
"""The cache file, against h5py: it reads what we write, and we read what it writes.

The two programs in docs/cache-format.md are run as they stand there.

usage: cache_h5py.py CACHE_TOOL PLUGIN_FOLDER CACHE_FORMAT_MD
"""
import itertools
import os
import re
import subprocess
import sys
import tempfile

TOOL, PLUGINS, PAGE = (os.path.abspath(argument) for argument in sys.argv[1:4])
os.environ["HDF5_PLUGIN_PATH"] = PLUGINS  # before HDF5 is loaded

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

ROWS = 1100
SHAPES = {"avgpool": (512,), "layer3": (6, 5, 4), "logits": (10,), "input": (3, 8, 8)}
DTYPES = {"avgpool": "f2", "layer3": "f2", "logits": "f4", "input": "u1"}
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"FAILED: {what}")


def same(a, b, what):
    a, b = np.asarray(a), np.asarray(b)
    check(a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}")
    check(np.array_equal(a, b), f"{what}: values differ")


def tool(*arguments):
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, errors="surrogateescape")


def expected(name, rows):
    """What cache_tool writes for a tap."""
    size = int(np.prod(SHAPES[name]))
    i = np.arange(rows * size, dtype=np.int64)
    tap = list(SHAPES).index(name)
    values = i % 251 if DTYPES[name] == "u1" else ((i * 7919 + tap) % 509) * 0.5 - 60
    return values.astype(DTYPES[name]).reshape((rows,) + SHAPES[name])


def make(name, compression, rows=ROWS):
    result = tool("write", name, compression, str(rows))
    check(result.returncode == 0, f"cache_tool write: {result.stderr}")


def read_tap(name, tap):
    result = tool("read", name, tap, "out.f32")
    check(result.returncode == 0, f"{name}, {tap}: {result.stderr}")
    return np.fromfile("out.f32", "f4")


# ---- what we write ----

def check_attributes(f, compression):
    check(f.attrs["format"] == "permafrost-cache", "format")
    check(f.attrs["format_version"] == 1, "format_version")
    check(f.attrs["sealed"] == 1, "sealed")
    for name, text in (("identity", '{"backbone": "café"}'), ("provenance", '{"threads": 2}')):
        check(type(f.attrs[name]) is str, f"{name} is no str")
        check(f.attrs[name] == text, f"{name} is {f.attrs[name]}")
    x = f["features/avgpool"]
    check(x.fletcher32, "features without Fletcher-32")
    check(x.shuffle == (compression != "none"), "shuffle of vectors")
    check(not f["features/layer3"].shuffle, "shuffle of maps")
    check(x.chunks == (512, 512), f"chunks of avgpool: {x.chunks}")
    check(f["targets/class"].fletcher32 or not len(x), "targets without Fletcher-32")


def check_samples(f, rows):
    row = np.arange(rows)
    check(f["targets/class"].attrs["kind"] == "class", "kind of class")
    check(f["targets/box"].attrs["kind"] == "regression", "kind of box")
    same(f["targets/class"][:], (row % 4 - 1).astype("i4"), "targets/class")
    box = np.stack([row, np.full(rows, 0.5), np.full(rows, -1), row / 8], 1)
    same(f["targets/box"][:], box.astype("f4"), "targets/box")
    check(list(f["classes/class"].asstr()[:]) == ["ants", "bees", "Sägewespen"], "classes")
    paths = [os.fsdecode(b"train/\xc3\xa4/%d%s.jpg" % (i, b"" if i % 5 else b"\xff")) for i in row]
    stored = f["samples/path"].asstr(errors="surrogateescape")[:] if rows else []
    check(list(stored) == paths, "samples/path")
    same(f["samples/split"][:], (row % 3).astype("u1"), "samples/split")
    same(f["samples/size"][:], row.astype("u8") * 1000000007, "samples/size")
    same(f["samples/mtime_ns"][:], row * -1000, "samples/mtime_ns")
    same(f["samples/width"][:], (row + 1).astype("i4"), "samples/width")
    same(f["samples/height"][:], (row * 0 + 480).astype("i4"), "samples/height")
    same(f["samples/ctime_ns"][:], row * 7, "samples/ctime_ns")
    same(f["samples/digest"][:], (row[:, None] + np.arange(16)).astype("u1"), "samples/digest")
    check(list(f["rejected/path"].asstr()[:]) == ["bad/☃.jpg"], "rejected/path")
    check(list(f["rejected/reason"].asstr()[:]) == ["it is no image"], "rejected/reason")


def check_h5py_reads_ours():
    for compression in ("none", "gzip", "zstd"):
        for rows in (0, 1, 511, 512, ROWS):
            make("ours.h5", compression, rows)
            with h5py.File("ours.h5") as f:
                check_attributes(f, compression)
                check_samples(f, rows)
                for name in SHAPES:
                    check(f["features"][name].dtype == DTYPES[name], f"dtype of {name}")
                    same(f["features"][name][:], expected(name, rows), f"{compression} {name}")


def check_h5py_sees_damage():
    make("ours.h5", "zstd")
    with h5py.File("ours.h5") as f:
        where = f["features/avgpool"].id.get_chunk_info(1)
    with open("ours.h5", "r+b") as stream:
        stream.seek(where.byte_offset + where.size // 2)
        byte = stream.read(1)[0] ^ 4
        stream.seek(-1, 1)
        stream.write(bytes([byte]))
    try:
        with h5py.File("ours.h5") as f:
            f["features/avgpool"][:]
        check(False, "h5py read a damaged chunk")
    except OSError as error:
        named = "Fletcher32" in str(error) or "filter returned failure" in str(error)  # HDF5 1.10; 1.14
        check(named, f"h5py says {error}")
    result = tool("read", "ours.h5", "avgpool", "out.f32")
    check(result.returncode == 1 and "rows 512 to 1023 of /features/avgpool" in result.stderr
          and "checksum does not match" in result.stderr, result.stderr)


def check_edits_are_noticed():
    make("ours.h5", "zstd")
    with h5py.File("ours.h5", "r+") as f:
        f["targets/class"][0] = 1
    result = tool("info", "ours.h5")
    check(result.returncode == 1 and "the seal at its end is gone" in result.stderr, result.stderr)


def check_plugin_refuses_what_it_cannot_know():
    """Zstd chunks that the filter has to fail on: cut, unsized, two frames, none at all."""
    make("ours.h5", "zstd")
    with h5py.File("ours.h5") as f:
        whole = f["features/layer3"].id.read_direct_chunk((0, 0, 0, 0))[1][:-4]
        shape = f["features/layer3"].chunks
    header = bytearray(whole)
    header[4] &= 0x1f  # neither content size nor single segment
    for stored in (whole, whole[:-1], whole + whole, whole + b"\0", bytes(header), b"\0", b"no zstd"):
        with h5py.File("chunk.h5", "w") as f:
            x = f.create_dataset("x", shape, "f2", chunks=shape, compression=32015,
                                 compression_opts=(1,))
            x.id.write_direct_chunk((0, 0, 0, 0), stored)
        with h5py.File("chunk.h5") as f:
            try:
                f["x"][:]
                read = True
            except OSError:
                read = False
        check(read == (stored is whole), f"a chunk of {len(stored)} bytes was read: {read}")


def check_plugin_writes():
    x = np.random.default_rng(0).integers(0, 9, (3000, 40)).astype("f4")
    with h5py.File("theirs.h5", "w") as f:
        f.attrs["format"] = "permafrost-cache"
        f.attrs["format_version"] = 1
        f.create_dataset("features/x", data=x, chunks=(700, 40), shuffle=True, compression=32015,
                         compression_opts=(3,))
    check("x f32 (40): shuffle, zstd" in tool("info", "theirs.h5").stdout, "filters of the plugin's")
    same(read_tap("theirs.h5", "x").reshape(x.shape), x, "written by h5py through the plugin")


# ---- what we read ----

def write_theirs(features, targets=None, **more):
    """A file of h5py's: name -> array or (array, keywords of create_dataset)."""
    with h5py.File("theirs.h5", "w") as f:
        f.attrs["format"] = more.get("format", "permafrost-cache")
        f.attrs["format_version"] = more.get("version", 1)
        for name, data in features.items():
            data, keywords = data if isinstance(data, tuple) else (data, {})
            f.create_dataset(f"features/{name}", data=data, **keywords)
        for name, data in (targets or {}).items():
            f[f"targets/{name}"] = data
        for name, data in more.get("others", {}).items():
            f[name] = data
        for name, kind in more.get("kinds", {}).items():
            f[f"targets/{name}"].attrs["kind"] = kind


def check_we_read_any_features():
    x = np.random.default_rng(0).normal(size=(777, 6, 10)).astype("f2").astype("f4")
    h5py_keywords = {
        "contiguous": {},
        "gzip": dict(chunks=(100, 6, 10), compression="gzip", shuffle=True),
        "gzip_checked": dict(chunks=(100, 6, 10), compression="gzip", fletcher32=True, shuffle=True),
        "checked": dict(chunks=(64, 6, 10), fletcher32=True),
        "shuffled": dict(chunks=(64, 6, 10), shuffle=True),
        "one_row": dict(chunks=(1, 6, 10), compression="gzip"),
        "part_rows": dict(chunks=(50, 4, 10), compression="gzip"),
        "one_chunk": dict(chunks=(777, 6, 10)),
        "unlimited": dict(chunks=(500, 6, 10), maxshape=(None, 6, 10)),
        "scaled": dict(chunks=(64, 6, 10), compression="gzip", compression_opts=9),
    }
    for dtype in ("f2", "f4", "f8", ">f2", ">f4"):
        write_theirs({f"{name}": (x.astype(dtype), keywords) for name, keywords in h5py_keywords.items()})
        for name in h5py_keywords:
            same(read_tap("theirs.h5", name).reshape(x.shape), x, f"{dtype} {name}")
    whole = np.arange(777 * 3).reshape(777, 3)
    for dtype in ("u1", "i1", "u2", "i4", "i8"):
        write_theirs({"x": (whole % 100).astype(dtype)})
        same(read_tap("theirs.h5", "x").reshape(whole.shape), whole % 100, f"features {dtype}")
    write_theirs({"x": x[:, 0, 0]})
    same(read_tap("theirs.h5", "x"), x[:, 0, 0], "one number a row")


def check_sizes_of_plain_chunks_are_not_believed():
    """Without filters the size of a chunk in its index means nothing, and may be anything."""
    x = np.random.default_rng(0).normal(size=(200, 512)).astype("f4")
    for stated in (1 << 20, 7, 0):
        for dtype, chunks in (("f4", (64, 512)), ("f4", (64, 100)), ("f8", (64, 512))):
            y = np.arange(200, dtype="i4") % 3
            write_theirs({"x": (x.astype(dtype), dict(chunks=chunks))}, others={"pad": np.zeros(1 << 21, "u1")})
            with h5py.File("theirs.h5", "r+") as f:
                f.create_dataset("targets/y", data=y, chunks=(50,))
            with open("theirs.h5", "r+b") as stream:
                nodes = [m.start() for m in re.finditer(b"TREE\x01", stream.read())]
                check(len(nodes) == 2, f"{len(nodes)} indices of chunks")
                for node in nodes:
                    stream.seek(node + 24)
                    stream.write(stated.to_bytes(4, "little"))
            for sealed in (False, True):
                if sealed:
                    check(tool("seal", "theirs.h5").returncode == 0, "seal")
                what = f"a chunk of {dtype} that states {stated} bytes{', sealed' * sealed}"
                same(read_tap("theirs.h5", "x").reshape(x.shape), x, what)
                check(tool("values", "theirs.h5", "out.f32").returncode == 0, what)
                same(np.fromfile("out.f32", "f4"), y.astype("f4"), what)


def check_we_read_many_chunks():
    """A file is read in a time that grows with its chunks, and not with their square."""
    x = np.random.default_rng(0).normal(size=(60000, 8)).astype("f4")
    y = np.arange(60000, dtype="i4") % 3
    for keywords in ({}, {"compression": "gzip"}, {"compression": "gzip", "fletcher32": True}):
        write_theirs({"x": (x.astype("f8"), dict(chunks=(1, 8), **keywords))})
        with h5py.File("theirs.h5", "r+") as f:
            f.create_dataset("targets/y", data=y, chunks=(1,), **keywords)
        same(read_tap("theirs.h5", "x").reshape(x.shape), x, f"chunks of one row, {keywords}")
        check(tool("values", "theirs.h5", "out.f32").returncode == 0, "labels in chunks of one")
        same(np.fromfile("out.f32", "f4"), y.astype("f4"), "labels in chunks of one")


def check_we_read_sparse_chunks():
    """Chunks that were never written have the fill value."""
    x = np.full((1000, 8), 2.5, "f4")
    for dtype in ("f4", "f8"):
        for keywords in ({}, {"compression": "gzip"}):
            write_theirs({})
            with h5py.File("theirs.h5", "r+") as f:
                sparse = f.create_dataset("features/x", x.shape, dtype, chunks=(10, 4), fillvalue=2.5, **keywords)
                sparse[500:510, :4] = x[500:510, :4] = 7
            same(read_tap("theirs.h5", "x").reshape(x.shape), x, f"{dtype}, {keywords}")


def check_we_read_skipped_filters():
    """HDF5 leaves out a filter that does not help, chunk by chunk."""
    x = np.arange(40, dtype="f4").reshape(4, 10)
    write_theirs({"x": (np.zeros_like(x), dict(chunks=(2, 10), shuffle=True, compression="gzip"))})
    with h5py.File("theirs.h5", "r+") as f:
        f["features/x"].id.write_direct_chunk((0, 0), x[:2].tobytes(), filter_mask=3)
    same(read_tap("theirs.h5", "x").reshape(4, 10)[:2], x[:2], "skipped filters")


def check_we_read_filters_in_any_order():
    x = np.arange(6000, dtype="f4").reshape(600, 10)
    for order in itertools.permutations(("set_shuffle", "set_fletcher32", "set_deflate")):
        write_theirs({})
        with h5py.File("theirs.h5", "r+") as f:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((100, 10))
            for name in order:
                getattr(properties, name)()
            group = f.create_group("features")
            h5py.h5d.create(group.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(x.shape),
                            properties)
            group["x"][:] = x
        same(read_tap("theirs.h5", "x").reshape(x.shape), x, f"filters {order}")


def check_we_read_virtual_datasets():
    make("part0.h5", "zstd", 600)
    make("part1.h5", "zstd", 500)
    layout = h5py.VirtualLayout((1100, 512), "f2")
    layout[:600] = h5py.VirtualSource("part0.h5", "features/avgpool", (600, 512))
    layout[600:] = h5py.VirtualSource("part1.h5", "features/avgpool", (500, 512))
    with h5py.File("theirs.h5", "w") as f:
        f.attrs["format"] = "permafrost-cache"
        f.attrs["format_version"] = 1
        f.create_virtual_dataset("features/avgpool", layout)
    both = np.concatenate([expected("avgpool", 600), expected("avgpool", 500)])
    plugins = os.environ.pop("HDF5_PLUGIN_PATH")  # our programs bring the filter with them
    same(read_tap("theirs.h5", "avgpool").reshape(both.shape), both, "virtual dataset")
    os.environ["HDF5_PLUGIN_PATH"] = plugins


def check_we_read_many_parts():
    """A file that many parts of a virtual dataset lie in is looked through once."""
    x = np.random.default_rng(0).integers(0, 9, (8000, 256)).astype("f4")
    layout = h5py.VirtualLayout(x.shape, "f4")
    for i in range(2):
        with h5py.File(f"part{i}.h5", "w") as f:
            f.create_dataset("x", data=x, chunks=(400, 256), compression="gzip", compression_opts=1)
    for i in range(1000):
        layout[i * 8:i * 8 + 8] = h5py.VirtualSource(f"part{i % 2}.h5", "x", x.shape)[i * 8:i * 8 + 8]
    write_theirs({})
    with h5py.File("theirs.h5", "r+") as f:
        f.create_virtual_dataset("features/x", layout)
    same(read_tap("theirs.h5", "x").reshape(x.shape), x, "many parts in two files")


def check_virtual_datasets_have_no_holes():
    """HDF5 makes up what is missing: files, datasets, rows. We do not."""
    def write_part(rows):
        write_theirs({"avgpool": rows})
        os.rename("theirs.h5", "part1.h5")

    def refused(words):
        result = tool("read", "holes.h5", "avgpool", "out.f32")
        check(result.returncode == 1 and words in result.stderr and "part1.h5" in result.stderr,
              f"expected '{words}', got '{result.stderr}'")

    x = np.arange(30, dtype="f4").reshape(10, 3)
    for selection in ("all", "part"):
        source = h5py.VirtualSource("part1.h5", "features/avgpool", (10, 3))
        layout = h5py.VirtualLayout((10, 3), "f4")
        layout[:] = source if selection == "all" else source[0:10]
        with h5py.File("holes.h5", "w") as f:
            f.attrs["format"] = "permafrost-cache"
            f.attrs["format_version"] = 1
            f.create_virtual_dataset("features/avgpool", layout)
        refused("is not there") if selection == "all" else None
        write_part(x)
        same(read_tap("holes.h5", "avgpool").reshape(10, 3), x, f"no holes, {selection}")
        write_part(x[:9])
        refused("the dataset is too small")
        write_theirs({"other": x})
        os.rename("theirs.h5", "part1.h5")
        refused("the dataset is not there")
        with open("part1.h5", "w") as stream:
            stream.write("no HDF5")
        refused("that is no HDF5 file")
    write_part(x)
    layout = h5py.VirtualLayout((10, 3), "f4")
    layout[:8] = h5py.VirtualSource("part1.h5", "features/avgpool", (10, 3))[:8]
    with h5py.File("holes.h5", "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f.create_virtual_dataset("features/avgpool", layout)
    result = tool("read", "holes.h5", "avgpool", "out.f32")
    check(result.returncode == 1 and "has 30 numbers, but its parts have only 24 of them" in result.stderr, result.stderr)


def check_shapes_of_catalogues_are_bounded():
    for shape in ("(4294967296)", "(65536,65536)", "(3,4611686018427387904)"):
        with h5py.File("theirs.h5", "w") as f:
            f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
            tap = f.create_group("features/x")
            tap.attrs["shape"], tap.attrs["dtype"] = shape, "f32"
            f["sources/path"], f["sources/rows"] = ["part1.h5"], np.array([1])
            f["sources/seal"] = np.zeros((1, 16), "u1")
        result = tool("info", "theirs.h5")
        check(result.returncode == 1 and "/features/x does not say which rows" in result.stderr, f"{shape}: {result.stderr}")


def check_we_read_any_targets():
    x = np.zeros((6, 2), "f4")
    labels = np.array([0, 2, 1, -1, 2, 0])
    for dtype in ("i1", "i2", "i4", "i8", ">i4", "u1", "u8"):
        y = (labels.clip(0) if "u" in dtype else labels).astype(dtype)
        write_theirs({"x": x}, {"y": y})
        result = tool("values", "theirs.h5", "out.f32")
        check(result.returncode == 0, result.stderr)
        same(np.fromfile("out.f32", "f4"), y.astype("f4"), f"targets {dtype}")
        check("target y class 1: 0 1 2\n" in tool("info", "theirs.h5").stdout, "unnamed classes")
    for names in (["a", "bé", "c"], np.array(["a".encode(), "bé".encode(), b"c"])):
        write_theirs({"x": x}, {"y": labels.reshape(6, 1)}, others={"classes/y": names})
        check("target y class 1: a bé c\n" in tool("info", "theirs.h5").stdout, "class names")
    numbers = np.arange(12).reshape(6, 2) / 4
    write_theirs({"x": x}, {"y": numbers, "z": labels, "w": numbers.astype("f4")[:, 0]},
                 kinds={"z": "regression"})
    out = tool("info", "theirs.h5").stdout
    check("target y regression 2:\n" in out and "target z regression 1:\n" in out, out)
    check(tool("values", "theirs.h5", "out.f32").returncode == 0, "values")
    # h5py keeps no order: w, y, z
    same(np.fromfile("out.f32", "f4"), np.concatenate([numbers[:, 0], numbers.ravel(), labels]),
         "regression")


def check_refused(words, *arguments, **keywords):
    write_theirs(*arguments, **keywords)
    result = tool("info", "theirs.h5")
    check(result.returncode == 1 and words in result.stderr and "theirs.h5" in result.stderr,
          f"expected '{words}', got '{result.stderr}' and {result.returncode}")


def check_we_refuse_what_is_no_cache():
    x, y = {"x": np.zeros((6, 2), "f4")}, np.array([0, 1, 1, 0, -1, 1])
    check_refused("'format' is 'other'", x, format="other")
    check_refused("'format' is 'permafrost-cache2'", x, format="permafrost-cache2")
    check_refused("format_version 2", x, version=2)
    check_refused("format_version", x, version="two")
    check_refused("no group /features", {})
    check_refused("/features/z has 5 rows, /features/x has 6", {**x, "z": np.zeros((5, 2))})
    check_refused("/targets/y has 5 rows, /features/x has 6", x, {"y": y[:5]})
    check_refused("row 5 of /targets/y is class 1; there are 1 classes", x,
                  {"y": np.array([0, 0, 0, 0, -1, 1])}, others={"classes/y": ["a"]})
    check_refused("row 0 of /targets/y is class -2", x, {"y": y - 2})
    check_refused("class index of 1048577", x, {"y": y + 1048576})
    check_refused("row 0 of /targets/y is class 2147483647", x, {"y": y + 2**40},
                  others={"classes/y": ["a"]})
    check_refused("/targets/y has 2 numbers a row", x, {"y": np.zeros((6, 2), "i4")})
    check_refused("numbers that are not whole", x, {"y": y / 2}, kinds={"y": "class"})
    check_refused("is of kind 'rank'", x, {"y": y}, kinds={"y": "rank"})
    check_refused("/targets/y does not hold numbers", x, {"y": ["a"] * 6})
    check_refused("does not hold numbers", {"x": np.array([b"a"] * 6)})
    check_refused("not shaped", {"x": np.zeros((6, 0), "f4")})
    check_refused("not shaped", {"x": np.zeros((6,) + (1,) * 7, "f4")})
    check_refused("not shaped", {"x": np.float32(1)})
    check_refused("name of 64 bytes", {"x" * 64: np.zeros((6, 2), "f4")})
    check_refused("/samples/split has 3 rows", x, others={"samples/split": np.zeros(3, "u1")})
    check_refused("row 2 of /samples/split is 3", x, others={"samples/split": np.arange(1, 7)})
    for numbers in (np.array([0, 1, -1, 0, 0, 0], "i1"), np.array([0, 1, -1, 0, 0, 0]), np.array([0, 1, -1, 0, 0, 0], "f4")):
        check_refused("number 2 of /samples/split is -1", x, others={"samples/split": numbers})
    check_refused("number 5 of /samples/split is 0.5", x, others={"samples/split": np.array([0, 1, 2, 0, 1, 0.5])})
    check_refused("number 1 of /samples/split is 256", x, others={"samples/split": np.array([0, 256, 1, 0, 0, 0], "u2")})
    check_refused("/samples/path has 1 rows", x, others={"samples/path": ["a"]})
    check_refused("is not a list of strings", x, {"y": y}, others={"classes/y": np.arange(3)})
    check_refused("not lists of one length", x,
                  others={"rejected/path": ["a"], "rejected/reason": ["a", "b"]})
    with h5py.File("theirs.h5", "w") as f:
        f["features/x"] = x["x"]
    result = tool("info", "theirs.h5")
    check("'format' is missing" in result.stderr and "cache-format.md" in result.stderr, result.stderr)


def check_we_say_which_filter_is_missing():
    write_theirs({"x": (np.zeros((600, 2), "f4"), dict(chunks=(100, 2), compression="lzf"))})
    check("x f32 (2): filter 32000" in tool("info", "theirs.h5").stdout, "filter by number")
    result = tool("read", "theirs.h5", "x", "out.f32")
    check(result.returncode == 1 and "filter 32000 (lzf) is not installed" in result.stderr, result.stderr)


# ---- the documentation ----

def check_the_page():
    with open(PAGE, encoding="utf-8") as stream:
        editor, reader, writer = re.findall(r"```python\n(.*?)```", stream.read(), re.S)
    make("photos.h5", "zstd")
    names = {}
    exec(reader, names)
    same(names["x"], expected("avgpool", ROWS), "the page's reader")
    check(names["classes"][names["y"][3]] == "Sägewespen", "classes in the page's reader")
    check(len(names["paths"]) == ROWS and names["train"].sum() == 367, "paths and train")
    check(type(names["identity"]) is str, "identity in the page's reader")
    exec(editor, {})
    result = tool("values", "photos.h5", "out.f32")
    check(result.returncode == 0 and np.fromfile("out.f32", "f4")[0] == 1, result.stderr)
    exec(writer, names)
    same(read_tap("mine.h5", "avgpool").reshape(100, 512), names["x"].astype("f4"), "the page's writer")
    result = tool("info", "mine.h5")
    check("target class class 1: cat dog\nidentity {}\nprovenance {}\nsplits no\n" in result.stdout,
          result.stdout + result.stderr)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    check_h5py_reads_ours()
    check_h5py_sees_damage()
    check_edits_are_noticed()
    check_plugin_refuses_what_it_cannot_know()
    check_plugin_writes()
    check_we_read_any_features()
    check_sizes_of_plain_chunks_are_not_believed()
    check_we_read_many_chunks()
    check_we_read_sparse_chunks()
    check_we_read_skipped_filters()
    check_we_read_filters_in_any_order()
    check_we_read_virtual_datasets()
    check_we_read_many_parts()
    os.remove("part1.h5")
    check_virtual_datasets_have_no_holes()
    check_shapes_of_catalogues_are_bounded()
    check_we_read_any_targets()
    check_we_refuse_what_is_no_cache()
    check_we_say_which_filter_is_missing()
    check_the_page()
    os.chdir("/")
print(f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}: {checks} checks passed")
