"""TIFF and JPEG 2000: decoded pixels equal Pillow's convert("RGB"), byte for byte.

tiff_parity.py DUMP_PIXELS

Files that Pillow writes are compared with Pillow alone. Those that it cannot write are written here, from samples whose
RGB is computed here; Pillow has to agree, but where it reads a file otherwise for a reason that stands below. With a
background: alpha_composite over a filled image. Orientation: what Pillow's load() makes of it, turned once, also with
EXIF rotation applied.
"""
import io
import logging
import struct
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

from pixels_parity import DECODED, Image, PIL, compare, features, has_our_libjpeg, load, np, photo
from web_formats_parity import compare_transparency

from PIL import TiffImagePlugin

SIZES = [(61, 43), (16, 16), (1, 1), (3, 40)]
NONE, DEFLATE, PACKBITS = 1, 8, 32773
WHITE, BLACK, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
PILLOW = int(PIL.__version__.split(".")[0])


# ---- a writer ----


def pack(rows, bits, order, sample_format):
    """(height, samples of a row) as bytes; each row begins with a byte of its own."""
    if bits in (8, 16, 32):
        kind = {1: "u", 2: "i", 3: "f"}[sample_format]
        return rows.astype(f"{order}{kind}{bits // 8}").tobytes()
    shifts = np.arange(bits - 1, -1, -1)
    stream = (rows.astype(np.int64)[:, :, None] >> shifts & 1).astype(np.uint8).reshape(rows.shape[0], -1)
    return np.packbits(stream, axis=1).tobytes()


def packbits(data):
    """Literal runs only."""
    return b"".join(bytes([len(data[i:i + 128]) - 1]) + data[i:i + 128] for i in range(0, len(data), 128))


def compress(data, compression, fill_order):
    if fill_order == 2:
        assert compression == NONE
        data = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()
    return {NONE: bytes, DEFLATE: zlib.compress, PACKBITS: packbits}[compression](data)


def blocks(samples, tile, rows_per_strip):
    """The parts that are compressed, each of them (rows, columns, channels): tiles are filled up."""
    height, width, _ = samples.shape
    across, down = tile if tile else (width, rows_per_strip)
    for y in range(0, height, down):
        for x in range(0, width, across):
            part = samples[y:y + down, x:x + across]
            if tile:
                part = np.pad(part, ((0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)))
            yield part


class Writer:
    """A directory: (tag, type, values); types 3 and 4 are SHORT and LONG, 16 is BigTIFF's LONG8."""

    SIZES = {3: "H", 4: "I", 16: "Q"}

    def __init__(self, order, is_big):
        self.mark, self.is_big, self.tags = {"II": "<", "MM": ">"}[order], is_big, []
        self.data = order.encode() + self.pack("HHH" if is_big else "H", *((43, 8, 0) if is_big else (42,)))
        self.data += bytes(8 if is_big else 4)

    def pack(self, kinds, *values):
        return struct.pack(self.mark + kinds, *values)

    def put(self, data):
        self.data += bytes(len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)

    def tag(self, number, kind, *values):
        self.tags.append((number, kind, values))

    def finish(self):
        word, entries = "Q" if self.is_big else "I", b""
        room = struct.calcsize(word)
        for number, kind, values in sorted(self.tags):
            data = self.pack(self.SIZES[kind] * len(values), *values)
            if len(data) > room:
                data = self.pack(word, self.put(data))
            entries += self.pack("HH" + word, number, kind, len(values)) + data.ljust(room, b"\0")
        at = self.put(self.pack("Q" if self.is_big else "H", len(self.tags)) + entries + bytes(room))
        head = 8 if self.is_big else 4
        return self.data[:head] + self.pack(word, at) + self.data[head + room:]


