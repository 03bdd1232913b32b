"""Views: boxes, mirroring and colours equal torchvision's on PIL images, byte for byte.

views_parity.py DUMP_VIEWS

What was drawn is taken from the tool; the pixels are made anew from it, of every other image after an EXIF rotation. No
tolerance. Without torchvision: equal to those of pil_transforms.py.
"""
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    from PIL import Image, ImageOps

    import pil_transforms
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)
try:
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as F
except ImportError:
    F = None

# resize, crop, squash
SETTINGS = [(256, 224, 0), (0, 64, 1), (40, 33, 0)]
SIZES = [(500, 375), (375, 500), (224, 224), (31, 47), (640, 33), (33, 640), (3, 5), (1, 1), (1, 40),
         (601, 467)]
VIEWS, SEED, HEADER = 12, 5, struct.Struct("<10i3f")


def photo(width, height, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [127 + 110 * np.sin(x / (9 + 5 * c) + y / (17 + seed % 7)) + 40 * (x * 3 > y * 4 + c)
              for c in range(3)]
    noisy = np.stack(planes, axis=2) + rng.normal(0, 30, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def by_torchvision(image, header, setting, mode):
    x, y, width, height, mirrored, jittered = header[:6]
    order, factors = header[6:9], header[10:]
    resize, crop, squash = setting
    mode = InterpolationMode(mode)
    if width:
        view = F.resized_crop(image, y, x, height, width, [crop] * 2, interpolation=mode)
    elif squash:
        view = F.resize(image, [crop, crop], interpolation=mode)
    else:
        steps = [transforms.Resize(resize, interpolation=mode)] if resize else []
        view = transforms.Compose(steps + [transforms.CenterCrop(crop)])(image)
    if mirrored:
        view = F.hflip(view)
    adjust = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation]
    for kind in order if jittered else []:
        view = adjust[kind](view, factors[kind])
    return view.tobytes()


def by_pil(image, header, setting, mode):
    x, y, width, height, mirrored, jittered = header[:6]
    if width:
        view = pil_transforms.resized_crop(image, y, x, height, width, setting[1], mode)
    else:
        view = pil_transforms.prepare(image, *setting, mode)
    if mirrored:
        view = view.transpose(Image.FLIP_LEFT_RIGHT)
    for kind in header[6:9] if jittered else []:
        view = pil_transforms.adjust(view, kind, header[10 + kind])
    return view.tobytes()


def expected(image, header, setting, mode):
    pixels = by_pil(image, header, setting, mode)
    assert not F or pixels == by_torchvision(image, header, setting, mode), "pil_transforms.py is not torchvision"
    return pixels


def check_drawn(number, header, size, squash):
    """What the recipe promises of a view."""
    x, y, width, height, mirrored, jittered = header[:6]
    if number < 2:
        return width == 0 and not jittered and mirrored == number
    inside = x >= 0 and y >= 0 and x + width <= size[0] and y + height <= size[1]
    factors = all(0.7 - 1e-6 <= f <= 1.3 + 1e-6 for f in header[10:])
    good = jittered and inside and width > 0 and height > 0 and factors
    if min(size) < 200:  # rounding, and boxes that have to be narrower
        return good
    share = width * height / (size[0] * size[1])
    shape = width / height * (size[1] / size[0] if squash else 1)
    return good and 0.34 < share <= 1 and 0.74 < shape < 1.35 and sorted(header[6:9]) == [0, 1, 2]


def compare(program, paths, images, setting, mode):
    names = "".join(f"{path}\n" for path in paths).encode()
    arguments = [program] + [str(value) for value in setting] + [mode, str(SEED), str(VIEWS),
                                                              pil_transforms.RESIZE_ORDER]
    data = subprocess.run(arguments, input=names, capture_output=True, check=True).stdout
    size = 3 * setting[1] ** 2
    position, wrong = 0, []
    for path, image in zip(paths, images):
        for number in range(VIEWS):
            header = HEADER.unpack_from(data, position)
            pixels = data[position + HEADER.size:position + HEADER.size + size]
            position += HEADER.size + size
            if pixels != expected(image, header, setting, mode):
                wrong.append(f"{path.name} view {number}")
            if not check_drawn(number, header, image.size, setting[2]):
                wrong.append(f"{path.name} view {number} was drawn as {header}")
    assert position == len(data)
    print(f"resize {setting[0]} crop {setting[1]} squash {setting[2]} {mode}: "
          f"{len(paths) * VIEWS} views, {len(wrong)} differences"
          f"{'; NOT: ' + ', '.join(wrong[:6]) if wrong else ''}")
    return len(wrong)


def main():
    failures = 0
    print(f"Pillow {Image.__version__}, {pil_transforms.RESIZE_ORDER}{'' if F else ', no torchvision'}")
    with tempfile.TemporaryDirectory() as folder:
        paths, images = [], []
        for index, (width, height) in enumerate(SIZES):
            paths.append(Path(folder) / f"{index}.png")
            exif = Image.Exif()
            if index % 2:
                exif[0x0112] = 1 + index
            photo(width, height, index).save(paths[-1], exif=exif)
            images.append(ImageOps.exif_transpose(Image.open(paths[-1])))
        for setting in SETTINGS:
            for mode in ("bilinear", "bicubic"):
                failures += compare(sys.argv[1], paths, images, setting, mode)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
