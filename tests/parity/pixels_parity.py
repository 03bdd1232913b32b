"""Pixels: decode, resize and crop equal torchvision's on PIL images, byte for byte.

pixels_parity.py DUMP_PIXELS [photographs]

With fast decoding: those of PIL's Image.draft at twice the target, resized from its box.
Compares a set of images of every kind that is made here; with "photographs" those
of hymenoptera_data/ in the folder that PERMAFROST_DATA names. No tolerance.
"""
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

try:
    import numpy as np
    import PIL
    from PIL import Image, features
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)

# resize, crop, squash
SETTINGS = [(256, 224, 0), (224, 224, 0), (232, 224, 0), (0, 224, 1), (32, 32, 0), (0, 97, 0),
            (40, 97, 0)]
SIZES = [(500, 375), (375, 500), (224, 224), (256, 300), (257, 256), (31, 47), (97, 96), (640, 33),
         (3, 5), (1, 1), (1, 40), (1031, 767)]


def photo(width, height, channels, seed):
    """Gradients, edges and noise: what photographs have."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [127 + 90 * np.sin(x / (9 + 5 * c) + y / (17 + seed % 7)) + 40 * (x * 3 > y * 4 + c)
              for c in range(channels)]
    noisy = np.stack(planes, axis=2) + rng.normal(0, 18, (height, width, channels))
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    return pixels if channels > 1 else pixels[:, :, 0]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]


def write_png(path, samples, depth, color_type, extra=b"", interlaced=False):
    """PNGs that PIL reads and does not write. samples: (height, width, channels)."""
    height, width, _ = samples.shape
    data = b""
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size == 0:
            continue
        for row in part:
            if depth == 16:
                line = row.astype(">u2").tobytes()
            else:
                bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth:]
                line = np.packbits(bits.reshape(-1)).tobytes()
            data += b"\0" + line
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    packed = zlib.compress(data)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
                     chunk(b"IDAT", packed[:7]) + chunk(b"IDAT", packed[7:]) + chunk(b"IEND", b""))


def make_jpegs(folder):
    for index, (width, height) in enumerate(SIZES):
        image = Image.fromarray(photo(width, height, 3, index))
        for subsampling in (0, 1, 2):
            for quality in (30, 75, 95):
                image.save(folder / f"rgb_{index}_{subsampling}_{quality}.jpg", quality=quality,
                           subsampling=subsampling, progressive=quality == 75)
        grey = Image.fromarray(photo(width, height, 1, index))
        grey.save(folder / f"grey_{index}.jpg", progressive=index % 2 == 1)
        cmyk = Image.fromarray(photo(width, height, 4, index), "CMYK")
        cmyk.save(folder / f"cmyk_{index}.jpg", quality=90)
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(folder / f"rotated_{index}.jpg", exif=exif)
        image.save(folder / f"optimized_{index}.jpg", optimize=True, quality=50)
    whole = (folder / "rgb_0_2_95.jpg").read_bytes()
    (folder / "garbage_after_the_end.jpg").write_bytes(whole + b"\xff\xd8 and more" * 99)
    make_ycck(folder)
    make_odd_jpegs(folder, whole)


def make_ycck(folder):
    """A CMYK JPEG whose Adobe marker says YCCK."""
    for index, name in enumerate(["cmyk_0.jpg", "cmyk_4.jpg"]):
        data = (folder / name).read_bytes()
        adobe = data.find(b"Adobe")
        assert adobe > 0
        changed = data[:adobe + 11] + b"\x02" + data[adobe + 12:]
        (folder / f"ycck_{index}.jpg").write_bytes(changed)


def make_odd_jpegs(folder, whole):
    """Files that libjpeg warns about and PIL takes."""
    start = whole.index(b"\xff\xda")
    (folder / "named.png").write_bytes(whole)
    (folder / "data_end_early.jpg").write_bytes(whole[:len(whole) // 2] + b"\xff\xd9")
    (folder / "junk_before_scan.jpg").write_bytes(whole[:start] + b"\x00\x01" + whole[start:])
    for position in range(start + 20, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        (folder / f"damaged_{position}.jpg").write_bytes(bytes(damaged))


def make_pngs(folder):
    for index, (width, height) in enumerate(SIZES):
        rgb = Image.fromarray(photo(width, height, 3, index))
        rgba = Image.fromarray(photo(width, height, 4, index), "RGBA")
        grey = Image.fromarray(photo(width, height, 1, index))
        rgb.save(folder / f"rgb_{index}.png")
        rgb.save(folder / f"rgb_transparent_{index}.png", transparency=(127, 90, 3))
        rgba.save(folder / f"rgba_{index}.png")
        rgba.save(folder / f"rgba_named_{index}.jpg", format="PNG")
        Image.fromarray(photo(width, height, 2, index), "LA").save(folder / f"la_{index}.png")
        grey.save(folder / f"l_{index}.png")
        grey.save(folder / f"l_transparent_{index}.png", transparency=127)
        grey.convert("1").save(folder / f"one_{index}.png")
        for colors in (2, 4, 11, 256):
            indexed = rgb.quantize(colors)
            indexed.save(folder / f"p{colors}_{index}.png")
            indexed.save(folder / f"p{colors}_transparent_{index}.png",
                         transparency=bytes(range(0, 250, 250 // colors or 1))[:colors])
        rgb.save(folder / f"rgb_{index}.bmp")
        grey.save(folder / f"l_{index}.bmp")
        grey.convert("1").save(folder / f"one_{index}.bmp")
        rgb.quantize(7).save(folder / f"p_{index}.bmp")
        rgba.save(folder / f"rgba_{index}.bmp")
        rgb.save(folder / f"rgb_{index}.ppm")
        grey.save(folder / f"l_{index}.pgm")


def grey_beyond_palette():
    """Whether this Pillow shows indices beyond a PNG's palette as greys, as Pillow 9 does and we do; later ones show black."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "beyond.png"
        write_png(path, np.full((1, 1, 1), 9), 8, 3, chunk(b"PLTE", bytes(6)))
        grey = Image.open(path).convert("RGB").getpixel((0, 0)) == (9, 9, 9)
    if not grey:
        print(f"SKIP: indices beyond a palette, which Pillow {PIL.__version__} shows as black")
    return grey


