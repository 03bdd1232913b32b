#!/usr/bin/env python3
"""Small files that ask for gigabytes or minutes: each is refused in words, with little memory.

Memory is what the kernel says that the program had at most; under sanitizers, whose own memory that
would be, only the words are checked.

usage: bombs.py BUILD [NAME...]
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tarfile
import zlib

from trial import BUILD, EXTRACT, Failed, Run, check, environment, main

PREDICT, TRAIN = BUILD / "bin/predict", BUILD / "bin/train"
SANITIZED = bool(os.environ.get("PF_SANITIZE"))
MOST_MEMORY = 500 << 20
# Where a limit is missing the machine is spared.
ADDRESS_SPACE = 12 << 30
TIMEOUT = 300

NETWORK = ["--backbone", "fake.pt", "--resize", "20", "--crop", "16", "--workers", "2"]


# ---- running ----

def limit_address_space():
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def measure(folder, arguments):
    """The run, and its largest memory in bytes."""
    out, err = folder / "stdout", folder / "stderr"
    with open(out, "wb") as stdout, open(err, "wb") as stderr:
        process = subprocess.Popen([str(a) for a in arguments], cwd=folder, env=environment(),
                                   stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                   preexec_fn=None if SANITIZED else limit_address_space)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    texts = (path.read_text(errors="replace") for path in (out, err))
    return Run(process.returncode, *texts), usage.ru_maxrss * 1024


def refused(folder, arguments, code, *words):
    """The program must leave with code, having said all the words."""
    result, memory = measure(folder, arguments)
    said = f"{' '.join(map(str, arguments))}\n{result.err}"
    check(result.code == code, f"exit code {result.code}, expected {code} ({memory >> 20} MB): {said}")
    for word in words:
        check(word in result.err + result.out, f"'{word}' is not said ({memory >> 20} MB): {said}")
    check(SANITIZED or memory < MOST_MEMORY, f"{memory >> 20} MB of memory: {said}")
    return result


# ---- deflate ----

def deflated_zeros(megabytes):
    """A zlib stream of so many MiB of zeros, made in an instant: one flushed block again and again."""
    size = 1 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    adler = (megabytes * size % 65521) << 16 | 1
    return b"\x78\x9c" + block * megabytes + end + struct.pack(">I", adler)


# ---- archives ----

def zstd_block(kind, size, content, is_last):
    return struct.pack("<I", is_last | kind << 1 | size << 3)[:3] + content


def archive_of_zeros(folder):
    """A .tar.zst of 50 KB, whose one member is 1.6 GB of zeros."""
    size, count = 1 << 17, 12_000
    header = tarfile.TarInfo("train/cat/a.jpg")
    header.size = size * count
    path = folder / "zeros.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\x38" + zstd_block(0, 512, header.tobuf(), 0)
                     + zstd_block(1, size, b"\0", 0) * count + zstd_block(0, 0, b"", 1))
    refused(folder, [EXTRACT, path, "-o", "x.h5", *NETWORK], 1, "expected an archive of images, found",
            "that become more than 1.1 GB. Hint: ")


# ---- images ----

def png(width, height):
    """RGB, black."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    megabytes = (height * (3 * width + 1) >> 20) + 1
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", deflated_zeros(megabytes))
            + chunk(b"IEND", b""))


