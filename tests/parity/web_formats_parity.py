"""Formats of the web and of phones, and transparency: pixels equal Pillow's, byte for byte.

web_formats_parity.py DUMP_PIXELS

Transparency: dropped as convert("RGB") does it, and with a background equal to alpha_composite over a filled image.
"""
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from pixels_parity import DECODED, Image, compare, chunk, load, np, photo, write_png

COLOURS = [(255, 255, 255), (0, 0, 0), (13, 200, 91)]
failures = 0


def load_over(colour):
    """The image laid over a colour; None for what Pillow refuses."""
    def composed(path):
        try:
            with open(path, "rb") as stream:
                image = Image.open(stream).convert("RGBA")
        except Exception:
            return None
        return Image.alpha_composite(Image.new("RGBA", image.size, colour + (255,)), image).convert("RGB")
    return composed


def compare_transparency(program, paths, label):
    """Dropped, and over three colours; which images change there counts, too."""
    failures = compare(program, paths, label, DECODED)
    for colour in COLOURS:
        over = "over={},{},{}".format(*colour)
        failures += compare(program, paths, f"{label}, {over}", DECODED, load_over(colour), (over,))
    changed = sum(load(path) and load(path).tobytes() != load_over(COLOURS[2])(path).tobytes() for path in paths)
    print(f"{label}: {changed} of {len(paths)} images are transparent")
    return failures + (changed == 0)


def make_transparent_pngs(folder):
    rng = np.random.default_rng(5)
    for index, (width, height) in enumerate([(301, 229), (31, 47), (1, 40), (5, 1)]):
        rgba = photo(width, height, 4, index)
        Image.fromarray(rgba, "RGBA").save(folder / f"rgba_{index}.png")
        rgba[..., 3] = rng.choice([0, 1, 127, 128, 254, 255], rgba.shape[:2])
        Image.fromarray(rgba, "RGBA").save(folder / f"edges_{index}.png")
        rgba[..., 3] = 255
        Image.fromarray(rgba, "RGBA").save(folder / f"opaque_{index}.png")
        Image.fromarray(photo(width, height, 2, index), "LA").save(folder / f"la_{index}.png")
        few = Image.fromarray(photo(width, height, 3, index) // 64 * 64)
        few.save(folder / f"rgb_{index}.png", transparency=(128, 64, 64))
        few.convert("L").save(folder / f"l_{index}.png", transparency=100)
        for colors in (2, 4, 11, 256):
            few.quantize(colors).save(folder / f"p{colors}_{index}.png",
                                      transparency=bytes(range(0, 250, 250 // colors or 1))[:colors])
    for interlaced in (False, True):
        for color_type, depth, channels in [(4, 8, 2), (4, 16, 2), (6, 8, 4), (6, 16, 4)]:
            samples = rng.integers(0, 1 << depth, (19, 23, channels))
            write_png(folder / f"raw_{color_type}_{depth}_{int(interlaced)}.png", samples, depth, color_type,
                      interlaced=interlaced)
        palette = chunk(b"PLTE", rng.bytes(48))
        for name, alphas in {"short": b"\0\x80", "all": rng.bytes(16), "long": rng.bytes(40)}.items():
            write_png(folder / f"tRNS_{name}_{int(interlaced)}.png", rng.integers(0, 16, (19, 23, 1)), 4, 3,
                      palette + chunk(b"tRNS", alphas), interlaced=interlaced)
    return sorted(folder.iterdir())


def with_folder(make, program, check, label):
    with tempfile.TemporaryDirectory() as folder:
        return check(program, make(Path(folder)), label)


def main():
    program = sys.argv[1]
    failures = with_folder(make_transparent_pngs, program, compare_transparency, "PNG")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
