#!/usr/bin/env python3
"""Seeds for the fuzz targets: small valid files of every kind that is read.

usage: make_corpus.py FOLDER CACHE_TOOL MAKE_JOURNAL

Writes FOLDER/<what>/ for each target. What cannot be made for want of a Python module is
left out and said; everything else is the same on every run.
"""
import collections
import gzip
import io
import json
import pathlib
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import types
import zipfile
import zlib

FLOATS = struct.pack("<6f", *range(6))


class Folder:
    def __init__(self, root, what):
        self.path = pathlib.Path(root) / what
        self.path.mkdir(parents=True, exist_ok=True)

    def put(self, name, *parts):
        (self.path / name).write_bytes(b"".join(parts))


# ---- safetensors, and the models that train writes ----


def safetensors(tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes)"""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def make_safetensors(root):
    folder = Folder(root, "safetensors")
    folder.put("one", safetensors({"w": ("F32", [2, 3], FLOATS)}))
    types_and_sizes = [("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8), ("U8", 1), ("I8", 1),
                       ("I16", 2), ("I32", 4), ("I64", 8), ("BOOL", 1)]
    folder.put("types", safetensors({"module." + name: (name, [2], bytes(2 * size))
                                     for name, size in types_and_sizes}, {"format": "pt"}))
    folder.put("empty", safetensors({"none": ("F32", [0, 7], b""), "scalar": ("U8", [], b"\1")}))


def make_model(root):
    folder = Folder(root, "model")
    target = {"name": "class", "kind": "class", "classes": ["ants", "bees"],
              "weight": "fc.weight", "bias": "fc.bias"}
    description = {
        "version": 1, "backbone": {"name": "resnet18", "weights_sha256": "ab" * 32},
        "tap": "avgpool", "tap_shape": [3],
        "preprocess": {"resize": 8, "crop": 8, "interpolation": "bilinear",
                       "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        "precision": "fp32", "sources": {"weights_path": "random:0"}, "targets": [target],
        "metrics": {}, "config": {},
    }
    tensors = {"fc.weight": ("F32", [2, 3], FLOATS), "fc.bias": ("F32", [2], bytes(8))}

    def put(name, **changes):
        text = json.dumps({**description, **changes})
        folder.put(name, safetensors(tensors, {"format": "pt", "permafrost": text}))

    put("class")
    put("regression", targets=[{**target, "kind": "regression", "classes": None}])
    put("torchscript", backbone={"torchscript": "net.pt", "weights_sha256": "cd" * 32})
    put("several", targets=[target, {**target, "name": "again"}], tap_shape=[3, 1, 1])


# ---- .pth: pickles as torch.save makes them, without torch ----


class Storage:
    def __init__(self, kind, key, count):
        self.id = ("storage", kind, key, "cpu", count)


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        return obj.id + (None,) if self.legacy else obj.id


class LegacyPickler(Pickler):
    legacy = True


def stand_in(module, name):
    """What pickle finds under module.name and writes by that name."""
    def function(*_):
        raise NotImplementedError
    function.__module__, function.__qualname__ = module, name
    parts = module.split(".")
    for i in range(len(parts)):
        part = ".".join(parts[:i + 1])
        sys.modules.setdefault(part, types.ModuleType(part))
    setattr(sys.modules[module], name, function)
    return function


class Call:
    """Pickled as a call of function with arguments."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


def state_dict():
    rebuild = stand_in("torch._utils", "_rebuild_tensor_v2")
    parameter = stand_in("torch._utils", "_rebuild_parameter")
    floats = Storage(stand_in("torch", "FloatStorage"), "0", 6)
    halves = Storage(stand_in("torch", "HalfStorage"), "1", 12)
    longs = Storage(stand_in("torch", "LongStorage"), "2", 3)
    hooks = collections.OrderedDict()
    weight = Call(rebuild, floats, 0, (2, 3), (3, 1), False, hooks)
    tensors = collections.OrderedDict([
        ("conv1.weight", weight),
        ("module.conv1.bias", Call(parameter, Call(rebuild, floats, 3, (3,), (1,), True, hooks),
                                   True, hooks)),
        ("layer1.transposed", Call(rebuild, floats, 0, (3, 2), (1, 3), False, hooks)),
        ("layer1.half", Call(rebuild, halves, 2, (2, 5), (5, 1), False, hooks)),
        ("layer1.num_batches_tracked", Call(rebuild, longs, 1, (), (), False, hooks)),
        ("empty", Call(rebuild, floats, 6, (0, 4), (4, 1), False, hooks)),
    ])
    tensors._metadata = collections.OrderedDict([("", {"version": 1}), ("conv1", {"version": 2})])
    return tensors


def pickled(value, protocol=2, kind=Pickler):
    out = io.BytesIO()
    kind(out, protocol).dump(value)
    return out.getvalue()


STORAGES = [("0", 6, 4), ("1", 12, 2), ("2", 3, 8)]  # key, count, bytes each


def zip_pth(value, protocol=2):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        def put(name, content):
            archive.writestr(zipfile.ZipInfo("archive/" + name), content)
        put("data.pkl", pickled(value, protocol))
        put("byteorder", b"little")
        for key, count, size in STORAGES:
            put("data/" + key, bytes(count * size))
        put("version", b"3\n")
    return out.getvalue()


def legacy_pth(value, protocol=2):
    info = {"protocol_version": 1001, "little_endian": True,
            "type_sizes": {"short": 2, "int": 4, "long": 4}}
    keys = [key for key, _, _ in STORAGES]
    parts = [pickled(part, protocol, LegacyPickler)
             for part in (0x1950a86a20f9469cfc6c, 1001, info, value, keys)]
    parts += [struct.pack("<q", count) + bytes(count * size) for _, count, size in STORAGES]
    return b"".join(parts)