def make_raw_pngs(folder):
    is_short = grey_beyond_palette()
    rng = np.random.default_rng(7)
    for width, height in [(61, 43), (8, 8), (1, 1), (5, 3), (300, 201)]:
        for interlaced in (False, True):
            kinds = [(0, 1, 1), (0, 2, 1), (0, 4, 1), (0, 8, 1), (2, 8, 3), (2, 16, 3), (3, 1, 1),
                     (3, 2, 1), (3, 4, 1), (3, 8, 1), (4, 8, 2), (4, 16, 2), (6, 8, 4), (6, 16, 4)]
            for color_type, depth, channels in kinds:
                samples = rng.integers(0, 1 << depth, (height, width, channels))
                extra = b""
                if color_type == 3:
                    # Shorter than the indices reach, where there is room for that.
                    count = max(2, (1 << depth) - depth) if is_short else 1 << depth
                    extra = chunk(b"PLTE", rng.bytes(3 * count)) + chunk(b"tRNS", rng.bytes(count))
                name = f"raw_{width}_{color_type}_{depth}_{int(interlaced)}.png"
                write_png(folder / name, samples, depth, color_type, extra, interlaced)


def make_raw_bitmaps(folder):
    """BMP depths and PNM maxima that PIL reads and does not write."""
    rng = np.random.default_rng(8)
    for width, height, top_down in [(37, 21, False), (16, 9, True)]:
        for bits, masks in [(16, None), (16, (0xF800, 0x7E0, 0x1F)), (24, None), (32, None),
                            (32, (0xFF000000, 0xFF0000, 0xFF00)), (4, None)]:
            stride = (width * bits + 31) // 32 * 4
            palette = rng.bytes(4 * 16) if bits == 4 else b""
            tables = struct.pack("<III", *masks) if masks else palette
            info = struct.pack("<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits,
                               3 if masks else 0, 0, 0, 0, 0, 0)
            head = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + len(tables))
            name = f"raw_{width}_{bits}_{'masks' if masks else 'plain'}.bmp"
            (folder / name).write_bytes(head + info + tables + rng.bytes(stride * height))
    for kind, channels in [(6, 3), (5, 1)]:
        for maximum in (255, 100, 7) + ((65535, 1000) if kind == 6 else ()):
            samples = rng.integers(0, maximum + 1, (19, 23, channels))
            head = f"P{kind} # a comment\n23 19\n{maximum}\n".encode()
            data = samples.astype(">u2" if maximum > 255 else "u1").tobytes()
            (folder / f"raw_{maximum}.p{'gp'[channels // 3]}m").write_bytes(head + data)
            if maximum < 256:
                text = " ".join(str(v) for v in samples.ravel())
                head = f"P{kind - 3}\n23 19 {maximum}\n".encode()
                (folder / f"plain_{maximum}.p{'gp'[channels // 3]}m").write_bytes(
                    head + text.encode())


