"""Formats of the web and of phones, and transparency: pixels equal Pillow's, byte for byte.

web_formats_parity.py DUMP_PIXELS

Transparency: dropped as convert("RGB") does it, and with a background equal to alpha_composite over a filled image.
"""
import struct
import sys
import tempfile
import warnings
from pathlib import Path

import heif_pictures
from pixels_parity import (DECODED, PIL, Dump, Image, ImageFile, chunk, compare, features, load, load_over, load_turned, np, photo,
                           write_png)

PILLOW = tuple(int(part) for part in PIL.__version__.split(".")[:2])
COLOURS = [(255, 255, 255), (0, 0, 0), (13, 200, 91)]


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


# ---- WebP ----


def make_webps(folder):
    for index, (width, height) in enumerate([(301, 229), (31, 47), (1, 40), (5, 1), (640, 33)]):
        rgb = Image.fromarray(photo(width, height, 3, index))
        rgba = Image.fromarray(photo(width, height, 4, index), "RGBA")
        for quality in (10, 80):
            rgb.save(folder / f"lossy_{index}_{quality}.webp", quality=quality)
            rgba.save(folder / f"lossy_alpha_{index}_{quality}.webp", quality=quality, alpha_quality=quality)
        rgb.save(folder / f"lossless_{index}.webp", lossless=True)
        rgba.save(folder / f"lossless_alpha_{index}.webp", lossless=True, exact=index % 2 == 1)
        rgb.save(folder / f"named_{index}.jpg", format="WEBP")
        frames = [Image.fromarray(photo(width, height, 4, index + n), "RGBA") for n in (1, 2)]
        for kind, first in ("rgba", rgba), ("rgb", rgb):
            first.save(folder / f"moving_{kind}_{index}.webp", save_all=True, append_images=frames, lossless=index % 2 == 0)
        first = (folder / f"lossless_alpha_{index}.webp").read_bytes()
        (folder / f"behind_the_end_{index}.webp").write_bytes(first + b"and more")
    make_odd_webps(folder)
    return sorted(folder.iterdir())


def riff(chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_chunks(data):
    """[(kind, data)] of a file without an animation."""
    position, found = 12, []
    while position + 8 <= len(data):
        kind, length = data[position:position + 4], struct.unpack("<I", data[position + 4:position + 8])[0]
        found.append((kind, data[position + 8:position + 8 + length]))
        position += 8 + length + length % 2
    return found


def size24(value):
    return struct.pack("<I", value)[:3]


def extended(flags, width, height):
    return b"VP8X", bytes([flags, 0, 0, 0]) + size24(width - 1) + size24(height - 1)


def make_odd_webps(folder):
    """A first frame that is smaller than its canvas, with and without alpha; flags that say otherwise."""
    frame = Image.fromarray(photo(20, 14, 4, 3), "RGBA")
    for lossless in (False, True):
        frame.save(folder / "frame.webp", lossless=lossless, exact=True)
        picture = [part for part in webp_chunks((folder / "frame.webp").read_bytes()) if part[0] in (b"ALPH", b"VP8 ", b"VP8L")]
        for flags in (0x02, 0x12):
            place = size24(3) + size24(2) + size24(19) + size24(13) + size24(100) + b"\0"
            body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in picture)
            moving = [extended(flags, 40, 30), (b"ANIM", struct.pack("<IH", 0xFF102030, 0)), (b"ANMF", place + body)]
            (folder / f"small_{lossless}_{flags}.webp").write_bytes(riff(moving))
        for flags in (0x00, 0x10):
            (folder / f"flags_{lossless}_{flags}.webp").write_bytes(riff([extended(flags, 20, 14)] + picture))
    (folder / "frame.webp").unlink()


def make_cut_webps(folder):
    """Cut at every length, and damaged at many places."""
    for kind, options in {"lossy": {}, "lossless": {"lossless": True}}.items():
        Image.fromarray(photo(33, 21, 4, 1), "RGBA").save(folder / "whole.webp", **options)
        whole = (folder / "whole.webp").read_bytes()
        (folder / "whole.webp").unlink()
        for length in range(12, len(whole), 29):
            (folder / f"{kind}_{length}.webp").write_bytes(whole[:length])
        for position in range(4, len(whole), 31):
            damaged = bytearray(whole)
            damaged[position] ^= 0x24
            (folder / f"{kind}_damaged_{position}.webp").write_bytes(bytes(damaged))
    return sorted(folder.iterdir())


