"""What these tests need of torchvision's transforms, on PIL images alone: for an environment that has a Pillow and no
torchvision. views_parity.py and pixels_parity.py see that both are the same where both are there.

Also the order of the installed Pillow's two passes, as --resize-order names it.
"""
import PIL
from PIL import Image, ImageEnhance, ImageOps

# The first of these was 13; a later one that does it otherwise shows as differences.
RESIZE_ORDER = "pillow13" if int(PIL.__version__.split(".")[0]) >= 13 else "pillow12"
RESAMPLE = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def resize(image, size, mode):
    """size: (height, width), or the shorter side."""
    width, height = image.size
    if isinstance(size, int):
        longer = int(size * max(width, height) / min(width, height))
        size = (longer, size) if width <= height else (size, longer)
    return image if (height, width) == tuple(size) else image.resize((size[1], size[0]), RESAMPLE[mode])


def center_crop(image, side):
    width, height = image.size
    left, top = max(0, (side - width) // 2), max(0, (side - height) // 2)
    if left or top or width < side or height < side:
        image = ImageOps.expand(image, (left, top, max(0, (side - width + 1) // 2), max(0, (side - height + 1) // 2)))
        width, height = image.size
    x, y = int(round((width - side) / 2)), int(round((height - side) / 2))
    return image.crop((x, y, x + side, y + side))


def prepare(image, shorter, crop, squash, mode):
    """shorter 0: no resize."""
    if squash:
        return resize(image, (crop, crop), mode)
    return center_crop(resize(image, shorter, mode) if shorter else image, crop)


def resized_crop(image, top, left, height, width, side, mode):
    return resize(image.crop((left, top, left + width, top + height)), (side, side), mode)


def adjust(image, kind, factor):
    """kind: 0 brightness, 1 contrast, 2 saturation."""
    return (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[kind](image).enhance(factor)