def write_tiff(path, samples, bits, photometric, order="II", big=False, tile=None, planar=False, rows_per_strip=7,
               compression=NONE, fill_order=1, extra=(), sample_format=1, palette=None, orientation=None,
               more=(), pieces=None):
    """samples: (height, width, channels). pieces: the compressed parts, where they are not made of the samples."""
    height, width, channels = samples.shape
    file = Writer(order, big)
    planes = [samples[:, :, c:c + 1] for c in range(channels)] if planar else [samples]
    if pieces is None:
        pieces = [compress(pack(part.reshape(part.shape[0], -1), bits, file.mark, sample_format), compression, fill_order)
                  for plane in planes for part in blocks(plane, tile, rows_per_strip)]
    offsets, sizes = [file.put(piece) for piece in pieces], [len(piece) for piece in pieces]
    offset_type = 16 if big else 4
    for number, kind, *values in [(256, 4, width), (257, 4, height), (258, 3, *[bits] * channels), (259, 3, compression),
                                  (262, 3, photometric), (266, 3, fill_order), (277, 3, channels),
                                  (284, 3, 2 if planar else 1), *more]:
        file.tag(number, kind, *values)
    if tile:
        file.tag(322, 4, tile[0])
        file.tag(323, 4, tile[1])
    else:
        file.tag(278, 4, rows_per_strip)
    file.tag(324 if tile else 273, offset_type, *offsets)
    file.tag(325 if tile else 279, offset_type, *sizes)
    if extra:
        file.tag(338, 3, *extra)
    if sample_format != 1:
        file.tag(339, 3, *[sample_format] * channels)
    if palette is not None:
        file.tag(320, 3, *palette.T.ravel())
    if orientation:
        file.tag(274, 3, orientation)
    path.write_bytes(file.finish())


# ---- what comes out ----

EXPECTED = {}  # by name: (height, width, 3)
BY_PILLOW = {}  # why Pillow need not agree


def expect(path, rgb, reason=None):
    EXPECTED[path.name] = np.ascontiguousarray(np.broadcast_to(rgb, rgb.shape[:2] + (3,)).astype(np.uint8))
    if reason:
        BY_PILLOW[path.name] = reason


def load_expected(path):
    return Image.fromarray(EXPECTED[path.name])


def disagreements(paths):
    """Files of which Pillow makes other pixels than are expected, without a reason; and how many it agrees on."""
    others, agreed = [], 0
    for path in paths:
        theirs, expected = load(path), EXPECTED[path.name]
        if theirs is None or path.name in BY_PILLOW:
            continue
        if theirs.size == expected.shape[1::-1] and theirs.tobytes() == expected.tobytes():
            agreed += 1
        else:
            others.append(path.name)
    return others, agreed


def layouts(bits):
    """Ways to store the same samples."""
    for order in ("II", "MM"):
        yield {"order": order}
        yield {"order": order, "big": True, "compression": DEFLATE, "tile": (32, 16)}
        yield {"order": order, "tile": (16, 48)}
        yield {"order": order, "compression": DEFLATE, "rows_per_strip": 1000}
        if bits <= 8:
            yield {"order": order, "compression": PACKBITS, "rows_per_strip": 1}


def name_of(layout):
    return "_".join(f"{key}{value}".replace(" ", "") for key, value in layout.items())


def from_ycc(samples):
    return np.asarray(Image.fromarray(samples.astype(np.uint8), "YCbCr").convert("RGB"))


def from_cmyk(samples):
    return np.asarray(Image.fromarray(samples.astype(np.uint8), "CMYK").convert("RGB"))


GREY16 = "16-bit grey is scaled, where Pillow clips it"