def make_images(folder):
    make_jpegs(folder)
    make_pngs(folder)
    make_raw_pngs(folder)
    make_raw_bitmaps(folder)
    return sorted(folder.iterdir())


def make_truncated(folder):
    """Small JPEGs cut at every length: PIL takes those that hold every row."""
    for progressive in (False, True):
        for size in ((16, 16), (33, 40)):
            whole = folder / "whole.jpg"
            Image.fromarray(photo(*size, 3, 1)).save(whole, quality=60, progressive=progressive)
            data = whole.read_bytes()
            for length in range(1, len(data)):
                name = f"cut_{size[0]}_{int(progressive)}_{length}.jpg"
                (folder / name).write_bytes(data[:length])
    return sorted(folder.iterdir())


def load(path):
    try:
        with open(path, "rb") as stream:
            return Image.open(stream).convert("RGB")
    except Exception:
        return None


def transform_for(resize, crop, squash, mode):
    if squash:
        return transforms.Resize((crop, crop), interpolation=mode)
    steps = [transforms.Resize(resize, interpolation=mode)] if resize else []
    return transforms.Compose(steps + [transforms.CenterCrop(crop)])


class Dump:
    """Reads what dump_pixels writes."""

    def __init__(self, program, paths, resize, crop, squash, interpolation, *fast):
        names = "".join(f"{path}\n" for path in paths).encode()
        arguments = [program, str(resize), str(crop), str(squash), interpolation, *fast]
        run = subprocess.run(arguments, input=names, capture_output=True, check=True)
        self.bytes, self.position, self.crop = run.stdout, 0, crop

    def take(self, count):
        self.position += count
        return self.bytes[self.position - count:self.position]

    def next(self):
        if self.take(1) != b"\1":
            return None
        if self.crop:
            return self.take(3 * self.crop * self.crop)
        width, height = struct.unpack("<ii", self.take(8))
        return self.take(3 * width * height)


def fast_crop(path, resize, crop, squash, mode):
    """The crop by way of draft(), and whether that made the image smaller; None for what PIL refuses."""
    try:
        with open(path, "rb") as stream:
            image = Image.open(stream)
            width, height = image.size
            target = crop if squash else resize
            drafted = image.draft("RGB", (2 * target, 2 * target))
            box = drafted[1] if drafted else (0, 0, width, height)
            image = image.convert("RGB")
    except Exception:
        return None
    longer = int(target * max(width, height) / min(width, height))
    size = ((crop, crop) if squash else (target, longer) if width <= height else (longer, target))
    resample = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[mode]
    is_smaller = image.size != (width, height)
    return transforms.CenterCrop(crop)(image.resize(size, resample, box=box)).tobytes(), is_smaller