def pack_bits(bits):
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def jpeg(width, height, scans):
    """Grey and progressive: the first scan has a bit for each block, all others a run of blocks
    without anything in a few bytes."""
    def segment(marker, data):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data

    def scan(first, last, bits):
        return segment(0xDA, bytes([1, 1, 0, first, last, 0])) + pack_bits(bits)

    blocks = -(-width // 8) * -(-height // 8)
    one_code = bytes([1] + [0] * 15)
    tables = segment(0xC4, b"\0" + one_code + b"\0") + segment(0xC4, b"\x10" + one_code + b"\xe0")
    empty = scan(1, 63, ("0" + "10" * 7) * (blocks // ((1 << 14) + 0x2AAA) + 1))
    return (b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
            + segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0") + tables
            + scan(0, 0, "0" * blocks) + empty * scans + b"\xff\xd9")


def extract_image(folder, name, content, *options):
    images = folder / "images"
    images.mkdir(exist_ok=True)
    for old in images.iterdir():
        old.unlink()
    (images / name).write_bytes(content)
    return [EXTRACT, images, "-o", "out.h5", *NETWORK, "--force", "--max-bad", "0", *options]


def png_of_zeros(folder):
    content = png(8000, 8000)
    check(len(content) < 250_000, "the bomb is small")
    refused(folder, extract_image(folder, "zeros.png", content), 3,
            "zeros.png: too large for its file: 832 MB to decode", "Hint: --max-pixels")


def png_beyond_all(folder):
    refused(folder, extract_image(folder, "huge.png", png(40000, 40000)), 3,
            "huge.png: too large: 40000 x 40000 pixels")


def png_by_option(folder):
    """--max-pixels takes what was refused, also where it was refused before; a smaller one does not."""
    content = png(4200, 4200)
    arguments = extract_image(folder, "zeros.png", content)
    refused(folder, arguments, 3, "too large for its file", "Hint: --max-pixels")
    (folder / "images/good.png").write_bytes(png(30, 40))
    arguments[arguments.index("--force"):] = ["--max-bad", "1"]
    first, _ = measure(folder, arguments)
    check(first.code == 0, f"one bad image is allowed: {first.err}")
    again, _ = measure(folder, arguments)
    check("up to date" in again.err, f"it stays refused: {again.err}")
    small, _ = measure(folder, arguments + ["--max-pixels", "17000000"])
    check("at most 17000000. Hint: --max-pixels 17640000" in small.err, f"of the limit: {small.err}")
    taken, _ = measure(folder, arguments + ["--max-pixels", "17640000"])
    check(taken.code == 0 and "out.h5: 2 rows, 1 computed" in taken.err, f"it is taken: {taken.err}")


def jpeg_of_scans(folder):
    refused(folder, extract_image(folder, "scans.jpg", jpeg(2048, 2048, 6000)), 3,
            "scans.jpg: more than 500 scans in a JPEG of 2048 x 2048 pixels")


def jpeg_of_few_scans(folder):
    """Fewer scans are allowed where each is long."""
    content = jpeg(12000, 12000, 200) + bytes(4 << 20)
    result, _ = measure(folder, extract_image(folder, "long.jpg", content))
    check(result.code == 3 and "more than 29 scans" in result.err, result.err)


def jpeg_of_coefficients(folder):
    refused(folder, extract_image(folder, "large.jpg", jpeg(16000, 16000, 3)), 3,
            "large.jpg: too large for its file: 1.3 GB to decode")


def jpeg_of_holes(folder):
    arguments = extract_image(folder, "holes.jpg", jpeg(64, 64, 1))
    os.truncate(folder / "images/holes.jpg", 1 << 30)
    with open(folder / "images/holes.jpg", "rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) >= 1 << 30:
            return
    refused(folder, arguments, 3, "holes.jpg: of its 1.1 GB only", "the rest are holes")


def tiff(side, samples):
    """Grey, with so many samples that mean nothing; all tiles lie at the same place."""
    tile = 16
    count = (-(-side // tile)) ** 2
    data = zlib.compress(bytes(tile * tile * samples), 9)
    short, long = 3, 4
    values = 8 + 2 + 11 * 12 + 4
    entries = [(256, long, 1, side), (257, long, 1, side), (258, short, 1, 8), (259, short, 1, 8),
               (262, short, 1, 1), (277, short, 1, samples), (284, short, 1, 1), (322, long, 1, tile),
               (323, long, 1, tile), (324, long, count, values), (325, long, count, values + 4 * count)]
    at = values + 8 * count
    return (struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries))
            + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
            + struct.pack("<I", at) * count + struct.pack("<I", len(data)) * count + data)


def tiff_of_samples(folder):
    content = tiff(1000, 65535)
    check(len(content) < 60_000, "the bomb is small")
    result, memory = measure(folder, extract_image(folder, "wide.tif", content))
    if "TIFF needs " in result.err or "TIFF is not supported by this build" in result.err:
        return
    check(result.code == 3 and "wide.tif: too large: 3969 tiles of 16776960 bytes" in result.err, result.err)
    check(SANITIZED or memory < MOST_MEMORY, f"{memory >> 20} MB of memory: {result.err}")


def manifest_of_holes(folder):
    path = folder / "images.csv"
    path.write_text("path,label\na.jpg,b\n")
    os.truncate(path, 20 << 30)
    with open(path, "rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) >= 20 << 30:
            return
    refused(folder, [EXTRACT, path, "-o", "x.h5", *NETWORK], 1, "images.csv': of its 21.5 GB only")


# ---- caches ----

def hdf5():
    try:
        import h5py
    except ImportError:
        return None
    return h5py


def write_cache(path, rows, width=8, labels=None, **layout):
    """A cache by h5py whose features, and labels unless given, were never written."""
    h5py = hdf5()
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file.create_dataset("features/avgpool", (rows, width), "f2", **layout)
        if labels is None:
            file.create_dataset("targets/label", (rows,), "i4", chunks=(min(rows, 1 << 16),), fillvalue=0)
        else:
            file["targets/label"] = labels
        file["classes/label"] = ["a", "b"]
    return path


def read_by_all(folder, path, *words):
    """Every program that opens caches refuses it."""
    refused(folder, [TRAIN, path, "-o", "m.safetensors"], 1, *words)
    refused(folder, [EXTRACT, "--info", path], 1, *words)
    refused(folder, [EXTRACT, "--verify", path], 1, *words)


def cache_of_unwritten_rows(folder):
    path = write_cache(folder / "rows.h5", 1_000_000_000, chunks=(4096, 8))
    check(path.stat().st_size < 40_000, "the bomb is small")
    read_by_all(folder, path, "/features/avgpool claims 1000000000 rows, and a file of")


def cache_of_unwritten_features(folder):
    for layout in ({"chunks": (16, 100_000)}, {}):
        path = write_cache(folder / "wide.h5", 4000, 200_000, **layout)
        read_by_all(folder, path, "/features/avgpool claims numbers of 3.2 GB, and a file of")


def cache_of_a_large_chunk(folder):
    path = write_cache(folder / "chunk.h5", 1000, 1024, chunks=(1_000_000, 1024), maxshape=(None, 1024),
                       compression="gzip")
    read_by_all(folder, path, "/features/avgpool claims chunks of 2.0 GB", "h5repack -l")


def cache_of_one_target(folder):
    """Under thousands of names."""
    h5py = hdf5()
    path = write_cache(folder / "names.h5", 1_000_000, 8, chunks=(4096, 8))
    with h5py.File(path, "a") as file:
        for i in range(3000):
            file[f"targets/t{i}"] = file["targets/label"]
            file[f"classes/t{i}"] = file["classes/label"]
    read_by_all(folder, path, "its targets take", "several may be one under other names")


def write_gzip_chunk(path, payload, filters):
    """Labels in a chunk of 4 KB that is the payload, and as many gzip filters."""
    h5py = hdf5()
    write_cache(path, 1000, chunks=(1000, 8))
    with h5py.File(path, "a") as file:
        del file["targets/label"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1000,))
        for _ in range(filters):
            properties.set_filter(1, 0, (9,))
        space = h5py.h5s.create_simple((1000,))
        dataset = h5py.h5d.create(file["targets"].id, b"label", h5py.h5t.STD_I32LE, space, properties)
        dataset.write_direct_chunk((0,), payload)
    return path


def cache_of_gzip(folder):
    path = write_gzip_chunk(folder / "gzip.h5", deflated_zeros(3000), 1)
    read_by_all(folder, path, "/targets/label", "a chunk of it unpacks to more than its shape says")


def cache_of_nested_gzip(folder):
    path = write_gzip_chunk(folder / "nested.h5", zlib.compress(deflated_zeros(3000), 9), 2)
    check(path.stat().st_size < 60_000, "the bomb is small")
    read_by_all(folder, path, "/targets/label", "it is compressed twice")


def cache_of_holes(folder):
    path = write_cache(folder / "holes.h5", 100, chunks=(10, 8))
    os.truncate(path, 20 << 30)
    with open(path, "rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) >= 20 << 30:
            return
    read_by_all(folder, path, "of its 21.5 GB only", "the rest are holes")


def cache_that_is_sound(folder):
    """What h5py writes and compresses is read: gzip, numbers never written, a chunk for all."""
    h5py = hdf5()
    import numpy
    labels = numpy.arange(40000) % 2
    path = write_cache(folder / "sound.h5", 40000, 64, labels, chunks=(1000, 32), compression="gzip",
                       shuffle=True)
    with h5py.File(path, "a") as file:
        file["features/avgpool"][:] = numpy.random.default_rng(1).normal(size=(40000, 64)) + labels[:, None]
        file.create_dataset("targets/age", (40000,), "f4", chunks=(40000,), compression="gzip",
                            data=labels * 1.5)
        file.create_dataset("targets/unknown", (40000,), "f4", fillvalue=float("nan"))
    result, _ = measure(folder, [TRAIN, path, "-o", "sound.safetensors", "--target", "label,age", "--epochs", "1",
                                  "--val", "0"])
    check(result.code == 0, result.err)


# ---- models ----

def safetensors(path, tensors, metadata, header=None):
    """tensors: name to shape, of zeros."""
    entries, at = {}, 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if metadata:
        entries["__metadata__"] = {"permafrost": json.dumps(metadata)}
    text = header or json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return path


def model(targets=1, crop=224, backbone=None):
    target = {"name": "t", "kind": "regression", "weight": "fc.weight", "bias": "fc.bias"}
    return {"version": 1, "tap": "avgpool", "tap_shape": [4096], "targets": [target] * targets,
            "backbone": backbone or {"name": "resnet18", "weights_sha256": "0"},
            "preprocess": {"resize": crop, "crop": crop, "squash": False, "interpolation": "bilinear",
                           "mean": [0, 0, 0], "std": [1, 1, 1]}}


def model_of_shared_tensors(folder):
    path = safetensors(folder / "shared.safetensors", {"fc.weight": [32, 4096], "fc.bias": [32]},
                       model(targets=20_000))
    refused(folder, [PREDICT, path, "x.png"], 1, "shared.safetensors'", "they share tensors")


def model_of_a_large_crop(folder):
    """The network that a model names takes pictures of 16384 x 16384."""
    sha256 = hashlib.sha256((folder / "fake.pt").read_bytes()).hexdigest()
    backbone = {"name": None, "torchscript_sha256": sha256}
    metadata = model(crop=16384, backbone=backbone)
    del metadata["backbone"]["name"]
    metadata.update(tap="mean", tap_shape=[3])
    path = safetensors(folder / "crop.safetensors", {"fc.weight": [1, 3], "fc.bias": [1]}, metadata)
    images = [folder / f"{i}.png" for i in range(12)]
    for image in images:
        image.write_bytes(png(30, 40))
    refused(folder, [PREDICT, path, "--backbone", "fake.pt", *images], 1,
            "crop.safetensors' takes images of 16384 x 16384 pixels", "Hint: --max-pixels 268435456")


def header_of_numbers(folder):
    numbers = b'{"a":{"dtype":"F32","shape":[' + b"0," * 12_000_000 + b'0],"data_offsets":[0,0]}}'
    path = safetensors(folder / "numbers.safetensors", {}, None, numbers)
    refused(folder, [PREDICT, path, "x.png"], 1, "header holds 12000", "and may hold 2000000")


def metadata_of_numbers(folder):
    metadata = model()
    metadata["config"] = "REPLACED"
    path = safetensors(folder / "metadata.safetensors", {"fc.weight": [1, 4096], "fc.bias": [1]}, metadata)
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    text = content[8:8 + length].replace(b'\\"REPLACED\\"', b"[" + b"0," * 12_000_000 + b"0]")
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length:])
    refused(folder, [PREDICT, path, "x.png"], 1, "metadata holds 12000", "and may hold 2000000")


def write_pth_legacy(path, pickles):
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    path.write_bytes(magic + b"".join(pickles))
    return path


def pickle_of_names(folder):
    """A dict of a million tensors, all of them under the same long name, which is there once."""
    name = b"X" + struct.pack("<I", 200_000) + b"a" * 200_000 + b"q\1"
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0kX\3\0\0\0cpuK\1tQ"
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0))\x89ccollections\nOrderedDict\n)RtRq\2")
    state = b"\x80\2}(" + name + tensor + b"h\1h\2" * 20_000 + b"u."
    keys = b"\x80\2]X\1\0\0\0ka."
    block = struct.pack("<Q", 1) + bytes(4)
    path = write_pth_legacy(folder / "names.pth", [b"\x80\2M\xe9\3.", b"\x80\2}.", state, keys, block])
    arguments = extract_image(folder, "good.png", png(30, 40))
    refused(folder, [*arguments[:4], "--weights", path], 1, "names.pth'",
            "the names of its tensors are longer than the file")


