"""Pixels: decode, resize and crop equal torchvision's on PIL images, byte for byte.

pixels_parity.py DUMP_PIXELS [photographs]

With fast decoding: those of PIL's Image.draft at twice the target, resized from its box. With EXIF rotation: those of
ImageOps.exif_transpose. The order of the passes is the one of the Pillow that is there; without torchvision
pil_transforms.py stands for it.
Compares a set of images of every kind that is made here; with "photographs" those
of hymenoptera_data/ in the folder that PERMAFROST_DATA names. No tolerance.
"""
import os
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

try:
    import numpy as np
    import PIL
    from PIL import Image, ImageFile, ImageOps, features

    import pil_transforms
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)
try:
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode
except ImportError:
    transforms = None

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


def make_odd_pngs(folder):
    """Files that break PNG's rules for what does not matter here, and that PIL takes. libspng refuses six of them."""
    def file(name, depth, color_type, rows, before=b"", behind=b""):
        header = struct.pack(">IIBBBBB", 2, 2, depth, color_type, 0, 0, 0)
        (folder / f"odd_{name}.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + behind
            + chunk(b"IEND", b""))

    grey, indices = bytes([0, 1, 200, 0, 4, 5]), bytes([0, 0x12, 0, 0x30])
    palette, text = bytes(range(7, 55)), chunk(b"tEXt", b"a\0b")
    for name, before in {
            "palette_of_256_entries_for_16": chunk(b"PLTE", bytes(range(256)) * 3),
            "palette_behind_transparency": chunk(b"tRNS", b"\5") + chunk(b"PLTE", palette),
            "palette_twice": chunk(b"PLTE", bytes(48)) + chunk(b"PLTE", palette),
            "palette_and_a_byte": chunk(b"PLTE", palette + b"x"),
            "background_without_palette": chunk(b"bKGD", b"\1") + chunk(b"PLTE", palette)}.items():
        file(name, 4, 3, indices, before)
    for name, before in {
            "palette_of_grey": chunk(b"PLTE", palette), "many_texts": text * 1001, "gamma": chunk(b"gAMA", b"\0\0\xb1\x8f"),
            "unknown_critical_chunk": chunk(b"QQQq", b"abc"), "empty_exif": chunk(b"eXIf", b"")}.items():
        file(name, 8, 0, grey, before)
    file("data_behind_data", 8, 0, grey, behind=text + chunk(b"IDAT", b"zz"))


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
    make_odd_pngs(folder)
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


def has_our_libjpeg():
    """Whether this Pillow decodes with the major version of libjpeg-turbo that we are linked with: the system's."""
    ours = subprocess.run(["pkg-config", "--modversion", "libjpeg"], capture_output=True, text=True, check=True).stdout
    return features.version("libjpeg_turbo").split(".")[0] == ours.split(".")[0]


def load(path):
    try:
        with open(path, "rb") as stream:
            return Image.open(stream).convert("RGB")
    except Exception:
        return None