def make_turned_webps(folder):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        rgb = Image.fromarray(photo(31, 47, 3, orientation))
        rgb.save(folder / f"rgb_{orientation}.webp", exif=exif)
        rgb.save(folder / f"moving_{orientation}.webp", exif=exif, save_all=True, append_images=[rgb.rotate(90)])
        Image.fromarray(photo(31, 47, 4, 2), "RGBA").save(folder / f"rgba_{orientation}.webp", exif=exif, lossless=True)
    rgb.save(folder / "plain.webp")
    picture = webp_chunks((folder / "plain.webp").read_bytes())
    six = (b"EXIF", b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0")
    eight = (b"EXIF", b"Exif\0\0" + six[1][:18] + b"\x08" + six[1][19:])
    odd = {"unannounced": [extended(0, 31, 47), *picture, six], "twice": [extended(8, 31, 47), *picture, eight, six],
           "headed": [extended(8, 31, 47), *picture, eight], "before": [extended(8, 31, 47), six, *picture],
           "cut": [extended(8, 31, 47), *picture, (b"EXIF", six[1][:20])], "empty": [extended(8, 31, 47), *picture, (b"EXIF", b"")],
           "behind_simple": [*picture, six]}
    if PILLOW >= (11, 2):  # earlier ones look for no XMP in a WebP
        xmp = (b"XMP ", b'<a tiff:Orientation="6" />')
        odd |= {"xmp": [extended(4, 31, 47), *picture, xmp], "xmp_and_exif": [extended(12, 31, 47), *picture, eight, xmp]}
    for name, parts in odd.items():
        (folder / f"odd_{name}.webp").write_bytes(riff(parts))
    return sorted(folder.iterdir())


def compare_turned(program, paths, label):
    return compare(program, paths, label, DECODED, load_turned, ("exif",)) + compare(program, paths, label, DECODED)


# ---- GIF ----


def lzw(indices, bits):
    """Codes of one size: the table is cleared before it grows."""
    clear, width, every = 1 << bits, bits + 1, (1 << bits) - 2
    codes = []
    for place, index in enumerate(indices):
        codes += [clear, index] if place % every == 0 else [index]
    number = sum(code << (width * place) for place, code in enumerate(codes + [clear + 1]))
    data = number.to_bytes((width * (len(codes) + 1) + 7) // 8, "little")
    return blocks(data)


def blocks(data):
    return b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b"\0"


def screen(width, height, palette=b"", background=0):
    flags = 0x80 | (len(palette) // 3).bit_length() - 2 if palette else 0
    return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, background, 0) + palette


def frame(x, y, indices, bits, palette=b"", interlaced=False):
    height, width = indices.shape
    flags = 0x80 | (len(palette) // 3).bit_length() - 2 if palette else 0
    if interlaced:
        indices = np.concatenate([indices[start::step] for start, step in ((0, 8), (4, 8), (2, 4), (1, 2))])
    head = b"," + struct.pack("<HHHHB", x, y, width, height, flags | 0x40 * interlaced)
    return head + palette + bytes([bits]) + lzw(indices.ravel().tolist(), bits)


def control(transparent=None):
    return b"!\xf9\x04" + bytes([transparent is not None, 0, 0, transparent or 0]) + b"\0"


def make_gifs(folder):
    rng = np.random.default_rng(11)
    for index, (width, height) in enumerate([(301, 229), (31, 47), (1, 40), (5, 1), (640, 33)]):
        rgb = Image.fromarray(photo(width, height, 3, index))
        for colors in (2, 5, 64, 256):
            for interlace in (0, 1):
                rgb.quantize(colors).save(folder / f"p{colors}_{index}_{interlace}.gif", interlace=interlace)
            rgb.quantize(colors).save(folder / f"transparent{colors}_{index}.gif", transparency=1)
        rgb.convert("L").save(folder / f"l_{index}.gif")
        rgb.convert("L").save(folder / f"named_{index}.png", format="GIF", transparency=100)
        rgb.convert("1").save(folder / f"one_{index}.gif")
        rgb.save(folder / f"moving_{index}.gif", save_all=True, append_images=[rgb.rotate(20)], disposal=2)
    many, few, grey = rng.bytes(3 * 16), rng.bytes(3 * 4), bytes(i // 3 for i in range(3 * 16))
    pixels = rng.integers(0, 16, (13, 21))
    for interlaced in (False, True):
        for height in (1, 2, 3, 4, 5, 9, 13):
            (folder / f"rows_{height}_{interlaced}.gif").write_bytes(
                screen(21, height, many) + frame(0, 0, pixels[:height], 4, interlaced=interlaced) + b";")
        local = frame(5, 4, pixels, 4, rng.bytes(48), interlaced)
        plain = frame(5, 4, pixels, 4, interlaced=interlaced)
        odd = {"local": screen(40, 30, many) + local, "local_alone": screen(40, 30) + local,
               "smaller": screen(40, 30, many, 7) + plain, "smaller_transparent": screen(40, 30, many, 7) + control(3) + plain,
               "two_controls": screen(40, 30, many) + control(3) + control() + plain,
               "larger": screen(8, 6, many) + plain, "none": screen(40, 30) + plain, "none_transparent": screen(40, 30) + control(9) + plain,
               "grey": screen(40, 30, grey) + plain, "grey_local": screen(40, 30, many) + frame(5, 4, pixels, 4, grey, interlaced),
               "local_transparent": screen(40, 30, many) + control(2) + local,
               "junk": screen(40, 30, many) + b"\0\0xy" + plain, "comments": screen(40, 30, many) + b"!\xfe" + blocks(b"a" * 600) + plain,
               "application": screen(40, 30, many) + b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0" + b"!\1" + blocks(b"text") + plain,
               "second": screen(40, 30, many) + plain + frame(0, 0, pixels, 4, few * 4) + b";", "few_bits": screen(21, 13, few) + frame(0, 0, pixels % 4, 2),
               "wide_codes": screen(21, 13, many) + frame(0, 0, pixels, 7), "no_trailer": screen(40, 30, many) + plain}
        for name, data in odd.items():
            (folder / f"odd_{name}_{interlaced}.gif").write_bytes(data)
    if PILLOW >= (10, 0):  # before, colours that a palette does not have were greys
        (folder / "beyond.gif").write_bytes(screen(21, 13, few) + frame(0, 0, pixels, 4) + b";")
    return sorted(folder.iterdir())


def make_cut_gifs(folder):
    for interlace in (0, 1):
        Image.fromarray(photo(99, 63, 3, 1)).quantize(16).save(folder / "whole.gif", interlace=interlace)
        whole = (folder / "whole.gif").read_bytes()
        (folder / "whole.gif").unlink()
        for length in range(6, len(whole), 11):
            (folder / f"{interlace}_{length}.gif").write_bytes(whole[:length])
    return sorted(folder.iterdir())


def make_damaged_gifs(folder):
    Image.fromarray(photo(33, 21, 3, 1)).quantize(60).save(folder / "whole.gif")
    whole = (folder / "whole.gif").read_bytes()
    for position in range(6, len(whole), 9):
        damaged = bytearray(whole)
        damaged[position] ^= 0x24
        (folder / f"damaged_{position}.gif").write_bytes(bytes(damaged))
    return sorted(folder.iterdir())


def load_kept_gif(path):
    """With LOAD_TRUNCATED_IMAGES; None where not a single row is complete, which we refuse."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with open(path, "rb") as stream:
            image = Image.open(stream)
            image.load()
        return image.convert("RGB")
    except Exception:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def compare_cut_gifs(program, paths, label):
    failures = compare(program, paths, label, DECODED)
    dump, equal, refused = Dump(program, paths, *DECODED[0], "keep"), 0, 0
    for path in paths:
        found, expected = dump.next(), load_kept_gif(path)
        equal += found is not None and found == expected.tobytes()
        refused += found is None
    print(f"{label}, kept: {equal} equal, {refused} without a complete row")
    return failures + (equal + refused != len(paths)) + (equal < len(paths) // 2)


# ---- AVIF and HEIC ----

LEVELS = 2  # how far another version of the library may be away, and Pillow's own


def differences(program, paths, expected, label, more=()):
    """Images whose size is another, or that are farther away than LEVELS."""
    dump, wrong, farthest = Dump(program, paths, *DECODED[0], *more), [], 0
    for path in paths:
        found, pixels = dump.next(), expected(path)
        if found is None or len(found) != len(pixels):
            wrong.append(path.name)
            continue
        apart = np.abs(np.frombuffer(found, "u1").astype(int) - np.frombuffer(pixels, "u1")).max()
        farthest = max(farthest, apart)
        wrong += [path.name] * int(apart > LEVELS)
    print(f"{label}: {len(paths) - len(wrong)} of {len(paths)} within {LEVELS} levels, at most {farthest}"
          f"{'; NOT: ' + ', '.join(wrong) if wrong else ''}")
    return len(wrong)


def kept_picture(path, colour=None):
    """What the library itself decoded, turned for EXIF where it is AVIF that says so; over a colour, if there is one."""
    width, height, mode, pixels = heif_pictures.decoded(path.name)
    image = Image.frombytes(mode, (width, height), pixels)
    if colour and mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, colour + (255,)), image)
    return image.convert("RGB")


def make_heif_pictures(folder):
    for name in heif_pictures.PICTURES:
        (folder / name).write_bytes(heif_pictures.file(name))
    return sorted(folder.iterdir())


def compare_heif_pictures(program, paths, label):
    def turned(path):
        image = kept_picture(path)
        return (image.transpose(Image.ROTATE_270) if path.name == "turned.avif" else image).tobytes()
    failures = differences(program, paths, lambda path: kept_picture(path).tobytes(), label)
    failures += differences(program, paths, turned, f"{label}, turned", ("exif",))
    return failures + differences(program, paths, lambda path: kept_picture(path, COLOURS[2]).tobytes(), f"{label}, laid over",
                                  ("over={},{},{}".format(*COLOURS[2]),))


def make_avifs(folder):
    """By a Pillow that can; all orientations, and both kinds of chroma."""
    if not features.check("avif"):
        return []
    for index, (width, height) in enumerate([(301, 229), (31, 47), (1, 40), (64, 1)]):
        rgb = Image.fromarray(photo(width, height, 3, index))
        for chroma in ("4:2:0", "4:4:4"):
            rgb.save(folder / f"rgb_{index}_{chroma[2]}.avif", quality=70, subsampling=chroma)
        rgb.convert("L").save(folder / f"l_{index}.avif")
        Image.fromarray(photo(width, height, 4, index), "RGBA").save(folder / f"rgba_{index}.avif", quality=80)
        rgb.save(folder / f"moving_{index}.avif", save_all=True, append_images=[rgb.rotate(20)])
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(photo(31, 47, 3, 1)).save(folder / f"turned_{orientation}.avif", exif=exif)
    return sorted(folder.iterdir())


def compare_avifs(program, paths, label):
    if not paths:
        print(f"SKIP: Pillow {PIL.__version__} reads no AVIF")
        return 0
    failures = differences(program, paths, lambda path: load(path).tobytes(), label)
    failures += differences(program, paths, lambda path: load_turned(path).tobytes(), f"{label}, turned", ("exif",))
    return failures + differences(program, paths, lambda path: load_over(COLOURS[2])(path).tobytes(), f"{label}, laid over",
                                  ("over={},{},{}".format(*COLOURS[2]),))


def make_cut_heifs(folder):
    for name in ("lossy.avif", "alpha.avif", "lossy.heic", "alpha.heic"):
        whole = heif_pictures.file(name)
        for length in range(12, len(whole) - 1, 23):
            (folder / f"{length}_{name}").write_bytes(whole[:length])
    return sorted(folder.iterdir())


def refuse_all(program, paths, label):
    """None of them passes for a whole image."""
    dump = Dump(program, paths, *DECODED[0])
    taken = [path.name for path in paths if dump.next() is not None]
    print(f"{label}: {len(paths) - len(taken)} of {len(paths)} refused{'; NOT: ' + ', '.join(taken) if taken else ''}")
    return len(taken)


def with_folder(make, program, check, label):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check(program, make(Path(folder)), label)


def compare_all(program, paths, label):
    return compare(program, paths, label, DECODED)


CHECKS = [
    (make_transparent_pngs, compare_transparency, "PNG"),
    (make_webps, compare_transparency, "WebP"),
    (make_cut_webps, compare_all, "WebP, cut or damaged"),
    (make_turned_webps, compare_turned, "WebP, turned"),
    (make_gifs, compare_transparency, "GIF"),
    (make_cut_gifs, compare_cut_gifs, "GIF, cut"),
    (make_damaged_gifs, compare_all, "GIF, damaged"),
    (make_heif_pictures, compare_heif_pictures, "AVIF and HEIC"),
    (make_avifs, compare_avifs, "AVIF of Pillow"),
    (make_cut_heifs, refuse_all, "AVIF and HEIC, cut"),
]


def main():
    program = sys.argv[1]
    failures = sum(with_folder(make, program, check, label) for make, check, label in CHECKS)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
