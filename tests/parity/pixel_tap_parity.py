"""The tap `input`: what extract caches are torchvision's pixels, byte for byte, and need no network.

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
    from PIL import Image
    from torchvision import transforms
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)


def draw(folder):
    rng = np.random.default_rng(5)
    for index, size in enumerate([(300, 200), (96, 96), (97, 400), (40, 33), (640, 480), (128, 97)]):
        path = folder / ("ab"[index % 2]) / f"{index}.{'png' if index == 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.BICUBIC).save(path)


def extract(program, folder, cache, *options):
    environment = dict(os.environ, PERMAFROST_PLUGIN="/nonexistent")
    subprocess.run([program, folder, "-o", cache, "--backbone", "resnet18_w16", "--weights", "random:0", "--tap",
                    "input", "--compress", "gzip", "-q", *options], check=True, env=environment)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        draw(scratch / "photos")
        extract(program, scratch / "photos", scratch / "c.h5", "--resize", "72", "--crop", "64", "--batch", "4")
        prepare = transforms.Compose([transforms.Resize(72), transforms.CenterCrop(64)])
        with h5py.File(scratch / "c.h5") as file:
            rows, paths = file["features/input"], [path.decode() for path in file["samples/path"]]
            assert rows.dtype == np.uint8 and rows.shape == (6, 3, 64, 64), (rows.dtype, rows.shape)
            for row, path in zip(rows, paths):
                expected = np.asarray(prepare(Image.open(scratch / "photos" / path).convert("RGB")))
                assert np.array_equal(row, expected.transpose(2, 0, 1)), path
        print(f"{len(paths)} images: equal pixels")


if __name__ == "__main__":
    main()