FAST = [(256, 224, 0, "bilinear"), (100, 97, 0, "bilinear"), (0, 32, 1, "bilinear"),
        (8, 8, 0, "bilinear"), (0, 5, 1, "bicubic"), (40, 97, 0, "bicubic")]


def compare_fast(program, paths, label, cases=FAST):
    """The same for fast decoding; images that are not made smaller must equal the exact ones, too."""
    failures = reduced = 0
    for case in cases:
        fast, exact = Dump(program, paths, *case, "fast"), Dump(program, paths, *case)
        wrong = []
        for path in paths:
            expected, found, plain = fast_crop(path, *case), fast.next(), exact.next()
            pixels, is_smaller = expected or (None, False)
            reduced += is_smaller
            if found != pixels or (not is_smaller and found != plain):
                wrong.append(Path(path).name)
        print(f"{label}, fast: {case}: {len(paths) - len(wrong)} of {len(paths)} equal"
              f"{'; NOT: ' + ', '.join(wrong[:12]) if wrong else ''}")
        failures += len(wrong)
    print(f"{label}, fast: {len(cases) * len(paths)} comparisons, {reduced} of images decoded smaller, "
          f"{failures} differences")
    return failures + (reduced == 0)


DECODED = [(0, 0, 0, "bilinear")]
CROPS = [settings + (mode,) for settings in SETTINGS for mode in ("bilinear", "bicubic")]


def compare(program, paths, label, cases):
    """Returns how many results differ."""
    images = [load(path) for path in paths]
    failures = 0
    for resize, crop, squash, mode in cases:
        dump = Dump(program, paths, resize, crop, squash, mode)
        transform = transform_for(resize, crop, squash, InterpolationMode(mode)) if crop else None
        wrong = []
        for path, image in zip(paths, images):
            expected = image if image is None or not crop else transform(image)
            if dump.next() != (None if expected is None else expected.tobytes()):
                wrong.append(Path(path).name)
        what = f"resize {resize} crop {crop} squash {squash} {mode}" if crop else "decoded image"
        print(f"{label}: {what}: {len(paths) - len(wrong)} of {len(paths)} equal"
              f"{'; NOT: ' + ', '.join(wrong[:12]) if wrong else ''}")
        failures += len(wrong)
    refused = sum(image is None for image in images)
    print(f"{label}: {len(paths)} files ({refused} that PIL refuses), "
          f"{len(cases) * len(paths)} comparisons, {failures} differences")
    return failures


def compare_crops(program, paths):
    """Every crop of every file with PF_LONG=1; else every file goes through a third of the crops."""
    if os.environ.get("PF_LONG"):
        return compare(program, paths, "made here", CROPS)
    return sum(compare(program, paths[number % 3::3], "made here", [case]) for number, case in enumerate(CROPS))


def photographs(program):
    data = os.environ.get("PERMAFROST_DATA")
    paths = sorted((Path(data) / "hymenoptera_data").rglob("*.jp*g")) if data else []
    if not paths:
        print("SKIP: PERMAFROST_DATA names no folder that holds hymenoptera_data/")
        return 77
    failures = compare(program, paths, "hymenoptera", DECODED + CROPS)
    failures += compare_fast(program, paths, "hymenoptera", [(256, 224, 0, "bilinear"),
                                                             (64, 56, 0, "bilinear")])
    return 1 if failures else 0


def main():
    program = sys.argv[1]
    print(f"Pillow {Image.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}")
    if not features.check("libjpeg_turbo"):
        print("SKIP: this Pillow does not decode with libjpeg-turbo")
        return 77
    if sys.argv[2:] == ["photographs"]:
        return photographs(program)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder))
        failures = compare(program, paths, "made here", DECODED) + compare_crops(program, paths)
        failures += compare_fast(program, paths, "made here")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_truncated(Path(folder))
        failures += compare(program, paths, "truncated JPEG", DECODED)
        failures += compare_fast(program, paths, "truncated JPEG", [(8, 8, 0, "bilinear")])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
