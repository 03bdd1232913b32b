"""What comes before the network: decoding, resizing, cropping, and disks that answer late.

12-megapixel photographs and, with --data, hymenoptera's, one thread: ours beside Pillow's, in
milliseconds per image. Then `extract`, with a network that costs nothing, on a disk where every
opening and every read takes 10 ms.
"""
import io
import pathlib
import subprocess
import time

import numpy as np
from PIL import Image

from datasets import photographs
from measure import alternate, medians, number, program, report, run

SHORTER, CROP = 256, 224
REPEATS = 3


def large_photographs(out, count=6):
    """4000 x 3000 JPEGs, quality 90, 4:2:0: smooth shapes, edges, the noise of a sensor."""
    paths = [out / "12_megapixels" / f"{index}.jpg" for index in range(count)]
    generator = np.random.default_rng(0)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            continue
        pixels = np.zeros((3000, 4000, 3), dtype=np.float32)
        for side, strength in ((8, 60), (60, 30), (500, 14)):
            shapes = Image.fromarray(generator.integers(0, 256, (side * 3 // 4, side, 3), dtype=np.uint8))
            pixels += strength / 128 * np.asarray(shapes.resize((4000, 3000), Image.BICUBIC), dtype=np.float32)
        pixels += generator.normal(0, 4, pixels.shape).astype(np.float32)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90, subsampling=2)
    return paths


def pillow_crop(data, is_drafted):
    """Resize(256) and CenterCrop(224) as torchvision asks Pillow for them; drafted as thumbnail() does it."""
    image = Image.open(io.BytesIO(data))
    width, height = image.size
    box = image.draft("RGB", (2 * SHORTER, 2 * SHORTER))[1] if is_drafted else (0, 0, width, height)
    longer = int(SHORTER * max(width, height) / min(width, height))
    size = (SHORTER, longer) if width <= height else (longer, SHORTER)
    image = image.convert("RGB").resize(size, Image.BILINEAR, box=box)
    left, top = round((size[0] - CROP) / 2), round((size[1] - CROP) / 2)
    return image.crop((left, top, left + CROP, top + CROP)).tobytes()


def pillow_milliseconds(paths, is_drafted):
    """Per image, the fastest of the repeats, as time_pixels has it."""
    total = 0
    for path in paths:
        data, fastest = path.read_bytes(), float("inf")
        for _ in range(REPEATS):
            started = time.perf_counter()
            pillow_crop(data, is_drafted)
            fastest = min(fastest, time.perf_counter() - started)
        total += fastest
    return 1e3 * total / len(paths)


def compare(args, title, paths):
    tool, names = pathlib.Path(args.build) / "tests" / "time_pixels", "".join(f"{path}\n" for path in paths)

    def ours(*flags):
        def once():
            command = [tool, str(REPEATS), *flags]
            text = subprocess.run(command, input=names, capture_output=True, text=True, check=True).stdout
            return number(r"decode ([0-9.]+) ms", text) + number(r"crop ([0-9.]+) ms", text)
        return once

    figures = alternate({
        "ours, exact": ours(), "ours, --fast-decode": ours("fast"),
        "Pillow": lambda: pillow_milliseconds(paths, False),
        "Pillow, draft": lambda: pillow_milliseconds(paths, True),
    }, args.rounds)
    least = {name: min(values) for name, values in figures.items()}
    ratios = {"Pillow / ours, exact": least["Pillow"] / least["ours, exact"],
              "Pillow / ours, --fast-decode": least["Pillow"] / least["ours, --fast-decode"],
              "Pillow, draft / ours, --fast-decode": least["Pillow, draft"] / least["ours, --fast-decode"]}
    return report(f"{title}, one thread, ms per image (less is better; ratios of the fastest)", figures, ratios)


def bench_large_pixels(args, out):
    """12 megapixels, which is what fast decoding is for."""
    return compare(args, "pixels of 4000 x 3000 JPEGs to 224 x 224", large_photographs(out))


def bench_small_pixels(args, out):
    """Photographs of some 500 x 400 pixels."""
    paths = sorted(photographs(args, out).rglob("*.jp*g"))
    return compare(args, "pixels of 500 x 400 JPEGs to 224 x 224", paths)


def bench_slow_disk(args, out):
    """Images per second where a file costs two waits of 10 ms, and where it costs none."""
    build, network = pathlib.Path(args.build).resolve(), out / "network.pt"
    network.write_text("a network\n")
    folder = photographs(args, out)
    fake = {"PERMAFROST_PLUGIN": str(build / "tests" / "fake_backbone_plugin.so")}
    slow = {**fake, "LD_PRELOAD": str(build / "tests" / "slow_disk.so"), "PF_SLOW_MS": "10"}

    def extract(environment, readers):
        def once():
            _, text = run([program(args, "extract"), folder, "-o", out / "slow.h5", "--force", "--backbone",
                                 network, "--readers", readers], environment)
            return number(r"([0-9.]+) images/s", text)
        return once

    figures = alternate({
        f"{name}, --readers {readers}": extract(environment, readers)
        for name, environment in (("10 ms", slow), ("fast disk", fake)) for readers in ("0", "4", "16", "64")
    }, args.rounds)
    median = medians(figures)
    ratios = {f"{name}, 16 readers / none": median[f"{name}, --readers 16"] / median[f"{name}, --readers 0"]
              for name in ("10 ms", "fast disk")}
    return report("reading ahead, a network that costs nothing, images/s (more is better)", figures, ratios)


def bench_pixels(args, out):
    return [bench_large_pixels(args, out), bench_small_pixels(args, out), bench_slow_disk(args, out)]