def make_pth(root):
    folder = Folder(root, "pth")
    tensors = state_dict()
    wrapped = {"epoch": 3, "arch": "resnet18", "best": 0.5, "state_dict": tensors,
               "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0, 1]}]},
               "notes": [None, True, b"bytes", "\u00e9", (1, 2, 3, 4), 2 ** 70, {1, 2}]}
    inert = Call(stand_in("torch.optim.lr_scheduler", "OneCycleLR"))
    sparse = Call(stand_in("torch._utils", "_rebuild_sparse_tensor"), 0, (1, 2))
    averaged = {"model": tensors, "model_ema": {"module": tensors},
                "beside": [collections.Counter([1]), {1, 2}, frozenset([3]), bytearray(b"ab"), 1j,
                           inert, Call(getattr, inert, "step")], "sparse": sparse}
    for name, value in (("plain", tensors), ("wrapped", wrapped), ("averaged", averaged)):
        for protocol in (2, 3, 4):
            folder.put(f"zip_{name}_{protocol}", zip_pth(value, protocol))
            folder.put(f"legacy_{name}_{protocol}", legacy_pth(value, protocol))


# ---- images ----


def png(width, height, depth, color, rows, extra=b"", interlaced=0):
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def make_pngs(folder):
    def palette(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    for color, channels, depths in ((0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 4, 8)),
                                    (4, 2, (8, 16)), (6, 4, (8, 16))):
        for depth in depths:
            width, height = 13, 6
            row_bytes = (width * channels * depth + 7) // 8
            rows = b"".join(bytes([y % 5]) + bytes((x * 7 + y) % 256 if depth > 4 else 0x11
                                                   for x in range(row_bytes)) for y in range(height))
            extra = palette(b"PLTE", bytes(range(48)) * 16) if color == 3 else b""
            folder.put(f"png_{color}_{depth}.png", png(width, height, depth, color, rows, extra))
    adam7 = b"".join(bytes(1 + w) * h for w, h in ((1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)))
    folder.put("png_interlaced.png", png(8, 8, 8, 0, adam7, interlaced=1))


def bmp(width, height, depth, rows, colors=b"", compression=0):
    offset = 54 + len(colors)
    return (b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset)
            + struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(rows), 0, 0,
                          len(colors) // 4, 0) + colors + rows)


def make_plain_images(folder):
    for depth in (1, 4, 8):
        stride = (9 * depth + 31) // 32 * 4
        folder.put(f"{depth}.bmp", bmp(9, 5, depth, bytes(range(stride)) * 5,
                                       bytes(4 << depth) if depth < 8 else bytes(range(256)) * 4))
    for depth in (16, 24, 32):
        stride = (9 * depth + 31) // 32 * 4
        folder.put(f"{depth}.bmp", bmp(9, -5, depth, bytes(range(stride)) * 5))
    folder.put("rle.bmp", bmp(4, 2, 8, b"\4\7\0\0\0\4\1\2\3\4\0\0\0\1", bytes(1024), 1))
    folder.put("p2.pgm", b"P2 # grey\n3 2\n255\n0 1 2\n3 4 255\n")
    folder.put("p3.ppm", b"P3\n2 1\n9\n0 1 2 9 8 7\n")
    folder.put("p5.pgm", b"P5\n3 2\n255\n" + bytes(6))
    folder.put("p5_16.pgm", b"P5\n3 2\n65535\n" + bytes(12))
    folder.put("p6.ppm", b"P6 3 2 255\n" + bytes(range(18)))


