#!/usr/bin/env python3
"""Every allocation that decoding an image makes, and writing a thumbnail of it, fails once: the
image must not be called broken for that, which a cache would remember.

libtiff, OpenJPEG and libwebp themselves do not survive the failure of some of theirs. AVIF and HEIC
are left out: their libraries end the program where memory is short.

usage: decode_memory.py BUILD [NAME...]
"""
import concurrent.futures
import os
import random
import sys

from trial import BUILD, INJECTOR, Failed, check, expect, main, run, skip

DECODE = str(BUILD / "tests/decode_images")
OURS = 1
# So many calls of one image at most, evenly spread, and the last ones.
MOST_CALLS = 400 if not os.environ.get("PF_LONG") else 1 << 20


def write_images(folder):
    try:
        from PIL import Image, features
    except ImportError:
        skip("no Pillow")
    noise = Image.frombytes("RGB", (160, 120), random.Random(1).randbytes(160 * 120 * 3))
    kinds = [("baseline.jpg", "JPEG", {}), ("progressive.jpg", "JPEG", {"progressive": True}), ("plain.png", "PNG", {}),
             ("lzw.tif", "TIFF", {"compression": "tiff_lzw"}), ("deflate.tif", "TIFF", {"compression": "tiff_adobe_deflate"}),
             ("jpeg.tif", "TIFF", {"compression": "jpeg"}), ("boxes.jp2", "JPEG2000", {}), ("lossless.webp", "WEBP", {"lossless": True}),
             ("lossy.webp", "WEBP", {})]
    needed = {"TIFF": "libtiff", "JPEG2000": "jpg_2000", "WEBP": "webp"}
    for name, kind, options in kinds:
        if kind in needed and not features.check(needed[kind]):
            continue
        noise.save(folder / name, format=kind, **options)
        yield name


def count_calls(folder, *names):
    """Allocations of decoding them all; 0 where that is not to be had here."""
    name = names[0]
    result = run([DECODE, *names], folder, LD_PRELOAD=INJECTOR, PF_FAULT_REPORT=f"{name}.calls")
    if " needs " in result.err or "not supported by this build" in result.err:
        return 0
    expect(0, result, name)
    for line in (folder / f"{name}.calls").read_text().splitlines():
        kind, count = line.split()
        if kind == "memory":
            return int(count)
    raise Failed(f"{name}: no calls were counted")


def choose_numbers(first, last):
    step = max(1, (last - first) // MOST_CALLS)
    return sorted({*range(first, last + 1, step), *range(max(first, last - 40), last + 1)})


def attempt(folder, name, spec):
    result = run([DECODE, name, name], folder, LD_PRELOAD=INJECTOR, PF_FAULT=f"memory:{spec}:ENOMEM")
    where = f"{name} with PF_FAULT=memory:{spec}:ENOMEM"
    if result.code < 0 and name.endswith((".tif", ".jp2", ".webp")):
        return
    check(result.code in (0, OURS), f"{where}: exit code {result.code}: {result.err}")
    check(result.code == 0 or result.err, f"{where}: no message")


def outcome_of(arguments):
    try:
        attempt(*arguments)
    except Failed as failure:
        return str(failure)
    return None


def body(folder):
    if os.environ.get("PF_SANITIZE"):
        skip("a sanitizer's own calls would be made to fail")
    trials = []
    for name in write_images(folder):
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        # The first time opens the library: what the dynamic loader does without memory is its own affair.
        first, last = count_calls(folder, name) + 1, count_calls(folder, name, name)
        print(f"{name}: {last - first + 1} allocations", flush=True)
        trials += [(folder, name, f"{number}{onwards}") for number in choose_numbers(first, last) for onwards in ("", "+")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        failures = [failure for failure in pool.map(outcome_of, trials) if failure]
    check(not failures, f"{len(failures)} of {len(trials)}\n" + "\n".join(failures[:20]))


main(body)