# ---- all of them ----

IMAGES = [png_of_zeros, png_beyond_all, png_by_option, jpeg_of_scans, jpeg_of_few_scans, jpeg_of_coefficients,
          jpeg_of_holes, tiff_of_samples, manifest_of_holes, archive_of_zeros]
CACHES = [cache_of_unwritten_rows, cache_of_unwritten_features, cache_of_a_large_chunk, cache_of_one_target,
          cache_of_gzip, cache_of_nested_gzip, cache_of_holes, cache_that_is_sound]
MODELS = [model_of_shared_tensors, model_of_a_large_crop, header_of_numbers, metadata_of_numbers, pickle_of_names]
BOMBS = IMAGES + MODELS + (CACHES if hdf5() else [])


def run_bombs(folder):
    wanted = sys.argv[2:]
    failures = []
    for bomb in BOMBS:
        if wanted and bomb.__name__ not in wanted:
            continue
        try:
            bomb(folder)
            print(f"{bomb.__name__}: defused", flush=True)
        except Failed as failure:
            failures.append(f"{bomb.__name__}: {failure}")
            print(f"FAILED: {failures[-1]}", flush=True)
    check(not failures, f"{len(failures)} of {len(BOMBS)} bombs went off")
    if not hdf5():
        print("those of caches were left out: python3-h5py is not installed")


if __name__ == "__main__":
    main(run_bombs)