def make_simple_images(folder):
    """A file or two of each format that is decoded without a library."""
    row = bytes(range(40, 64))
    info = lambda bits, height: struct.pack("<IiiHHIIiiII", 40, 8, height, 1, bits, 0, 0, 0, 0, 3, 0) + bytes(12)
    picture = info(4, 4) + bytes(8) + bytes(8)
    folder.put("os2.bmp", b"BM" + bytes(8) + struct.pack("<IIHHHH", 29, 12, 8, 2, 1, 1) + bytes(6) + b"\xaa\0\0\0" * 2)
    folder.put("rle4.bmp", bmp(4, 2, 4, b"\4\x12\0\0\0\4\x12\x34\0\1", bytes(64), 2))
    folder.put("masks.bmp", bmp(2, 2, 16, b"\0\xf8\0\0\xe0\7\0\0\x1f\0\0\0" + bytes(8), b"", 3))
    folder.put("clipboard.dib", info(4, 2)[:52] + bytes(8))
    for kind in (1, 2):
        folder.put(f"icon_{kind}.ico", struct.pack("<HHHBBBBHHII", 0, kind, 1, 8, 2, 3, 0, 1, 4, len(picture), 22) + picture)
    folder.put("png.ico", struct.pack("<HHHBBBBHHII", 0, 1, 1, 2, 1, 0, 0, 1, 8, 90, 22) + png(2, 1, 8, 0, b"\0\1\2"))
    small = png(2, 1, 8, 0, b"\0\1\2")
    folder.put("a.icns", b"icns" + bytes(4) + b"ic11" + struct.pack(">I", 8 + len(small)) + small + b"ic07\0\0\0\x09a")
    folder.put("p1.pbm", b"P1 3 2 010 1#x\n0 1")
    folder.put("p4.pbm", b"P4 9 2\n" + bytes(4))
    folder.put("pf.pfm", b"Pf 2 1\n-1.0\n" + struct.pack("<ff", 3.5, 300))
    tga = lambda kind, bits, flags, data: struct.pack("<BBBHHBHHHHBB", 0, kind & 7 == 1, kind, 0, kind & 7 == 1 and 4,
                                                      24 if kind & 7 == 1 else 0, 0, 0, 4, 2, bits, flags) + data
    folder.put("rgb.tga", tga(2, 24, 0x20, row))
    folder.put("packed.tga", tga(10, 32, 8, b"\x83abcd\3" + row[:16]))
    folder.put("grey16.tga", tga(11, 16, 0x18, b"\x87ab"))
    folder.put("indexed.tga", tga(9, 8, 0x30, row[:12] + b"\x83\1\3\0\1\2\3"))
    psd = lambda channels, mode, colors, data: (b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", channels, 2, 4, 8, mode)
                                                + struct.pack(">I", len(colors)) + colors + bytes(8) + data)
    folder.put("rgb.psd", psd(3, 3, b"", b"\0\0" + row))
    folder.put("packed.psd", psd(1, 1, b"", b"\0\1\0\2\0\5\xfd\7\3\1\2\3\4"))
    folder.put("indexed.psd", psd(1, 2, bytes(768), b"\0\0" + row[:8]))
    folder.put("cmyk.psd", psd(4, 4, b"", b"\0\0" + row + row[:8]))
    sgi = lambda packed, size, planes, data: struct.pack(
        ">HBBHHHH", 474, packed, size, 3 if planes > 1 else 2, 4, 2, planes).ljust(512, b"\0") + data
    folder.put("rgb.sgi", sgi(0, 1, 3, row))
    folder.put("packed.sgi", sgi(1, 1, 1, struct.pack(">4I", 528, 530, 2, 6) + b"\4\7\x84\1\2\3\4\0"))
    folder.put("packed_16.sgi", sgi(1, 2, 1, struct.pack(">4I", 528, 528, 6, 6) + b"\0\4\7\7\0\0"))
    pcx = lambda bits, planes, size: struct.pack("<BBBBHHHHHH", 10, 5, 1, bits, 0, 0, 7, 1, 72, 72) + bytes(
        range(48)) + struct.pack("<BBH", 0, planes, size) + bytes(60)
    folder.put("planes.pcx", pcx(1, 4, 2) + b"\xc8\x55\xc8\x33")
    folder.put("rgb.pcx", pcx(8, 3, 8) + b"\xd8\x55\xd8\x33")
    folder.put("page.dcx", struct.pack("<III", 0x3ADE68B1, 12, 0) + pcx(8, 1, 8) + b"\xc8\x55\xc8\x33\x0c" + bytes(768))
    folder.put("a.qoi", b"qoif" + struct.pack(">IIBB", 4, 2, 4, 0) + b"\xfe\1\2\3\x6a\xa0\x88\xff\1\2\3\4\x11\xc2")
    for bits, kind, data in ((1, 1, row), (8, 2, b"\x80\7\1\x80\0" + row), (24, 3, row), (32, 1, row + row)):
        folder.put(f"{bits}.ras", struct.pack(">8I", 0x59A66A95, 4, 2, bits, 0, kind, 0, 0) + data)
    folder.put("a.xbm", b"#define a_width 9\n#define a_height 2\nstatic char a_bits[] = {\n0x01, 0x20, 0x3, 0xff };\n")
    folder.put("a.xpm", b'/* XPM */\n"3 2 2 1",\n"a c #010203",\n"b m x c None",\n"aba",\n"bab"\n')
    dds = lambda flags, code, bits, data: (b"DDS " + struct.pack("<4I", 124, 0x1007, 4, 8) + bytes(56) + struct.pack(
        "<II4s5I", 32, flags, code, bits, 0xff0000, 0xff00, 0xff, 0) + bytes(20) + data)
    for code, size in ((b"DXT1", 8), (b"DXT3", 16), (b"DXT5", 16), (b"ATI1", 8), (b"ATI2", 16), (b"BC5S", 16)):
        folder.put(f"{code.decode()}.dds", dds(4, code, 0, bytes(range(2 * size))))
    for number in (28, 95, 96, 98):
        for mode in range(8 if number > 90 else 1):
            block = bytes([1 << mode]) + bytes(range(100, 115))
            folder.put(f"{number}_{mode}.dds", dds(4, b"DX10", 0, struct.pack("<5I", number, 3, 0, 1, 0) + block * 8))
    folder.put("masks.dds", dds(0x40, bytes(4), 24, row * 4))
    folder.put("grey.dds", dds(0x20000, bytes(4), 8, row * 2))