def load_kept(path):
    """With LOAD_TRUNCATED_IMAGES. An image of which nothing was decoded is all zeros in PIL, whatever its alpha, and refused by
    us."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with open(path, "rb") as stream:
            image = Image.open(stream)
            image.load()
        colours = image.convert("RGB") if image.mode in ("LA", "RGBA") else image
        return image.convert("RGB") if colours.getbbox() else None
    except Exception:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


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


def by_torchvision(image, resize, crop, squash, mode):
    mode = InterpolationMode(mode)
    if squash:
        return transforms.Resize((crop, crop), interpolation=mode)(image)
    steps = [transforms.Resize(resize, interpolation=mode)] if resize else []
    return transforms.Compose(steps + [transforms.CenterCrop(crop)])(image)


def prepare(image, *case):
    """By torchvision where it is there; pil_transforms.py is compared with it on every sixteenth image."""
    if not transforms:
        return pil_transforms.prepare(image, *case)
    crop = by_torchvision(image, *case)
    prepare.calls += 1
    assert prepare.calls % 16 or crop.tobytes() == pil_transforms.prepare(image, *case).tobytes(), \
        "pil_transforms.py is not torchvision"
    return crop


prepare.calls = 0


class Dump:
    """Reads what dump_pixels writes."""

    def __init__(self, program, paths, resize, crop, squash, interpolation, *more):
        names = "".join(f"{path}\n" for path in paths).encode()
        arguments = [program, str(resize), str(crop), str(squash), interpolation, pil_transforms.RESIZE_ORDER, *more]
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


def turn_box(box, size, orientation):
    """Where a part of an image is once that has been turned."""
    (left, top, right, bottom), (width, height) = box, size
    if orientation >= 5:
        left, top, right, bottom, width, height = top, left, bottom, right, height, width
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def fast_crop(path, resize, crop, squash, mode, exif=None):
    """The crop by way of draft(), and whether that made the image smaller; None for what PIL refuses."""
    try:
        with open(path, "rb") as stream:
            image = Image.open(stream)
            width, height = image.size
            target = crop if squash else resize
            drafted = image.draft("RGB", (2 * target, 2 * target))
            box = drafted[1] if drafted else (0, 0, width, height)
            is_smaller = image.size != (width, height)
            if exif:
                orientation = image.getexif().get(0x0112, 1)
                box = turn_box(box, image.size, orientation)
                width, height = (height, width) if orientation >= 5 else (width, height)
                image = ImageOps.exif_transpose(image)
            image = image.convert("RGB")
    except Exception:
        return None
    longer = int(target * max(width, height) / min(width, height))
    size = ((crop, crop) if squash else (target, longer) if width <= height else (longer, target))
    resample = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[mode]
    return pil_transforms.center_crop(image.resize(size, resample, box=box), crop).tobytes(), is_smaller


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


# ---- EXIF ----


def tiff(order, entries, at=8, tail=b""):
    """A TIFF header and one directory of (tag, type, count, four bytes) at `at`."""
    short, long = ("<H", "<I") if order == "II" else (">H", ">I")
    head = order.encode() + struct.pack(short, 42) + struct.pack(long, at) + b"\0" * (at - 8)
    body = struct.pack(short, len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(short, tag) + struct.pack(short, kind) + struct.pack(long, count) + value
    return head + body + b"\0\0\0\0" + tail


def tiffs():
    """Of both byte orders: right ones, and what a camera would not write."""
    for order in ("II", "MM"):
        mark = "<" if order == "II" else ">"
        short = lambda value: struct.pack(mark + "Hxx", value & 0xFFFF)
        long = lambda value: struct.pack(mark + "I", value & 0xFFFFFFFF)
        other, right = (0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, short(6))
        for value in range(11):
            yield tiff(order, [other, (0x0112, 3, 1, short(value))])
        yield from (tiff(order, [right], at=at) for at in (9, 30, 1000))
        yield tiff(order, [(0x0112, 3, 1, short(6)), (0x0112, 3, 1, short(8))])  # twice
        yield tiff(order, [(0x0112, 3, 2, struct.pack(mark + "HH", 3, 6))])
        yield from (tiff(order, [(0x0112, 3, count, long(8))]) for count in (0, 3, 1 << 31, 0xFFFFFFFF))
        yield from (tiff(order, [(0x0112, kind, 1, short(6))]) for kind in range(20))
        yield from (tiff(order, [(0x0112, kind, 1, long(6))]) for kind in range(20))
        for kind, data in ((5, struct.pack(mark + "II", 12, 2)), (5, struct.pack(mark + "II", 13, 2)),
                           (5, struct.pack(mark + "II", 6, 0)), (10, struct.pack(mark + "ii", -6, -1)),
                           (12, struct.pack(mark + "d", 6)), (16, struct.pack(mark + "Q", 6))):
            yield tiff(order, [other, (0x0112, kind, 1, long(8 + 2 + 24 + 4))], tail=data)
        yield tiff(order, [(0x0112, 11, 1, struct.pack(mark + "f", 6))])
        yield tiff(order, [(0x0112, 11, 1, struct.pack(mark + "f", float("nan")))])
        # An entry before it, or behind it, whose data are not there; one of a type that there is not.
        yield tiff(order, [(0x010F, 2, 100, long(1 << 20)), right])
        yield tiff(order, [right, (0x0131, 2, 100, long(1 << 20))])
        yield tiff(order, [(0x010F, 99, 100, long(1 << 20)), right])
        whole = tiff(order, [other, right, (0x0131, 2, 4, b"def\0")])
        yield from (whole[:length] for length in range(len(whole)))
        yield whole[:8] + struct.pack(mark + "H", 0xFFFF) + whole[10:]
        yield whole[:4] + long(0xFFFFFFF0) + whole[8:]
        yield from (whole[:2] + number + whole[4:] for number in (b"\0*", b"*\0", b"\0+", b"+\0", b"\0\0"))
        rng = np.random.default_rng(ord(order[0]))
        for _ in range(60):
            damaged = bytearray(whole)
            for position in rng.integers(0, len(whole), rng.integers(1, 4)):
                damaged[position] = rng.integers(0, 256)
            yield bytes(damaged)


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def make_turned(folder):
    """All orientations in everything that can say one."""
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for index, (width, height) in enumerate([(301, 229), (31, 47), (1, 40), (5, 1)]):
            name = f"{orientation}_{index}"
            rgb = Image.fromarray(photo(width, height, 3, index))
            rgb.save(folder / f"rgb_{name}.jpg", exif=exif, quality=90)
            Image.fromarray(photo(width, height, 4, index), "CMYK").save(folder / f"cmyk_{name}.jpg", exif=exif)
            Image.fromarray(photo(width, height, 1, index)).save(folder / f"grey_{name}.jpg", exif=exif)
            rgb.save(folder / f"phone_{name}.jpg", format="MPO", save_all=True, append_images=[rgb], exif=exif)
            rgb.save(folder / f"rgb_{name}.png", exif=exif)
            rgb.quantize(11).save(folder / f"p_{name}.png", exif=exif)
            Image.fromarray(photo(width, height, 2, index), "LA").save(folder / f"la_{name}.png", exif=exif)
    return sorted(folder.iterdir())


def make_odd_exif(folder):
    picture = Image.fromarray(photo(23, 17, 3, 3))
    picture.save(folder / "plain.jpg", quality=90)
    picture.save(folder / "plain.png")
    jpeg, png = (folder / "plain.jpg").read_bytes(), (folder / "plain.png").read_bytes()
    assert jpeg[2:4] == b"\xff\xe0" and jpeg[4:6] == b"\0\x10"
    jfif, rest = jpeg[2:20], jpeg[20:]
    header, data = png[:33], png[33:-12]
    for number, block in enumerate(tiffs()):
        app1 = segment(0xE1, b"Exif\0\0" + block)
        (folder / f"block_{number}.jpg").write_bytes(b"\xff\xd8" + jfif + app1 + rest)
        if number % 3 == 0:
            (folder / f"block_{number}.png").write_bytes(header + chunk(b"eXIf", block) + data + png[-12:])
    six, eight = tiff("II", [(0x0112, 3, 1, b"\6\0\0\0")]), tiff("MM", [(0x0112, 3, 1, b"\0\x08\0\0")])
    first, second = segment(0xE1, b"Exif\0\0" + six), segment(0xE1, b"Exif\0\0" + eight)
    other = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")
    long = segment(0xE1, b"Exif\0\0" + tiff("MM", [(0x0112, 3, 1, b"\0\5\0\0")], at=60000))
    for name, head in {"first": first + jfif, "alone": first, "behind_xmp": jfif + other + first, "long": jfif + long,
                       "twice": jfif + first + second, "filled": jfif + b"\xff\xff\xff" + first,
                       "junk": jfif + b"\0\1" + first, "escaped": jfif + b"\xff\0" + first,
                       "comment": segment(0xFE, first) + segment(0xE5, first), "bare": b"\xff\xd0" + first,
                       "late": rest[:rest.index(b"\xff\xda")] + first}.items():
        tail = rest[rest.index(b"\xff\xda"):] if name == "late" else rest
        (folder / f"app_{name}.jpg").write_bytes(b"\xff\xd8" + head + tail)
    (folder / "behind_scan.jpg").write_bytes(jpeg[:-2] + first + jpeg[-2:])
    none, bad = tiff("II", [(0x010F, 2, 4, b"abc\0")]), b"not a TIFF"
    profile = lambda block: b"\nexif\n%8d\n" % len(block) + b"\n".join(
        block.hex().encode()[i:i + 72] for i in range(0, 2 * len(block), 72)) + b"\n"
    raw = b"Raw profile type exif\0"
    xmp = b"XML:com.adobe.xmp\0"
    attribute, element = b'<a tiff:Orientation="6" />', b"<tiff:Orientation>5</tiff:Orientation>"
    itxt = lambda text: b"\0\0en\0\0" + text
    packed = lambda text: b"\1\0\0\0" + zlib.compress(text)
    chunks = {
        "late": (data, chunk(b"eXIf", six)), "both": (chunk(b"eXIf", six) + data, chunk(b"eXIf", eight)),
        "two": (chunk(b"eXIf", eight) + chunk(b"eXIf", six) + data,), "two_late": (data, chunk(b"eXIf", eight) + chunk(b"eXIf", six)),
        "raw": (chunk(b"tEXt", raw + profile(six)) + data,), "raw_packed": (chunk(b"zTXt", raw + b"\0" + zlib.compress(profile(eight))) + data,),
        "raw_itxt": (chunk(b"iTXt", raw + itxt(profile(six))) + data,), "raw_late": (data, chunk(b"tEXt", raw + profile(six))),
        "raw_odd": (chunk(b"tEXt", raw + profile(six)[:-2]) + data,), "raw_short": (chunk(b"tEXt", raw + b"\nexif\n") + data,),
        "raw_no_hex": (chunk(b"tEXt", raw + profile(six) + b"xy") + data,), "raw_packed_twice": (chunk(b"zTXt", raw + b"\1" + zlib.compress(profile(eight))) + data,),
        "raw_and_exif": (chunk(b"tEXt", raw + profile(six)) + chunk(b"eXIf", eight) + data,),
        "xmp": (chunk(b"iTXt", xmp + itxt(attribute)) + data,), "xmp_element": (chunk(b"iTXt", xmp + itxt(b"<x>" + element)) + data,),
        "xmp_packed": (chunk(b"iTXt", xmp + packed(attribute)) + data,), "xmp_nine": (chunk(b"iTXt", xmp + itxt(b'tiff:Orientation="9"')) + data,),
        "xmp_twice": (chunk(b"iTXt", xmp + itxt(b"tiff:Orientation " + attribute + element)) + data,),
        "xmp_cut": (chunk(b"iTXt", xmp + itxt(b'tiff:Orientation="')) + data,), "xmp_other": (chunk(b"iTXt", b"xmp\0" + itxt(attribute)) + data,),
        "xmp_and_none": (chunk(b"iTXt", xmp + itxt(attribute)) + chunk(b"eXIf", none) + data,),
        "xmp_and_bad": (chunk(b"iTXt", xmp + itxt(attribute)) + chunk(b"eXIf", tiff("II", [])) + data,),
        "xmp_and_exif": (chunk(b"iTXt", xmp + itxt(attribute)) + chunk(b"eXIf", eight) + data,),
        "bad": (chunk(b"eXIf", bad) + data,), "empty": (chunk(b"eXIf", b"") + data,),
    }
    for name, (before, *behind) in chunks.items():
        (folder / f"chunk_{name}.png").write_bytes(header + before + b"".join(behind) + png[-12:])
    return sorted(folder.iterdir())


def load_turned(path):
    """What exif_transpose makes of it; as it is where Pillow cannot read the EXIF data. Turned by hand where it fails later,
    writing EXIF data anew."""
    try:
        with open(path, "rb") as stream:
            orientation = Image.open(stream).getexif().get(0x0112)
    except Exception:
        return load(path)
    try:
        with open(path, "rb") as stream:
            return ImageOps.exif_transpose(Image.open(stream)).convert("RGB")
    except Exception:
        image, method = load(path), METHODS.get(orientation)
        return image if method is None else image.transpose(method)


METHODS = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE, 6: Image.ROTATE_270,
           7: Image.TRANSVERSE, 8: Image.ROTATE_90}


def compare_turned(program):
    """Orientations: the decoded image, a crop of some, and fast decoding."""
    cases = DECODED + [(256, 224, 0, "bilinear"), (0, 31, 1, "bicubic")]
    fast = [(100, 97, 0, "bilinear", "exif"), (0, 30, 1, "bicubic", "exif")]
    with tempfile.TemporaryDirectory() as folder:
        paths = make_turned(Path(folder))
        failures = compare(program, paths, "turned", cases, load_turned, ("exif",))
        failures += compare(program, paths, "turned, EXIF ignored", DECODED)
        failures += compare_fast(program, paths, "turned", fast)
        differ = sum(load(path).tobytes() != load_turned(path).tobytes() for path in paths)
        failures += differ < len(paths) // 2
    with tempfile.TemporaryDirectory() as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow does not even open a few, as it looks for their resolution.
            paths = [path for path in make_odd_exif(Path(folder)) if load(path)]
            if pil_transforms.RESIZE_ORDER != "pillow12":
                print(f"SKIP: damaged EXIF data, which Pillow {PIL.__version__} reads otherwise than that of Debian 12 and we do")
                paths = [path for path in paths if not path.name.startswith("block_")]
            if int(PIL.__version__.split(".")[0]) >= 11:
                print(f"SKIP: two eXIf chunks, of which Pillow {PIL.__version__} takes the other one than that of Debian 12 and we do")
                paths = [path for path in paths if path.name != "chunk_both.png"]
            failures += compare(program, paths, "odd EXIF", DECODED, load_turned, ("exif",))
    return failures


# ---- comparing ----

DECODED = [(0, 0, 0, "bilinear")]
CROPS = [settings + (mode,) for settings in SETTINGS for mode in ("bilinear", "bicubic")]


def compare(program, paths, label, cases, load=load, more=()):
    """Returns how many results differ."""
    images = [load(path) for path in paths]
    failures = 0
    for resize, crop, squash, mode in cases:
        dump = Dump(program, paths, resize, crop, squash, mode, *more)
        wrong = []
        for path, image in zip(paths, images):
            expected = image if image is None or not crop else prepare(image, resize, crop, squash, mode)
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
    print(f"Pillow {Image.__version__}, {pil_transforms.RESIZE_ORDER}{'' if transforms else ', no torchvision'}, libjpeg-turbo {features.version('libjpeg_turbo')}")
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
        if not has_our_libjpeg():
            print(f"SKIP: progressive JPEGs that end early, whose missing scans libjpeg-turbo {features.version('libjpeg_turbo')} "
                  "guesses otherwise than the system's")
            paths = [path for path in paths if "_1_" not in path.name]
        failures += compare(program, paths, "truncated JPEG, kept", DECODED, load=load_kept, more=("keep",))
    failures += compare_turned(program)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
