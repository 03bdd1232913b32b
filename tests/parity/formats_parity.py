"""Pixels of the simple formats: bitmaps, icons, Targa, PNM, Photoshop, SGI, PCX, QOI, SUN, XBM, XPM and DDS equal PIL's.

formats_parity.py DUMP_PIXELS

The files are written here, byte by byte where PIL does not write their kind. Those with transparency are laid over a colour,
too. Cut at every length they are refused, or with
"keep" taken, where PIL does so. Files that this Pillow does not read are named.
"""
import io
import struct
import sys
import tempfile
import warnings
from pathlib import Path

from pixels_parity import DECODED, compare, load, load_kept, load_over, np, photo

from PIL import Image

WIDTH, HEIGHT = 37, 21
NEWEST = int(Image.__version__.split(".")[0]) >= 13


def rows_of(samples, bits, alignment=1):
    """(height, width) numbers of that many bits, each row packed from the highest bit on and filled up."""
    lines = []
    for row in samples:
        unpacked = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - bits:]
        line = np.packbits(unpacked.reshape(-1)).tobytes()
        lines.append(line + bytes(-len(line) % alignment))
    return lines


def indices(bits, seed=3, width=WIDTH, height=HEIGHT):
    """With runs and without."""
    noise = np.random.default_rng(seed).integers(0, 1 << bits, (height, width))
    y, x = np.mgrid[0:height, 0:width]
    return np.where((x // 9 + y // 4) % 2, (x // 5 + y) % (1 << bits), noise).astype(np.uint8)


def runs(row):
    """[count, value] of equal neighbours."""
    found = []
    for value in row:
        if found and found[-1][1] == value:
            found[-1][0] += 1
        else:
            found.append([1, value])
    return found


# ---- bitmaps ----


def bmp(width, height, bits, colors, rows, header=40, compression=0, masks=b"", count=0):
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(rows), 0, 0, count, 0)
        info += (masks + bytes(header))[:header - 40]
        if header == 40:
            info += masks
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(info) + len(colors)) + info + colors + rows


def rle8(samples):
    data = b""
    for y, row in enumerate(samples[::-1]):
        x = 0
        while x < len(row):
            end = min(x + 7 + y, len(row))
            if y % 3 and end - x > 2:
                data += bytes([0, end - x]) + row[x:end].tobytes() + bytes((end - x) % 2)
            else:
                for count, value in runs(row[x:end]):
                    data += bytes([count, value])
            x = end
        data += b"\0\0"
    return data + b"\0\1"


def rle4(samples):
    data = b""
    for y, row in enumerate(samples[::-1]):
        for x in range(0, len(row), 11):
            part = row[x:x + 11]
            if y % 2 and len(part) > 2:
                packed = rows_of(part.reshape(1, -1), 4)[0]
                data += bytes([0, len(part)]) + packed + bytes(len(packed) % 2)
            else:
                for count, value in runs(part):
                    data += bytes([count, value << 4 | value])
        data += b"\0\0"
    return data + b"\0\1"