def make_jpegs(folder):
    try:
        from PIL import Image
    except ImportError:
        print("no JPEG seeds: python3-pil is missing")
        return
    picture = Image.frombytes("RGB", (23, 17), bytes((i * i // 7) % 256 for i in range(23 * 17 * 3)))
    for mode in ("RGB", "L", "CMYK"):
        for options in ({}, {"progressive": True}, {"subsampling": 0, "quality": 95}):
            out = io.BytesIO()
            picture.convert(mode).save(out, "JPEG", **options)
            folder.put(f"{mode}_{len(options)}{'p' if 'progressive' in options else ''}.jpg",
                       out.getvalue())


def make_gifs(folder):
    """Codes of 9 bits for 8 x 4 indices, with and without what a GIF may have."""
    codes = sum(code << 9 * place for place, code in enumerate([256, *range(32), 257])).to_bytes(39, "little")
    palette = bytes(range(96))
    for name, flags, before, place in (("plain", 0, b"", (0, 0)), ("interlaced", 0x40, b"", (0, 0)),
                                       ("transparent", 0, b"!\xf9\4\1\0\0\5\0", (0, 0)), ("local", 0x84, b"!\xfe\2hi\0", (3, 2))):
        head = b"GIF89a" + struct.pack("<HHBBB", 9, 5, 0x84, 0, 0) + palette + before
        descriptor = b"," + struct.pack("<HHHHB", *place, 8, 4, flags) + (palette[::-1] if flags & 0x80 else b"")
        folder.put(f"{name}.gif", head, descriptor, b"\x08", bytes([len(codes)]), codes, b"\0;")


def make_web_images(folder):
    """AVIF and HEIC are those of the parity tests."""
    make_gifs(folder)
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parity"))
    import heif_pictures
    for name in ("alpha.avif", "deep10.avif", "alpha.heic", "turned.heic"):
        folder.put(name, heif_pictures.file(name))
    try:
        from PIL import Image
    except ImportError:
        print("no WebP seeds: python3-pil is missing")
        return
    picture = Image.frombytes("RGBA", (23, 17), bytes((i * i // 7) % 256 for i in range(23 * 17 * 4)))
    for name, options in {"lossy": {}, "lossless": {"lossless": True}, "moving": {"save_all": True, "append_images": [picture.rotate(9)]},
                          "turned": {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"}}.items():
        out = io.BytesIO()
        picture.save(out, "WEBP", **options)
        folder.put(f"{name}.webp", out.getvalue())


def tiff(mark, tags, data):
    """tags: (number, type 3 or 4, value); the data lie behind the header, at 8."""
    order = b"II" if mark == "<" else b"MM"
    entries = b"".join(struct.pack(mark + "HHIHH" if kind == 3 else mark + "HHII", number, kind, 1, value,
                                   *([0] if kind == 3 else [])) for number, kind, value in sorted(tags))
    return (order + struct.pack(mark + "HI", 42, 8 + len(data)) + data + struct.pack(mark + "H", len(tags)) + entries
            + bytes(4))


def make_raw_tiffs(folder):
    """What Pillow does not write: tiles, planes, odd depths."""
    for mark in "<>":
        for name, bits, samples, photometric, tile, more in (
                ("grey1", 1, 1, 0, 0, []), ("grey4", 4, 1, 1, 0, [(266, 3, 2)]), ("grey12", 12, 1, 1, 0, []),
                ("grey16", 16, 1, 1, 16, []), ("la", 8, 2, 1, 0, [(338, 3, 1)]), ("float", 32, 1, 1, 0, [(339, 3, 3)]),
                ("rgb", 8, 3, 2, 16, [(274, 3, 6)]), ("cmyk16", 16, 4, 5, 0, []), ("ycc", 8, 3, 6, 0, [(530, 3, 1)])):
            data = bytes(i * 7 % 256 for i in range(16 * 16 * samples * max(bits, 8) // 8))
            tags = [(256, 4, 13), (257, 4, 9), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (277, 3, samples)]
            blocks = ([(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(data))] if tile
                      else [(273, 4, 8), (278, 4, 9), (279, 4, len(data))])
            if (mark == "<") == (bits == 8):  # each in one order
                folder.put(f"{name}_{'II' if mark == '<' else 'MM'}.tif", tiff(mark, tags + blocks + more, data))


def make_tiffs_and_jpeg2000(folder):
    try:
        from PIL import Image
    except ImportError:
        print("no TIFF and JPEG 2000 seeds of Pillow's: python3-pil is missing")
        return
    picture = Image.frombytes("RGB", (23, 17), bytes((i * i // 7) % 256 for i in range(23 * 17 * 3)))
    cases = [("1", "tif", {"compression": codec}) for codec in ("group3", "group4")]
    cases += [(mode, "tif", {"compression": codec}) for mode in ("RGB", "P")
              for codec in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd")]
    cases += [("F", "tif", {"compression": "tiff_lzw"}), ("RGBA", "tif", {"big_tiff": True})]
    cases += [(mode, ending, options) for mode in ("RGB", "RGBA") for ending in ("jp2", "j2k")
              for options in ({"irreversible": True}, {"tile_size": (8, 8), "num_resolutions": 2})]
    for number, (mode, ending, options) in enumerate(cases):
        out = io.BytesIO()
        out.name = f"seed.{ending}"
        try:
            picture.convert(mode).save(out, "TIFF" if ending == "tif" else "JPEG2000", **options)
        except (OSError, RuntimeError, KeyError):
            continue
        folder.put(f"{mode}_{number}.{ending}", out.getvalue())


def make_images(root):
    folder = Folder(root, "image")
    make_raw_tiffs(folder)
    make_tiffs_and_jpeg2000(folder)
    make_pngs(folder)
    make_plain_images(folder)
    make_simple_images(folder)
    make_jpegs(folder)
    make_web_images(folder)


# ---- CIFAR: see fuzz_cifar.c for how a folder is packed into one input ----


def make_cifar(root):
    folder = Folder(root, "cifar")
    record = bytes(i * 5 % 256 for i in range(3072))
    names = b"".join(b"name%d\n" % i for i in range(10))
    fine = b"".join(b"fine%d\n" % i for i in range(100))

    def pack(is_100, file, class_names, records):
        return bytes([is_100, file]) + struct.pack("<H", len(class_names)) + class_names + records
    folder.put("ten", pack(0, 0, names, b"\3" + record + b"\t" + record))
    folder.put("ten_test", pack(0, 5, b"", b"\0" + record))
    folder.put("hundred", pack(1, 0, fine, b"\1\x63" + record))
    folder.put("hundred_test", pack(1, 1, b"", b"\1\2" + record + b"\0\0" + record))


# ---- CIFAR's pickles and idx files: see fuzz_records.c for how a folder is packed ----


def pickle_of_python_2(labels_key, rows):
    """As cPickle wrote a batch, without what it put away for later."""
    pixels = bytes(i * 5 % 256 for i in range(rows * 3072))
    return (b"\x80\2}(U" + bytes([len(labels_key)]) + labels_key + b"](" + b"K\3" * rows + b"eU\4data"
            b"cnumpy.core.multiarray\n_reconstruct\nq\1cnumpy\nndarray\nq\2K\0\x85U\1b\x87R(K\1K" +
            bytes([rows]) + b"M\0\x0c\x86cnumpy\ndtype\nU\2u1K\0K\1\x87R(K\3U\1|NNN" +
            2 * b"J\xff\xff\xff\xff" + b"K\0tb\x89T" + struct.pack("<I", len(pixels)) + pixels + b"tbu.")


def make_records(root):
    folder = Folder(root, "records")
    names = pickle.dumps({b"label_names": [b"name%d" % i for i in range(10)]}, protocol=3)
    fine = pickle.dumps({"fine_label_names": ["fine%d" % i for i in range(100)]}, protocol=4)

    def idx(*sizes):
        count = 1
        for size in sizes:
            count *= size
        return struct.pack(f">I{len(sizes)}I", 0x800 + len(sizes), *sizes) + bytes(i % 9 for i in range(count))

    def put(name, kind, first, pixels):
        folder.put(name, bytes([kind]) + struct.pack("<H", len(first)) + first + pixels)
    put("ten", 0, names, pickle_of_python_2(b"labels", 2))
    put("hundred", 1, fine, pickle_of_python_2(b"fine_labels", 1))
    put("without_names", 1, b"", pickle_of_python_2(b"fine_labels", 1))
    buffer = (b"\x80\5}(\x8c\6labels](K\1e\x8c\4data\x8c\x13numpy._core.numeric\x8c\x0b_frombuffer\x93"
              b"(\x96" + struct.pack("<Q", 3072) + bytes(3072) + b"\x8c\5numpy\x8c\5dtype\x93\x8c\2u1\x89\x88"
              b"\x87RK\1M\0\x0c\x86\x8c\1CtRu.")
    put("buffer", 0, names, buffer)
    put("idx", 2, idx(3), idx(3, 4, 5))
    put("idx_packed", 3, gzip.compress(idx(3), mtime=0), gzip.compress(idx(3, 4, 5), mtime=0))


# ---- archives ----


def tar_of(form, members):
    """members: name -> bytes, or the fields of one without any"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, dict):
                info.type, info.linkname = content["type"], content["linkname"]
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.size else None)
    return out.getvalue().rstrip(b"\0") + bytes(1024)


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def make_archives(root):
    folder = Folder(root, "archive")
    classes = {"a/1.jpg": b"one", "a/2.jpg": b"two", "b/3": b"\xff\xd8\xff\xe0 a JPEG", "b/4.txt": b"x"}
    splits = {"top/" + split + "/" + name: content for split in ("train", "val") for name, content in classes.items()}
    keys = {"1.jpg": b"one", "1.cls": b"3", "2.png": b"two", "2.cls": b"word", "2.mask.png": b"x"}
    texts = {"1.jpg": b"one", "1.json": b'{"label": 3}', "2.jpg": b"two", "2.json": b'{"label": "x"}'}
    odd = {"link.jpg": {"type": tarfile.SYMTYPE, "linkname": "x"}, "../x.jpg": b"x", "__MACOSX/x": b"x",
           "hard.jpg": {"type": tarfile.LNKTYPE, "linkname": "a/1.jpg"}, "n" * 120 + "/\u00fc.jpg": b"x"}
    for name, form in ("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT):
        folder.put(name, tar_of(form, classes))
        folder.put(name + "_odd", tar_of(form, {**odd, **classes} if form != tarfile.USTAR_FORMAT else classes))
    folder.put("splits", tar_of(tarfile.PAX_FORMAT, splits))
    folder.put("keys", tar_of(tarfile.USTAR_FORMAT, keys))
    folder.put("texts", tar_of(tarfile.USTAR_FORMAT, texts))
    folder.put("zip", zip_of(classes))
    folder.put("zip_stored", zip_of({"\u00fc" + name: content for name, content in classes.items()}, zipfile.ZIP_STORED))
    folder.put("zip_keys", zip_of(keys))
    folder.put("gzip", zlib.compress(tar_of(tarfile.USTAR_FORMAT, classes), wbits=31))


# ---- manifests: see fuzz_manifest.c for the two bytes before the file ----


def make_manifests(root):
    folder = Folder(root, "manifest")
    full = ("path,age,tags,red,round,x,y,split\n"
            "a.jpg,31,new;old,1,0,40.5,52,train\n"
            "b.png,\"1,200\",\"'new', x\",-1,1,,7e1,val\n"
            "\"a.jpg\",N/A,,True,no,1.5,-,TEST\n")
    german = "sep=;\r\npath;age;set\r\na.jpg;1.200,5;train\r\n.\\b;3,5 %;dev\r\na;-;test\r\n"
    lists = "path|tags|age\na.jpg|['new', 'old one']|$3\nb.png|[\"x\"]|$1 200\n"
    words = "a.jpg 3 left\nb.png 4 \"right side\"\n\na.jpg 5 up\n"
    flags = "id,is_valid,fold,tags\na,True,0,a b\nb,0,1,b\na,1,2,a\n"
    plain = "C:\\photos\\a.jpg\nC:\\photos\\b.png\n"
    for name, options, ending, text in (
            ("full", 0, 0, full), ("kinds", 8, 0, full), ("look", 0x28, 0, full),
            ("points", 0x38, 0, full), ("before", 0x40, 0, full), ("classes", 0x18, 0, full),
            ("german", 0, 0, german), ("comma", 2, 0, german), ("lists", 8, 0, lists),
            ("words", 0, 2, words), ("suffix", 1, 2, "a\nb.png\n"), ("flags", 8 + 3, 0, flags),
            ("fold", 6, 0, flags.replace("fold", "set")), ("plain", 0, 3, plain),
            ("tabs", 0, 1, full.replace(",", "\t"))):
        folder.put(name, bytes([options, ending]), text.encode())
    umlauts = german.replace("age", "Größe")
    folder.put("windows", b"\4\0", umlauts.encode("cp1252"))
    folder.put("not_utf8", b"\0\0", umlauts.encode("cp1252"))
    folder.put("utf16", b"\0\0", umlauts.encode("utf-16"))
    folder.put("utf16le", b"\5\2", umlauts.encode("utf-16-le"))


# ---- feature caches: sealed ones by our writer, others by h5py ----


def make_caches(root, cache_tool):
    sealed = Folder(root, "sealed_cache")
    for compression in ("gzip", "zstd"):
        subprocess.run([cache_tool, "write", sealed.path / f"{compression}.h5", compression, "5"],
                       check=True)
    folder = Folder(root, "cache")
    try:
        import h5py
        import numpy
    except ImportError:
        print("no caches by h5py: python3-h5py is missing")
        return
    for libver in ("earliest", "latest"):
        for name, options in (("contiguous", {}), ("chunked", {"chunks": (2, 3)}),
                              ("gzip", {"chunks": (2, 3), "compression": "gzip", "shuffle": True,
                                        "fletcher32": True})):
            write_h5py_cache(h5py, numpy, folder.path / f"h5py_{libver}_{name}.h5", libver, options)


def write_h5py_cache(h5py, numpy, path, libver, options):
    with h5py.File(path, "w", libver=libver) as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file.attrs["identity"] = '{"tap": "avgpool"}'
        features = numpy.arange(15, dtype="f2").reshape(5, 3)
        file.create_dataset("features/avgpool", data=features, **options)
        file.create_dataset("features/double", data=features.astype("f8"), **options)
        labels = file.create_dataset("targets/class", data=numpy.array([0, 1, -1, 1, 0], "i4"))
        labels.attrs["kind"] = "class"
        file.create_dataset("targets/box", data=numpy.ones((5, 4), "f4"))
        file.create_dataset("classes/class", data=["ants", "bees"], dtype=h5py.string_dtype())
        file.create_dataset("samples/path", data=[b"a%d.jpg" % i for i in range(5)], dtype="S6")
        file.create_dataset("samples/split", data=numpy.array([0, 0, 1, 1, 2], "u1"))
        file.create_dataset("samples/digest", data=numpy.zeros((5, 16), "u1"))
        for column in ("size", "mtime_ns", "ctime_ns"):
            file.create_dataset("samples/" + column, data=numpy.arange(5, dtype="i8"))
        file.create_dataset("rejected/path", data=["x.jpg"], dtype=h5py.string_dtype())
        file.create_dataset("rejected/reason", data=["empty"], dtype=h5py.string_dtype())


def make_recipes(root):
    """fuzz_cache_layout.c: any bytes are a recipe; rarely unusual ones, and wild ones."""
    folder = Folder(root, "cache_layout")
    chance = random.Random(0)
    for i in range(12):
        folder.put(f"rare{i}", bytes(chance.randrange(256) if chance.randrange(6) == 0 else 0
                                     for _ in range(400)))
        folder.put(f"wild{i}", bytes(chance.randrange(256) for _ in range(400)))


# ---- checkpoints of a training, JSON out of caches and models, command lines ----


def make_checkpoints(root):
    """The run and the arrays are those of fuzz_checkpoint.c."""
    folder = Folder(root, "checkpoint")
    arrays = {"weight": ("U8", [24], FLOATS), "step": ("U8", [8], struct.pack("<q", 7))}
    folder.put("whole", safetensors(arrays, {"run": "a run"}))
    folder.put("of_another_run", safetensors(arrays, {"run": "another"}))
    folder.put("one_too_few", safetensors({"step": arrays["step"]}, {"run": "a run"}))
    folder.put("other_size", safetensors({**arrays, "weight": ("U8", [4], bytes(4))}, {"run": "a run"}))
    folder.put("other_type", safetensors({**arrays, "weight": ("F32", [6], FLOATS)}, {"run": "a run"}))


def make_json(root):
    folder = Folder(root, "json")
    preprocess = {"resize": 256, "crop": 224, "squash": False, "interpolation": "bicubic",
                  "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "fast_decode": True}
    identity = {"backbone": {"name": "resnet18", "weights_sha256": "ab" * 32}, "preprocess": preprocess, "views": 4,
                "taps": ["avgpool", "layer3"], "precision": "fp32", "store": "f16"}
    folder.put("preprocess", json.dumps(preprocess).encode())
    folder.put("identity", json.dumps(identity).encode())
    folder.put("odd", b'{"mean": [1e999, -0, null], "resize": 1.5, "crop": "224", "a": {"b": {"c": []}}, "\\u0000": ""}')
    folder.put("deep", b'{"a":' * 50 + b"1" + b"}" * 50)


def make_options(root):
    """Arguments end in a zero byte; the first byte says whose they are."""
    folder = Folder(root, "options")
    extract = ["photos -o a.h5 --backbone resnet18 --tap avgpool,layer3 --split val=0.1,test=0.1 --max-bad 5%",
               "photos -o a.h5 --views 4 --mean .5 --std .5,.5,.5 --shard 2/3 --sample 10 --batch 8 --device cuda:0,cpu",
               "list.csv -o a.h5 --target age,sex:class=gender --path-column file --root x --compress gzip:9",
               "--info a.h5", "--merge all.h5 a.h5 b.h5 --virtual", "--verify photos a.h5", "--summary --backbone vgg16",
               "photos --crop -1 --resize 1e9 --level 0x10 -o"]
    train = ["a.h5 -o m.safetensors --optimizer adamw --lr 1e-3 --epochs 5 --batch 64 --normalize l2 --seed 3",
             "a.h5 --sweep lr=1e-4..1e-1:log7 --sweep head=linear,mlp:256 --folds 5 --seeds 2 --csv - --json r.json",
             "a.h5 --head mlp:512x128 --dropout 0.5 --loss age=l1,size=huber:2 --schedule step:7,0.1 --task-weight age=2",
             "a.h5 --finetune layer4 --batch-norm learn --resume -o m --assert val.accuracy>=0.5 --memory 2G"]
    for whose, lines in ((b"e", extract), (b"t", train)):
        for number, line in enumerate(lines):
            folder.put(f"{whose.decode()}{number}", whose, *(word.encode() + b"\0" for word in line.split()))


def make_journals(root, make_journal):
    folder = Folder(root, "journal")
    with tempfile.TemporaryDirectory() as temporary:
        output = pathlib.Path(temporary) / "out.h5"
        for compression in ("none", "gzip", "zstd"):
            for rows in (0, 2, 11) if compression != "none" else (0,):
                subprocess.run([make_journal, output, compression, str(rows)], check=True)
                journal = pathlib.Path(str(output) + ".journal")
                folder.put(f"{compression}_{rows}", journal.read_bytes())
                journal.unlink()


# ---- ONNX files ----


def message(*fields):
    """Of (number, value): integers, texts and messages, and floats."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value & (1 << 64) - 1)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def onnx_tensor(name, dims, values, of_type=1):
    raw = struct.pack(f"<{len(values)}{'f' if of_type == 1 else 'q'}", *values)
    return message(*((1, size) for size in dims), (2, of_type), (8, name), (9, raw))


def onnx_node(of_type, inputs, outputs, **attributes):
    fields = [(1, name) for name in inputs.split()] + [(2, name) for name in outputs.split()]
    for name, value in attributes.items():
        kind = {int: [(3, value), (20, 2)], float: [(2, value), (20, 1)], str: [(4, value), (20, 3)]}.get(type(value))
        fields.append((5, message((1, name), *(kind or [*((8, number) for number in value), (20, 7)]))))
    return message(*fields, (3, "n_" + outputs.split()[0]), (4, of_type))


def onnx_model(nodes, tensors, opset=13, shape=(0, 3, 0, 0)):
    dims = message(*((1, message((1, size)) if size else b"") for size in shape))
    image = message((1, "x"), (2, message((1, message((1, 1), (2, dims))))))
    graph = message(*((1, node) for node in nodes), *((5, tensor) for tensor in tensors), (11, image), (12, message((1, "y"))))
    return message((1, 8), (2, "seed"), (7, graph), (8, message((1, ""), (2, opset))))


def make_onnx(root):
    folder = Folder(root, "onnx")
    node, tensor = onnx_node, onnx_tensor
    ramp = [i / 64 for i in range(64)]
    folder.put("maps", onnx_model(
        [node("Conv", "x w b", "c", pads=[1, 0, 1, 0], strides=[2, 2], group=1), node("BatchNormalization", "c s b s s", "n", epsilon=1e-3),
         node("Relu", "n", "r"), node("MaxPool", "r", "m", kernel_shape=[3, 3], auto_pad="SAME_UPPER"), node("Split", "m", "p q", axis=1),
         node("HardSigmoid", "p", "h", alpha=0.2), node("Mul", "h q", "g"), node("Concat", "g p", "k", axis=1),
         node("GlobalAveragePool", "k", "a"), node("Flatten", "a", "f"), node("Gemm", "f d e", "y", transB=1)],
        [tensor("w", [2, 3, 2, 3], ramp[:36]), tensor("b", [2], [0, 1]), tensor("s", [2], [1, 2]),
         tensor("d", [2, 2], [1, 2, 3, 4]), tensor("e", [2], [1, 1])]))
    folder.put("tokens", onnx_model(
        [node("Conv", "x w", "c", strides=[4, 4]), node("Shape", "c", "s"), node("Slice", "s zero two", "t"), node("Concat", "t minus", "u", axis=0),
         node("Reshape", "c u", "r"), node("Transpose", "r", "k", perm=[0, 2, 1]), node("ReduceMean", "k", "m", axes=[-1]), node("Sub", "k m", "d"),
         node("Pow", "d p", "q"), node("ReduceMean", "q", "v", axes=[-1]), node("Add", "v eps", "e"), node("Sqrt", "e", "o"), node("Div", "d o", "i"),
         node("Mul", "i g", "j"), node("Add", "j g", "l"), node("MatMul", "l a", "z"), node("Transpose", "z", "zt", perm=[0, 2, 1]),
         node("MatMul", "z zt", "h"), node("Softmax", "h", "f", axis=-1), node("MatMul", "f z", "aa"), node("Gather", "aa zero0", "bb", axis=1),
         node("Div", "bb root", "rb"), node("Erf", "rb", "er"), node("Add", "er one", "ad"), node("Mul", "bb ad", "gg"), node("Mul", "gg half", "y")],
        [tensor("w", [2, 3, 4, 4], ramp + ramp[:32]), tensor("zero", [1], [0], 7), tensor("zero0", [], [0], 7), tensor("two", [1], [2], 7),
         tensor("minus", [1], [-1], 7), tensor("p", [], [2.0]), tensor("eps", [], [1e-5]), tensor("g", [2], [1.0, 2.0]),
         tensor("a", [2, 2], [1.0, 2.0, 3.0, 4.0]), tensor("one", [], [1.0]), tensor("half", [], [0.5]), tensor("root", [], [2 ** 0.5])], shape=(1, 3, 16, 16)))
    folder.put("numbers", onnx_model(
        [node("GlobalMaxPool", "x", "p"), node("LeakyRelu", "p", "l", alpha=0.1), node("Elu", "l", "e"), node("Max", "e v three", "m"),
         node("Min", "m v", "n"), node("Abs", "n", "a"), node("Sqrt", "a", "r"), node("Exp", "r", "x2"), node("Log", "x2", "g"),
         node("Reciprocal", "g", "i"), node("Neg", "i", "j"), node("Pow", "j three", "w"), node("Pow", "w v", "u"),
         node("ReduceSum", "u axes", "s", keepdims=1), node("ReduceMax", "s", "t", axes=[-1, 2], keepdims=0), node("Erf", "v", "o"),
         node("Add", "t o", "y")],
        [tensor("v", [1], [0.5]), tensor("three", [], [3.0]), tensor("axes", [1], [1], 7)]))
    folder.put("last", onnx_model([node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Clip", "t lo hi", "c"), node("Pad", "c pads", "y")],
                                  [tensor("lo", [], [0.0]), tensor("hi", [], [6.0]), tensor("pads", [8], [0, 0, 1, 0, 0, 0, 0, 2], 7)],
                                  shape=(0, 0, 0, 3)))
    folder.put("sizes", onnx_model(
        [node("Conv", "x w", "c", strides=[2, 2]), node("Resize", "c none scales", "r", mode="linear"),
         node("Resize", "r none none sizes", "t", mode="cubic", coordinate_transformation_mode="align_corners"),
         node("InstanceNormalization", "t s s", "i"), node("GroupNormalization", "i s s", "g", num_groups=2), node("PRelu", "g slope", "p"),
         node("DepthToSpace", "p", "d", blocksize=2, mode="CRD"), node("SpaceToDepth", "d", "e", blocksize=2), node("Mish", "e", "m"),
         node("Tile", "m repeats", "o"), node("Gather", "o which", "a", axis=3), node("ReduceL2", "a axes", "l", keepdims=0),
         node("LpNormalization", "l", "n"), node("Tile", "table twice", "tt"), node("Trilu", "tt", "tr", upper=0), node("MatMul", "n tr", "y")],
        [tensor("w", [4, 3, 2, 2], ramp[:48]), tensor("none", [0], []), tensor("scales", [4], [1.0, 1.0, 2.0, 1.5]),
         tensor("sizes", [4], [1, 4, 6, 8], 7), tensor("s", [4], [1.0, 2.0, 3.0, 4.0]), tensor("slope", [4, 1, 1], [0.1, 0.2, 0.3, 0.4]),
         tensor("repeats", [4], [1, 1, 1, 2], 7), tensor("which", [2, 2], [0, 3, 4, -1], 7), tensor("axes", [3], [2, 3, 4], 7),
         tensor("table", [2, 1], [1.0, 2.0]), tensor("twice", [2], [2, 3], 7)], opset=21))
    slope = message((1, "alpha"), (21, "alpha"), (20, 1))
    body = message((1, "y"), (2, "z"), (4, "LeakyRelu"), (5, slope))
    opset = message((1, ""), (2, 13))
    function = message((1, "leaky"), (4, "y"), (5, "z"), (6, "alpha"), (7, body), (9, opset), (10, "mine"), (11, message((1, "beta"), (3, 1), (20, 2))))
    outer = message((1, "twice"), (4, "a"), (5, "b"), (7, node("leaky", "a", "q", alpha=0.5) + message((7, "mine"))),
                    (7, node("leaky", "q", "b") + message((7, "mine"))), (9, opset), (10, "mine"))
    folder.put("functions", onnx_model([node("twice", "x", "y") + message((7, "mine"))], []) + message((25, function), (25, outer)))
    # Sizes that a few nodes make too large to count, and a range of numbers that no float holds.
    growing = [node("Concat", " ".join(["x" if i == 0 else f"c{i}"] * 64), f"c{i + 1}", axis=1) for i in range(12)]
    folder.put("doubled", onnx_model([*growing, node("Relu", "c12", "y")], []))
    folder.put("expanded", onnx_model([node("GlobalAveragePool", "x", "p"), node("Expand", "p sizes", "y")],
                                      [tensor("sizes", [6], [1, 1, 1 << 40, 3, 1 << 40, 1 << 40], 7)]))
    folder.put("range", onnx_model([node("Range", "start end step", "r"), node("Add", "x one", "y")],
                                   [tensor("start", [], [(1 << 63) - 1], 7), tensor("end", [], [0], 7), tensor("step", [], [-(1 << 62)], 7),
                                    tensor("one", [], [1.0])]))
    written = pathlib.Path(__file__).parent.parent / "unit/common/onnx/attention"
    for name in ("clip_dynamo", "timm_dynamo", "torchvision_dynamo", "timm_plain_script"):
        folder.put(name, (written / f"{name}.onnx").read_bytes())


def main():
    root, cache_tool, make_journal = sys.argv[1:]
    make_safetensors(root)
    make_model(root)
    make_pth(root)
    make_images(root)
    make_cifar(root)
    make_records(root)
    make_archives(root)
    make_manifests(root)
    make_recipes(root)
    make_caches(root, cache_tool)
    make_checkpoints(root)
    make_json(root)
    make_options(root)
    make_journals(root, make_journal)
    make_onnx(root)


if __name__ == "__main__":
    main()