def write_greys(folder, rng, width, height):
    for bits in (1, 2, 4, 8, 12, 16):
        samples = rng.integers(0, 1 << bits, (height, width, 1))
        grey = samples >> bits - 8 if bits > 8 else samples * (255 // ((1 << bits) - 1))
        for photometric in (WHITE, BLACK):
            for layout in [*layouts(bits), *([{"fill_order": 2}] if bits <= 8 else [])]:
                path = folder / f"grey{bits}_{photometric}_{width}_{name_of(layout)}.tif"
                write_tiff(path, samples, bits, photometric, **layout)
                expect(path, grey if photometric == BLACK else 255 - grey, GREY16 if bits > 8 else None)


def write_numbers(folder, rng, width, height):
    """Of 32 bits, and with a sign: clipped to 0 to 255."""
    for sample_format, bits in [(1, 32), (2, 32), (2, 16), (3, 32)]:
        numbers = rng.integers(0 if sample_format == 1 else -300, 600, (height, width, 1))
        if sample_format == 3:
            numbers = np.where(numbers % 50 == 7, np.nan, numbers * 0.37 + 2)
        clipped = np.clip(np.nan_to_num(numbers), 0, 255)
        for layout in layouts(bits):
            path = folder / f"number{sample_format}_{bits}_{width}_{name_of(layout)}.tif"
            write_tiff(path, numbers, bits, BLACK, sample_format=sample_format, **layout)
            is_swapped = layout["order"] == "MM" and "compression" in layout
            expect(path, clipped, "Pillow swaps what libtiff has swapped" if is_swapped else None)


def unmultiplied(samples, colors):
    alpha = samples[:, :, colors:colors + 1].astype(int)
    return np.where(alpha == 0, 0, np.minimum(samples[:, :, :colors] * 255 // np.maximum(alpha, 1), 255))


def write_colors(folder, rng, width, height):
    kinds = [("rgb", RGB, 3, ()), ("rgba", RGB, 4, (2,)), ("rgba_unsaid", RGB, 4, ()), ("rgbx", RGB, 4, (0,)),
             ("premultiplied", RGB, 4, (1,)), ("rgba_and_more", RGB, 6, (2, 0, 0)), ("many", RGB, 9, (0,) * 6),
             ("cmyk", CMYK, 4, ()), ("cmyk_and_more", CMYK, 5, (0,)), ("la", BLACK, 2, (2,)), ("lx", BLACK, 2, (0,))]
    for name, photometric, channels, extra in kinds:
        for bits in (8, 16):
            samples = rng.integers(0, 1 << bits, (height, width, channels))
            bytes_of = samples >> bits - 8
            rgb = (from_cmyk(bytes_of[:, :, :4]) if photometric == CMYK
                   else unmultiplied(bytes_of, 3) if name == "premultiplied"
                   else bytes_of[:, :, :1] if photometric == BLACK else bytes_of[:, :, :3])
            for layout in layouts(bits):
                for planar in (False, True):
                    path = folder / f"{name}{bits}_{width}_{int(planar)}_{name_of(layout)}.tif"
                    write_tiff(path, samples, bits, photometric, extra=extra, planar=planar, **layout)
                    # Its own reader of uncompressed planes takes no 16 bits, no alpha that has been multiplied, and
                    # of grey the first strip alone.
                    is_raw_plane = planar and layout.get("compression", NONE) == NONE
                    is_multiplied = name == "rgba_unsaid" and planar and not is_raw_plane  # as Pillow has it
                    expect(path, unmultiplied(bytes_of, 3) if is_multiplied else rgb, "planes" if is_raw_plane or planar and photometric == BLACK else None)


def write_palettes(folder, rng, width, height):
    for bits in (1, 2, 4, 8):
        samples = rng.integers(0, 1 << bits, (height, width, 1))
        palette = rng.integers(0, 65536, (1 << bits, 3))
        palette[0, 0] = 65535
        for layout in layouts(bits):
            path = folder / f"palette{bits}_{width}_{name_of(layout)}.tif"
            write_tiff(path, samples, bits, PALETTE, palette=palette, **layout)
            expect(path, (palette >> 8)[samples[:, :, 0]])
        path = folder / f"palette{bits}_{width}_of_8_bits.tif"
        write_tiff(path, samples, bits, PALETTE, palette=palette >> 8)
        expect(path, (palette >> 8)[samples[:, :, 0]], "Pillow takes all of such colours for black")


def subsampled(ycc, across, down):
    """TIFF's order: of each unit all Y, then Cb and Cr."""
    height, width, _ = ycc.shape
    ycc = np.pad(ycc, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    units = ycc.reshape(ycc.shape[0] // down, down, ycc.shape[1] // across, across, 3).transpose(0, 2, 1, 3, 4)
    luma = units[..., 0].reshape(*units.shape[:2], -1)
    return np.concatenate([luma, units[:, :, 0, 0, 1:]], axis=2).astype(np.uint8).tobytes()


def write_ycbcr(folder, rng, width, height):
    ycc = rng.integers(0, 256, (height, width, 3))
    for layout in layouts(8):
        path = folder / f"ycc_{width}_{name_of(layout)}.tif"
        is_raw = layout.get("compression", NONE) == NONE
        write_tiff(path, ycc, 8, YCBCR, more=[(530, 3, 1, 1)], **layout)
        theirs = None if is_raw else load(path)
        if theirs is None and not is_raw:
            print(f"left out, as Pillow does not read it: {path.name}")
            path.unlink()
            continue
        rgb = from_ycc(ycc) if is_raw else np.asarray(theirs)  # libtiff's conversion
        expect(path, rgb, "Pillow 9 takes it for RGB" if is_raw and PILLOW < 13 else None)
    for across, down in [(2, 2), (2, 1), (1, 2), (4, 4)]:
        path = folder / f"ycc_{width}_subsampled_{across}{down}.tif"
        write_tiff(path, ycc, 8, YCBCR, more=[(530, 3, across, down)], compression=DEFLATE, rows_per_strip=height,
                   pieces=[zlib.compress(subsampled(ycc, across, down))])
        theirs = load(path)
        if theirs is None:  # libtiff has no conversion for it, or none for so small an image
            path.unlink()
            continue
        expect(path, np.asarray(theirs))
        plain = folder / f"ycc_{width}_subsampled_{across}{down}_plain.tif"
        write_tiff(plain, ycc, 8, YCBCR, more=[(530, 3, across, down)], rows_per_strip=height,
                   pieces=[subsampled(ycc, across, down)])
        expect(plain, np.asarray(theirs), "Pillow does not see that it is subsampled")


def write_orientations(folder, rng, width, height):
    rgb = rng.integers(0, 256, (height, width, 3))
    turned = {1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.transpose(1, 0, 2),
              6: rgb[::-1].transpose(1, 0, 2), 7: rgb[::-1, ::-1].transpose(1, 0, 2), 8: rgb[:, ::-1].transpose(1, 0, 2)}
    for orientation, pixels in turned.items():
        for layout in ({}, {"compression": DEFLATE, "tile": (16, 16)}):
            path = folder / f"turned{orientation}_{width}_{name_of(layout)}.tif"
            write_tiff(path, rgb, 8, RGB, orientation=orientation, **layout)
            expect(path, pixels)


def write_all(folder):
    rng = np.random.default_rng(3)
    for width, height in SIZES[::2]:
        for write in (write_greys, write_numbers, write_colors, write_palettes, write_ycbcr, write_orientations):
            write(folder, rng, width, height)
    return sorted(folder.iterdir())


# ---- what Pillow writes ----


def save(image, path, **options):
    """Leaves out what this Pillow's libtiff has no encoder for."""
    try:
        image.save(path, **options)
    except (OSError, RuntimeError, KeyError, ValueError):
        path.unlink(missing_ok=True)


def jpeg_strips(image, rows, **options):
    for y in range(0, image.height, rows):
        stream = io.BytesIO()
        image.crop((0, y, image.width, min(y + rows, image.height))).save(stream, "JPEG", **options)
        yield stream.getvalue()


def save_all(folder):
    codecs = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"]
    for index, (width, height) in enumerate([*SIZES[::2], (300, 201)]):
        rgb = Image.fromarray(photo(width, height, 3, index))
        grey = Image.fromarray(photo(width, height, 1, index))
        images = [rgb, grey, Image.fromarray(photo(width, height, 4, index), "RGBA"), rgb.convert("CMYK"),
                  Image.fromarray(photo(width, height, 2, index), "LA"), rgb.quantize(200), grey.convert("1"),
                  Image.fromarray(photo(width, height, 3, index + 1), "LAB"), grey.convert("I"),
                  grey.convert("F")]
        if PILLOW >= 13:  # before, it reads its own otherwise
            images.append(rgb.convert("YCbCr"))
        for image in images:
            for codec in codecs:
                save(image, folder / f"{image.mode}_{index}_{codec}.tif", compression=codec)
        for codec in ("group3", "group4", "tiff_ccitt"):
            save(grey.convert("1"), folder / f"1_{index}_{codec}.tif", compression=codec)
        for across, sampling in ((1, 0), (2, 2)):
            path = folder / f"jpeg_strips_{index}_{across}.tif"
            write_tiff(path, np.asarray(rgb), 8, YCBCR, compression=7, more=[(530, 3, across, across)], rows_per_strip=32,
                       pieces=list(jpeg_strips(rgb, 32, quality=80, subsampling=sampling)))
        save(rgb, folder / f"pages_{index}.tif", save_all=True, append_images=[grey, rgb])
        save(rgb, folder / f"big_{index}.tif", big_tiff=True)
    return sorted(folder.iterdir())


def save_jpeg2000(folder):
    for index, (width, height) in enumerate([*SIZES[::2], (200, 101)]):
        rgb = Image.fromarray(photo(width, height, 3, index))
        images = [rgb, Image.fromarray(photo(width, height, 1, index)),
                  Image.fromarray(photo(width, height, 2, index), "LA"),
                  Image.fromarray(photo(width, height, 4, index), "RGBA")]
        if PILLOW >= 13:  # before, it takes them for RGB
            images.append(rgb.convert("YCbCr"))
        for image in images:
            for name, options in {"": {}, "tiles": {"tile_size": (32, 32)}, "lossy": {"irreversible": True},
                                  "small": {"quality_mode": "rates", "quality_layers": [40, 12]},
                                  "order": {"progression": "PCRL", "codeblock_size": (16, 16), "num_resolutions": 2}}.items():
                for ending in ("jp2", "j2k"):
                    save(image, folder / f"{image.mode}_{index}_{name}.{ending}", **options)
    return sorted(folder.iterdir())


def save_grey16(folder):
    """Scaled, as 16-bit PNGs are."""
    for index, (width, height) in enumerate(SIZES):
        samples = np.random.default_rng(index).integers(0, 65536, (height, width)).astype(np.uint16)
        for name, options in {"tif": {}, "lzw.tif": {"compression": "tiff_lzw"}, "jp2": {}, "j2k": {}}.items():
            path = folder / f"grey16_{index}.{name}"
            save(Image.fromarray(samples), path, **options)
            if path.exists():
                expect(path, samples[:, :, None] >> 8, GREY16)
    return sorted(folder.iterdir())


# ---- the comparisons ----


def with_folder(make, check, label):
    with tempfile.TemporaryDirectory() as folder:
        paths = make(Path(folder))
        assert paths, f"{label}: no file could be written"
        return check(paths, label)


def transparent_files(folder):
    """Straight alpha, as compare_transparency has it from Pillow."""
    for index, (width, height) in enumerate(SIZES):
        rgba = Image.fromarray(photo(width, height, 4, index), "RGBA")
        grey = Image.fromarray(photo(width, height, 2, index), "LA")
        for ending in ("tif", "jp2"):
            save(rgba, folder / f"rgba_{index}.{ending}")
            save(grey, folder / f"la_{index}.{ending}")
        samples = np.asarray(rgba)
        write_tiff(folder / f"premultiplied_{index}.tif", samples, 8, RGB, extra=(1,), compression=DEFLATE)
        write_tiff(folder / f"planes_{index}.tif", samples, 8, RGB, extra=(2,), compression=DEFLATE, planar=True)
    return sorted(folder.iterdir())


def main():
    program = sys.argv[1]
    if not features.check("libtiff") or not features.check("jpg_2000"):
        print("SKIP: this Pillow has no libtiff or no OpenJPEG")
        return 77
    TiffImagePlugin.STRIP_SIZE = 4096
    warnings.simplefilter("ignore")  # of Pillow 9, about BigTIFF
    logging.disable()

    def by_pillow(paths, label):
        if not has_our_libjpeg():
            paths = [path for path in paths if "jpeg" not in path.name]
        return compare(program, paths, label, DECODED)

    def by_samples(paths, label):
        others, agreed = disagreements(paths)
        print(f"{label}: Pillow agrees on {agreed} of {len(paths)} files"
              f"{'; NOT: ' + ', '.join(others[:40]) if others else ''}")
        return len(others) + compare(program, paths, label, DECODED, load_expected)

    def also_with_exif(paths, label):
        return by_samples(paths, label) + compare(program, paths, f"{label}, EXIF applied", DECODED, load_expected, ("exif",))

    failures = with_folder(write_all, also_with_exif, "TIFF written here")
    failures += with_folder(save_all, by_pillow, "TIFF written by Pillow")
    failures += with_folder(save_jpeg2000, by_pillow, "JPEG 2000")
    failures += with_folder(save_grey16, by_samples, "16-bit grey")
    failures += with_folder(transparent_files,
                            lambda paths, label: compare_transparency(program, paths, label), "transparency")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