def make_bitmaps(folder):
    rng = np.random.default_rng(5)
    for bits in (1, 4, 8):
        samples, count = indices(bits), 1 << bits
        rows = b"".join(rows_of(samples[::-1], bits, 4))
        three, four = rng.bytes(3 * count), rng.bytes(4 * count)
        (folder / f"core_{bits}.bmp").write_bytes(bmp(WIDTH, HEIGHT, bits, three, rows, header=12))
        for header in (40, 52, 56, 64, 108, 124):
            (folder / f"info_{bits}_{header}.bmp").write_bytes(bmp(WIDTH, HEIGHT, bits, four, rows, header=header))
        few = max(2, count - 3)
        (folder / f"few_{bits}.bmp").write_bytes(
            bmp(WIDTH, HEIGHT, bits, four[:4 * few], b"".join(rows_of(np.minimum(samples, few - 1)[::-1], bits, 4)), count=few))
        (folder / f"down_{bits}.bmp").write_bytes(bmp(WIDTH, -HEIGHT, bits, four, rows))
    grey = b"".join(bytes([i, i, i, 0]) for i in range(256))
    (folder / "grey_8.bmp").write_bytes(bmp(WIDTH, HEIGHT, 8, grey, b"".join(rows_of(indices(8), 8, 4))))
    for name, colors in (("", rng.bytes(1024)), ("_grey", grey)):
        (folder / f"rle8{name}.bmp").write_bytes(bmp(WIDTH, HEIGHT, 8, colors, rle8(indices(8)), compression=1))
    (folder / "rle4.bmp").write_bytes(bmp(WIDTH, HEIGHT, 4, rng.bytes(64), rle4(indices(4)), compression=2))
    (folder / "rle_delta.bmp").write_bytes(
        bmp(9, 4, 8, rng.bytes(1024), b"\5\7\0\2\2\1\3\x09\0\0\0\4\1\2\3\4\0\0\x09\x05\0\0\0\1", compression=1))
    (folder / "rle_long.bmp").write_bytes(bmp(9, 2, 8, rng.bytes(1024), b"\x20\7\0\0\5\6\4\1\0\1", compression=1))
    (folder / "rle_short.bmp").write_bytes(bmp(9, 2, 8, rng.bytes(1024), b"\x09\7\0\0\5\6\0\1", compression=1))
    for bits, masks in ((16, (0xF800, 0x7E0, 0x1F, 0)), (16, (0x7C00, 0x3E0, 0x1F, 0)), (32, (0xFF0000, 0xFF00, 0xFF, 0)),
                        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000))):
        for header in (40, 52, 56, 108, 124):
            stride = (WIDTH * bits + 31) // 32 * 4
            packed = struct.pack("<4I", *masks)[:12 if header in (40, 52) else 16]
            if header in (40, 52) and masks[3]:
                continue
            (folder / f"masks_{bits}_{masks[0]:x}_{masks[3]:x}_{header}.bmp").write_bytes(
                bmp(WIDTH, HEIGHT, bits, b"", rng.bytes(stride * HEIGHT), header, 3, packed))
    for name, masks in (("none", (0, 0, 0, 0)), ("abgr", (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
                        ("bgar", (0xFF000000, 0xFF00, 0xFF, 0xFF0000)), ("xbgr", (0xFF000000, 0xFF0000, 0xFF00, 0))):
        (folder / f"alpha_{name}.bmp").write_bytes(
            bmp(WIDTH, HEIGHT, 32, b"", rng.bytes(4 * WIDTH * HEIGHT), 108, 3, struct.pack("<4I", *masks)))
    (folder / "no_alpha_1555.bmp").write_bytes(
        bmp(WIDTH, HEIGHT, 16, b"", rng.bytes(76 * HEIGHT), 56, 3, struct.pack("<4I", 0x7C00, 0x3E0, 0x1F, 0x8000)))
    (folder / "no_alpha_32.bmp").write_bytes(bmp(WIDTH, HEIGHT, 32, b"", rng.bytes(4 * WIDTH * HEIGHT)))
    last = bmp(WIDTH, HEIGHT, 24, b"", rng.bytes(112 * HEIGHT))
    (folder / "last_byte_missing.bmp").write_bytes(last[:-1])
    (folder / "core_24.bmp").write_bytes(bmp(WIDTH, HEIGHT, 24, b"", rng.bytes(112 * HEIGHT), header=12))
    (folder / "clipboard.dib").write_bytes(bmp(WIDTH, HEIGHT, 24, b"", rng.bytes(112 * HEIGHT))[14:])


# ---- icons ----


def icon(kind, pictures):
    """pictures: (width, height, colours, bits, bytes)."""
    directory, data = b"", b""
    for width, height, colors, bits, picture in pictures:
        directory += struct.pack("<BBBBHHII", width % 256, height % 256, colors, 0, 1, bits, len(picture),
                                 6 + 16 * len(pictures) + len(data))
        data += picture
    return struct.pack("<HHH", 0, kind, len(pictures)) + directory + data


def icon_picture(width, height, bits, seed):
    rng = np.random.default_rng(seed)
    stride, mask = (width * bits + 31) // 32 * 4, (width + 31) // 32 * 4
    colors = rng.bytes(4 << bits) if bits < 16 else b""
    return bmp(width, 2 * height, bits, colors, rng.bytes(stride * height) + rng.bytes(mask * height))[14:]


def make_icons(folder):
    for bits in (1, 4, 8, 24, 32):
        (folder / f"one_{bits}.ico").write_bytes(icon(1, [(19, 23, 0, bits, icon_picture(19, 23, bits, bits))]))
        if bits > 1:
            (folder / f"one_{bits}.cur").write_bytes(icon(2, [(19, 23, 0, bits, icon_picture(19, 23, bits, bits))]))
    black_and_white, greys = b"\0\0\0\0\xff\xff\xff\0", b"".join(bytes([i, i, i, 0]) for i in range(256))
    for name, bits, colors, count in (("two", 1, black_and_white, 2), ("turned", 1, black_and_white[4:] + bytes(4), 2),
                                      ("greys", 8, greys, 0), ("no_greys", 8, greys[::-1], 0)):
        stride = (19 * bits + 31) // 32 * 4
        picture = bmp(19, 2 * 23, bits, colors, np.random.default_rng(bits).bytes(2 * stride * 23), count=count)[14:]
        (folder / f"{name}.cur").write_bytes(icon(2, [(19, 23, 0, bits, picture)]))
    masked = bmp(19, 2 * 23, 32, b"", np.random.default_rng(3).bytes(2 * 4 * 19 * 23), 108, 3,
                 struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000))[14:]
    for kind, suffix in ((1, "ico"), (2, "cur")):
        two = [(19, 23, 0, 32, icon_picture(19, 23, 32, 8)), (16, 16, 0, 32, icon_picture(16, 16, 32, 9))]
        (folder / f"two_32.{suffix}").write_bytes(icon(kind, two))
        (folder / f"masked.{suffix}").write_bytes(icon(kind, [(19, 23, 0, 32, masked)]))
    (folder / "unsaid_32.ico").write_bytes(icon(1, [(19, 23, 0, 0, icon_picture(19, 23, 32, 8))]))
    several = [(16, 16, 16, 4, icon_picture(16, 16, 4, 1)), (32, 32, 0, 8, icon_picture(32, 32, 8, 2)),
               (32, 32, 0, 24, icon_picture(32, 32, 24, 3)), (24, 24, 0, 24, icon_picture(24, 24, 24, 4))]
    for name, pictures in (("first", several), ("last", several[::-1])):
        (folder / f"several_{name}.ico").write_bytes(icon(1, pictures))
        (folder / f"several_{name}.cur").write_bytes(icon(2, pictures))
    unsaid = [(32, 32, 16, 0, icon_picture(32, 32, 4, 5)), (32, 32, 0, 0, icon_picture(32, 32, 8, 6)),
              (32, 32, 2, 0, icon_picture(32, 32, 1, 7))]
    (folder / "unsaid.ico").write_bytes(icon(1, unsaid))
    Image.fromarray(photo(64, 64, 4, 1), "RGBA").save(folder / "png.ico")
    entries = b""
    for kind, side in ((b"ic07", 128), (b"ic08", 256), (b"ic13", 256), (b"TOC ", 0), (b"ic11", 32)):
        data = io.BytesIO()
        if side:
            Image.fromarray(photo(side, side, 4, side + kind[3]), "RGBA").save(data, "PNG")
        entries += kind + struct.pack(">I", 8 + len(data.getvalue())) + data.getvalue()
    (folder / "several.icns").write_bytes(b"icns" + struct.pack(">I", 8 + len(entries)) + entries)
    make_packed_icns(folder)


def icns(*entries):
    data = b"".join(name + struct.pack(">I", 8 + len(content)) + content for name, content in entries)
    return b"icns" + struct.pack(">I", 8 + len(data)) + data


def icns_runs(plane):
    data = b""
    for count, value in runs(plane.ravel()):
        while count:
            part = min(count, 130)
            data += bytes([125 + part, value]) if part > 2 else bytes([part - 1]) + bytes([value]) * part
            count -= part
    return data


def make_packed_icns(folder):
    """Run lengths beside masks, plain colours, and what is larger counts."""
    png = io.BytesIO()
    Image.fromarray(photo(64, 64, 4, 3), "RGBA").save(png, "PNG")
    for name, mask, side in ((b"it32", b"t8mk", 128), (b"ih32", b"h8mk", 48), (b"il32", b"l8mk", 32), (b"is32", b"s8mk", 16)):
        planes = [indices(8, seed, side, side) for seed in range(4)]
        packed = (bytes(4) if side == 128 else b"") + b"".join(icns_runs(plane) for plane in planes[:3])
        plain = (bytes(4) if side == 128 else b"") + np.stack(planes[:3], 2).tobytes()
        (folder / f"packed_{side}.icns").write_bytes(icns((name, packed), (mask, planes[3].tobytes())))
        (folder / f"plain_{side}.icns").write_bytes(icns((name, plain)))
        (folder / f"packed_{side}_and_png.icns").write_bytes(icns((b"icp6", png.getvalue()), (name, packed)))


# ---- Targa ----


def tga(kind, samples, bits, colors=b"", color_bits=0, first=0, flags=0, identity=b"", count=0):
    height, width = samples.shape[:2]
    data, step = b"", bits // 8
    for row in samples:
        line = row.astype(np.uint8).tobytes()
        pixels = [line[i:i + step] for i in range(0, len(line), step)]
        if kind < 8:
            data += line
            continue
        for number, pixel in runs(pixels):
            while number:
                part = min(number, 128)
                data += bytes([127 + part]) + pixel if part > 1 else bytes([0]) + pixel
                number -= part
    head = struct.pack("<BBBHHBHHHHBB", len(identity), bool(colors), kind, first if colors else 0, count, color_bits, 0, 0,
                       width, height, bits, flags)
    return head + identity + colors + data


def make_targas(folder):
    rng = np.random.default_rng(9)
    for packed in (0, 8):
        for flags in (0, 0x20, 0x10, 0x30):
            name = f"{packed}_{flags:x}"
            for color_bits in (16, 24, 32):
                (folder / f"indexed_{color_bits}_{name}.tga").write_bytes(tga(
                    1 + packed, np.minimum(indices(8), 99), 8, rng.bytes(100 * color_bits // 8), color_bits, flags=flags, count=100))
            (folder / f"later_{name}.tga").write_bytes(tga(
                1 + packed, indices(4) + 5, 8, rng.bytes(16 * 3), 24, first=5, flags=flags, count=16, identity=b"a name"))
            for bits in (16, 24, 32):
                pixels = np.repeat(indices(8)[:, :, None], bits // 8, 2) ^ np.arange(bits // 8, dtype=np.uint8)
                alpha = {16: 1, 24: 0, 32: 8}[bits]
                (folder / f"color_{bits}_{name}.tga").write_bytes(tga(2 + packed, pixels, bits, flags=flags | alpha))
            (folder / f"grey_{name}.tga").write_bytes(tga(3 + packed, indices(8), 8, flags=flags))
            pixels = np.repeat(indices(8)[:, :, None], 2, 2) ^ np.array([0, 77], np.uint8)
            (folder / f"grey_alpha_{name}.tga").write_bytes(tga(3 + packed, pixels, 16, flags=flags | 8))
    junk = bytearray(tga(2, np.repeat(indices(8)[:, :, None], 3, 2), 24))
    junk[3:8] = b"\1\2\3\4\5"
    (folder / "footer.tga").write_bytes(bytes(junk) + struct.pack("<II", 0, 0) + b"TRUEVISION-XFILE.\0")
    pixels = np.repeat(indices(8)[:, :, None], 4, 2) ^ np.array([0, 1, 2, 77], np.uint8)
    for attributes in (0, 3):
        for bits, part in ((32, pixels), (16, pixels[:, :, 2:])):
            for kind in (2, 3) if bits == 16 else (2,):
                whole = tga(kind, part, bits, flags=8 if bits == 32 or kind == 3 else 1)
                (folder / f"extended_{kind}_{bits}_{attributes}.tga").write_bytes(
                    whole + bytes(494) + bytes([attributes]) + struct.pack("<II", len(whole), 0) + b"TRUEVISION-XFILE.\0")
    literal = tga(10, np.zeros((0, 4, 3)), 24)
    (folder / "across_rows.tga").write_bytes(literal[:14] + b"\3\0" + literal[16:] + b"\x0b" + rng.bytes(36))


# ---- PNM ----


def make_pnm(folder):
    bits, grey = indices(1), indices(8)
    (folder / "plain.pbm").write_bytes(b"P1 # comment\n37 21\n" + b"\n".join(
        " ".join(str(v) for v in row).encode() if y % 2 else bytes(row + 48) for y, row in enumerate(bits)))
    (folder / "binary.pbm").write_bytes(b"P4\n37 # here\n21\n" + b"".join(rows_of(bits, 1)))
    floats = (np.random.default_rng(2).random((HEIGHT, WIDTH)) * 400 - 50).astype(np.float32)
    for name, mark in (("little", "<f4"), ("big", ">f4")):
        scale = b"-1.0" if name == "little" else b"2.5"
        (folder / f"{name}.pfm").write_bytes(b"Pf\n37 21\n" + scale + b"\n" + floats.astype(mark).tobytes())
    (folder / "color_16.ppm").write_bytes(
        b"P6 37 21 40000\n" + (np.repeat(grey[:, :, None], 3, 2).astype(int) * 150).astype(">u2").tobytes())
    for maximum in (65535, 1000, 256):
        samples = (grey.astype(int) * maximum // 255)
        (folder / f"binary_{maximum}.pgm").write_bytes(b"P5 37 21 %d\n" % maximum + samples.astype(">u2").tobytes())
        (folder / f"plain_{maximum}.pgm").write_bytes(
            b"P2 37 21 %d\n" % maximum + " ".join(str(v) for v in samples.ravel()).encode() + b"\n")


def load_grey(path):
    """16-bit grey scaled to 8 bits, which Pillow clips."""
    image = load(path)
    if path.suffix != ".pgm":
        return image
    with open(path, "rb") as stream:
        return Image.fromarray((np.asarray(Image.open(stream)).astype(int) >> 8).astype(np.uint8)).convert("RGB")


# ---- Photoshop, SGI, PCX, SUN ----


def packbits(row):
    data = b""
    for count, value in runs(row):
        while count:
            part = min(count, 128)
            data += bytes([257 - part, value]) if part > 1 else bytes([0, value])
            count -= part
    return data


def psd(planes, mode, bits=8, colors=b"", packed=False, more=b""):
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", len(planes), HEIGHT, WIDTH, bits, mode)
    head += struct.pack(">I", len(colors)) + colors + struct.pack(">I", 0) + struct.pack(">I", len(more)) + more
    rows = [row for plane in planes for row in rows_of(plane, bits)]
    if not packed:
        return head + b"\0\0" + b"".join(rows)
    rows = [packbits(row) for row in rows]
    return head + b"\0\1" + b"".join(struct.pack(">H", len(row)) for row in rows) + b"".join(rows)


def make_photoshops(folder):
    palette = np.random.default_rng(4).bytes(768)
    for packed in (False, True):
        planes = [indices(8, seed) for seed in range(5)]
        name = "packed" if packed else "plain"
        for kind, mode, count, colors in (("grey", 1, 1, b""), ("indexed", 2, 1, palette), ("rgb", 3, 3, b""), ("rgba", 3, 4, b""),
                                          ("cmyk", 4, 4, b""), ("multichannel", 7, 1, b""), ("duotone", 8, 1, b"\0" * 30)):
            (folder / f"{kind}_{name}.psd").write_bytes(psd(planes[:count], mode, colors=colors, packed=packed, more=bytes(8)))
        (folder / f"bitmap_{name}.psd").write_bytes(psd([indices(1)], 0, bits=1, packed=packed))
    (folder / "grey_alpha.psd").write_bytes(psd(planes[:2], 1))
    (folder / "rgb_five.psd").write_bytes(psd(planes, 3))


def sgi_rle(planes, size):
    """Literals and runs by turns."""
    starts, sizes, data = [], [], b""
    mark = ">u2" if size == 2 else "u1"
    at = 512 + 8 * len(planes) * HEIGHT
    for plane in planes:
        for y, row in enumerate(plane[::-1].astype(int)):
            values = row * 257 if size == 2 else row
            parts = [np.array([len(row) | 128, *values])] if y % 2 else [np.array(part) for part in runs(values)]
            line = np.concatenate([*parts, [0]]).astype(mark).tobytes()
            starts.append(at + len(data))
            sizes.append(len(line))
            data += line
    return np.array(starts + sizes).astype(">u4").tobytes() + data


def make_sgis(folder):
    planes = [indices(8, seed) for seed in range(4)]
    for count in (1, 3, 4):
        for size in (1, 2):
            for packed in (0, 1):
                head = struct.pack(">HBBHHHH", 474, packed, size, 2 if count == 1 else 3, WIDTH, HEIGHT, count)
                plain = b"".join((plane[::-1].astype(int) * (257 if size == 2 else 1)).astype(">u2" if size == 2 else "u1").tobytes()
                                 for plane in planes[:count])
                (folder / f"{count}_{size}_{packed}.sgi").write_bytes(
                    head.ljust(512, b"\0") + (sgi_rle(planes[:count], size) if packed else plain))


def pcx_line(line):
    data = b""
    for count, value in runs(line):
        while count:
            part = min(count, 63)
            data += bytes([0xC0 | part, value]) if part > 1 or value >= 0xC0 else bytes([value])
            count -= part
    return data


def make_pcxs(folder):
    rgb = Image.fromarray(photo(WIDTH, HEIGHT, 3, 2))
    for mode in ("1", "L", "RGB"):
        rgb.convert(mode).save(folder / f"{mode}.pcx")
    rgb.quantize(200).save(folder / "P.pcx")
    page = (folder / "P.pcx").read_bytes()
    (folder / "pages.dcx").write_bytes(struct.pack("<IIII", 0x3ADE68B1, 4100, 4100, 0).ljust(4100, b"\0") + page)
    palette = np.random.default_rng(1).bytes(48)
    for planes in (2, 4):
        samples, data = indices(planes), b""
        for row in samples:
            line = b"".join(rows_of(((row >> plane) & 1).reshape(1, -1), 1, 2)[0] for plane in range(planes))
            data += pcx_line(line)
        head = struct.pack("<BBBBHHHHHH", 10, 5, 1, 1, 3, 4, WIDTH + 2, HEIGHT + 3, 72, 72) + palette
        (folder / f"{planes}_planes.pcx").write_bytes((head + struct.pack("<BBH", 0, planes, 6)).ljust(128, b"\0") + data)


def sun_rle(data):
    out = b""
    for count, value in runs(data):
        while count:
            part = min(count, 256)
            if part > 2:
                out += bytes([0x80, part - 1, value])
            else:
                out += (b"\x80\0" if value == 0x80 else bytes([value])) * part
            count -= part
    return out


def make_suns(folder):
    rng = np.random.default_rng(6)
    for bits in (1, 4, 8, 24, 32):
        width = 48
        stride = (width * bits + 15) // 16 * 2
        rows = indices(8, bits, width=stride).tobytes()
        for kind, data in ((0, rows), (1, rows), (2, sun_rle(rows)), (3, rows)):
            for colors in (b"", rng.bytes(768)) if bits == 8 else (b"",):
                head = struct.pack(">8I", 0x59A66A95, width, HEIGHT, bits, len(data), kind, bool(colors), len(colors))
                (folder / f"{bits}_{kind}_{bool(colors)}.ras").write_bytes(head + colors + data)
    samples = indices(8)
    (folder / "odd_width.ras").write_bytes(
        struct.pack(">8I", 0x59A66A95, WIDTH, HEIGHT, 8, 0, 1, 0, 0) + b"".join(rows_of(samples, 8, 2)))


# ---- X, QOI, DDS ----


def make_xs(folder):
    Image.fromarray(photo(WIDTH, HEIGHT, 1, 2)).convert("1").save(folder / "a.xbm")
    for width, characters in ((1, ".#abcdefgh"), (2, "0123456789abcdefghijklmnop")):
        keys = [a + b for a in characters for b in characters][:300] if width == 2 else list(characters)
        colors = "".join(f'"{key} c {"None" if i == 3 else f"#{i * 7919 % 0x1000000:06x}"}",\n' for i, key in enumerate(keys))
        samples = indices(8).astype(int) * 31 % len(keys)
        rows = ",\n".join('"' + "".join(keys[v] for v in row) + '"' for row in samples)
        (folder / f"{len(keys)}.xpm").write_text(
            f'/* XPM */\nstatic char *a[] = {{\n"{WIDTH} {HEIGHT} {len(keys)} {width}",\n{colors}{rows}}};\n')


def qoi(pixels, channels):
    """Of the kinds of instructions whichever fits first."""
    data, seen, last, run = b"", [(0, 0, 0, 0)] * 64, (0, 0, 0, 255), 0
    for pixel in [tuple(int(v) for v in pixel) for row in pixels for pixel in row]:
        if pixel == last:
            run += 1
            if run < 62:
                continue
        if run:
            data += bytes([0xC0 | run - 1])
            run = 0
            if pixel == last:
                continue
        place = (pixel[0] * 3 + pixel[1] * 5 + pixel[2] * 7 + pixel[3] * 11) % 64
        red, green, blue = ((pixel[c] - last[c] + 128) % 256 - 128 for c in range(3))
        if seen[place] == pixel:
            data += bytes([place])
        elif pixel[3] != last[3]:
            data += bytes([0xFF, *pixel])
        elif all(-2 <= v <= 1 for v in (red, green, blue)):
            data += bytes([0x40 | red + 2 << 4 | green + 2 << 2 | blue + 2])
        elif -32 <= green < 32 and -8 <= red - green < 8 and -8 <= blue - green < 8:
            data += bytes([0x80 | green + 32, red - green + 8 << 4 | blue - green + 8])
        else:
            data += bytes([0xFE, *pixel[:3]])
        seen[place], last = pixel, pixel
    data += bytes([0xC0 | run - 1]) if run else b""
    return b"qoif" + struct.pack(">IIBB", WIDTH, HEIGHT, channels, 0) + data + bytes(7) + b"\1"


def make_qois(folder):
    smooth = np.cumsum(np.random.default_rng(1).integers(-3, 4, (HEIGHT, WIDTH, 4)), axis=1).astype(np.uint8)
    smooth[::2, :, 3] = 255
    for name, pixels in (("photo", photo(WIDTH, HEIGHT, 4, 3)), ("smooth", smooth), ("few", smooth // 64 * 64)):
        (folder / f"{name}_4.qoi").write_bytes(qoi(pixels, 4))
        pixels = pixels.copy()
        pixels[:, :, 3] = 255
        (folder / f"{name}_3.qoi").write_bytes(qoi(pixels, 3))


def dds(flags, code, bits, masks, data):
    head = struct.pack("<7I", 124, 0x1007, HEIGHT, WIDTH, 0, 0, 0) + bytes(44)
    return b"DDS " + head + struct.pack("<II4sI", 32, flags, code, bits) + struct.pack("<4I", *masks) + bytes(20) + data


def make_dds(folder):
    rng = np.random.default_rng(8)
    blocks = 10 * 6
    for code, size in (("DXT1", 8), ("DXT3", 16), ("DXT5", 16), ("ATI1", 8), ("BC4U", 8), ("ATI2", 16), ("BC5U", 16), ("BC5S", 16)):
        (folder / f"{code}.dds").write_bytes(dds(4, code.encode(), 0, (0, 0, 0, 0), rng.bytes(blocks * size)))
    for number, size in ((71, 8), (74, 16), (77, 16), (80, 8), (83, 16), (84, 16), (95, 16), (98, 16), (99, 16), (28, 0)):
        for repeat in range(4 if number >= 95 else 1):
            more = struct.pack("<5I", number, 3, 0, 1, 0)
            data = bytearray(rng.bytes(blocks * size or 4 * WIDTH * HEIGHT))
            if number >= 98:
                for i in range(blocks):  # each mode is as frequent as the others
                    data[16 * i] = (int(data[16 * i]) | 1) << i % 8 & 255
            (folder / f"number_{number}_{repeat}.dds").write_bytes(dds(4, b"DX10", 0, (0, 0, 0, 0), more + bytes(data)))
    for bits, masks in ((32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), (24, (0xFF0000, 0xFF00, 0xFF, 0)),
                        (16, (0xF800, 0x7E0, 0x1F, 0)), (16, (0xF00, 0xF0, 0xF, 0xF000))):
        (folder / f"masks_{bits}_{masks[0]:x}.dds").write_bytes(
            dds(0x41 if masks[3] else 0x40, bytes(4), bits, masks, rng.bytes(WIDTH * HEIGHT * bits // 8)))
    (folder / "grey_8.dds").write_bytes(dds(0x20000, bytes(4), 8, (255, 0, 0, 0), rng.bytes(WIDTH * HEIGHT)))
    (folder / "indexed.dds").write_bytes(dds(0x20, bytes(4), 8, (0, 0, 0, 0), rng.bytes(1024 + WIDTH * HEIGHT)))
    (folder / "masks_no_alpha.dds").write_bytes(
        dds(0x40, bytes(4), 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), rng.bytes(WIDTH * HEIGHT * 4)))
    (folder / "grey_16.dds").write_bytes(dds(0x20001, bytes(4), 16, (255, 0, 0, 0xFF00), rng.bytes(2 * WIDTH * HEIGHT)))


# ---- comparing ----

MAKERS = [make_bitmaps, make_icons, make_targas, make_pnm, make_photoshops, make_sgis, make_pcxs, make_suns, make_xs, make_qois,
          make_dds]


# What Pillow 9 reads wrongly, and later ones as we do: runs of four bits and passed pixels, icons of equal size, planes that are
# not side by side, signed blocks, pages, masks of grey cursors, and a mask of alpha that is not to be used.
MENDED = ["rle4.bmp", "rle_delta.bmp", "several_first.ico", "several_last.ico", "unsaid.ico", "2_planes.pcx", "4_planes.pcx",
          "pages.dcx", "BC5S.dds", "number_84_0.dds", "two.cur", "greys.cur", "masks_no_alpha.dds"]
# The same of alpha alone: Targa's single bit of it, and that which an extension says to mean nothing.
MENDED_ALPHA = ("color_16_", "indexed_16_", "extended_")


def readable(paths):
    """Those that this Pillow reads; the newest reads all but the one that is there to be refused."""
    found = [path for path in paths if (load(path) or path.name == "rle_short.bmp") and (NEWEST or path.name not in MENDED)]
    missing = [path.name for path in paths if path not in found]
    if missing:
        print(f"SKIP: Pillow {Image.__version__} does not read, or reads wrongly: {', '.join(missing)}")
    return found, NEWEST and len(missing)


OVER = (200, 30, 90)


def compare_over(program, paths, label):
    """Laid over a colour. Which images change there counts, too: both that some do and that others do not."""
    over = load_over(OVER)
    paths = [path for path in paths if NEWEST or not path.name.startswith(MENDED_ALPHA)]
    changed = [path for path in paths if load(path) and load(path).tobytes() != over(path).tobytes()]
    print(f"{label}: {len(changed)} of {len(paths)} images are transparent")
    return compare(program, paths, f"{label}, laid over", DECODED, over, ("over={},{},{}".format(*OVER),))


CUT = ["core_4.bmp", "two.cur", "greys.cur", "packed_16.icns", "alpha_none.bmp", "color_32_0_0.tga", "rgba_plain.psd",
       "rgba_packed.psd", "4_1_0.sgi", "info_8_40.bmp", "masks_16_f800_0_40.bmp", "rle8.bmp", "color_24_0_0.tga", "grey_8_20.tga", "binary.pbm",
       "rgb_plain.psd", "cmyk_packed.psd", "3_1_0.sgi", "RGB.pcx", "1_1_False.ras", "4_planes.pcx", "8_1_False.ras", "24_2_False.ras"]


def compare_cut(program, folder, whole):
    """Files cut at lengths all over them."""
    paths = []
    for path in whole:
        data = path.read_bytes()
        for length in [*range(1, len(data), max(1, len(data) // 60)), *range(len(data) - 5, len(data))]:
            paths.append(folder / f"cut_{length}_{path.name}")
            paths[-1].write_bytes(data[:length])
    return compare(program, paths, "cut", DECODED) + compare(program, paths, "cut, kept", DECODED, load=load_kept, more=("keep",))


def main():
    warnings.simplefilter("ignore")
    program, failures = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for maker in MAKERS:
            (folder / maker.__name__).mkdir()
            maker(folder / maker.__name__)
            paths, missing = readable(sorted((folder / maker.__name__).iterdir()))
            failures += missing + compare(program, paths, maker.__name__[5:], DECODED,
                                          load=load_grey if maker is make_pnm else load)
            if maker is not make_pnm:
                failures += compare_over(program, paths, maker.__name__[5:])
        whole = [path for path in folder.rglob("*") if path.name in CUT and (NEWEST or path.name not in MENDED)]
        failures += compare_cut(program, folder, whole)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
