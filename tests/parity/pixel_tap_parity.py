"""The tap `input`: what extract caches are Pillow's pixels, byte for byte, and need no network.

pixel_tap_parity.py EXTRACT
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import h5py
    import numpy as np
    from PIL import Image, ImageOps

    import pil_transforms
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)


def draw(folder):
    rng = np.random.default_rng(5)
    for index, size in enumerate([(300, 200), (96, 96), (97, 400), (40, 33), (640, 480), (128, 97)]):
        path = folder / ("ab"[index % 2]) / f"{index}.{'png' if index == 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 1 + index
        Image.fromarray(coarse).resize(size, Image.BICUBIC).save(path, exif=exif)


def extract(program, folder, cache, *options):
    environment = dict(os.environ, PERMAFROST_PLUGIN="/nonexistent")
    subprocess.run([program, folder, "-o", cache, "--backbone", "resnet18_w16", "--weights", "random:0", "--tap",
                    "input", "--compress", "gzip", "-q", *options], check=True, env=environment)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        draw(scratch / "photos")
        for exif in ("apply", "ignore"):
            cache = scratch / f"{exif}.h5"
            extract(program, scratch / "photos", cache, "--resize", "72", "--crop", "64", "--batch", "4", "--exif", exif,
                    "--resize-order", pil_transforms.RESIZE_ORDER)
            with h5py.File(cache) as file:
                rows, paths = file["features/input"], [path.decode() for path in file["samples/path"]]
                assert rows.dtype == np.uint8 and rows.shape == (6, 3, 64, 64), (rows.dtype, rows.shape)
                sizes = list(zip(file["samples/width"], file["samples/height"]))
                for row, path, size in zip(rows, paths, sizes):
                    image = Image.open(scratch / "photos" / path)
                    image = (ImageOps.exif_transpose(image) if exif == "apply" else image).convert("RGB")
                    expected = np.asarray(pil_transforms.prepare(image, 72, 64, 0, "bilinear"))
                    assert size == image.size, (path, size)
                    assert np.array_equal(row, expected.transpose(2, 0, 1)), path
            print(f"Pillow {Image.__version__}, --exif {exif}: {len(paths)} images: equal pixels")


if __name__ == "__main__":
    main()
