"""Images and features for the benchmark: real ones from the folder that --data names, else made up.

The folder holds hymenoptera_data/ (train/, val/), cifar10/ (train/, test/ of class folders of JPEG files),
faces_age_gender/faces.csv, and the backbones mobilenet_v1_imagenet.pt and resnet18_w16_cifar10.pth. Each is optional.
"""
import pathlib
import sys

import h5py
import numpy as np
from PIL import Image


def there(args, *names):
    """The first of them in the folder, or None."""
    found = [pathlib.Path(args.data) / name for name in names if args.data and (pathlib.Path(args.data) / name).exists()]
    return found[0] if found else None


def draw(path, generator, width, height):
    """Smooth shapes with some texture: a JPEG file of a photograph's size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = generator.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(small).resize((width, height), Image.BICUBIC), dtype=np.int16)
    pixels = pixels + generator.integers(-12, 13, pixels.shape, dtype=np.int16)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


def drawn(folder, count, classes, width, height):
    """`count` pictures in class folders, drawn where they are not there yet."""
    generator = np.random.default_rng(0)
    last = folder / f"class{(count - 1) % classes}" / f"{count - 1:05d}.jpg"
    for index in range(0 if last.exists() else count):
        draw(folder / f"class{index % classes}" / f"{index:05d}.jpg", generator, width, height)
    return folder


def photographs(args, out):
    """A folder of class folders with some 250 photographs."""
    if args.data:
        data = pathlib.Path(args.data)
        for folder in (data / "hymenoptera_data" / "train", data / "train", data):
            if folder.is_dir():
                return folder
        sys.exit(f"--data {data}: no such folder")
    return drawn(out / "photographs", 244, 2, 500, 400)


def small_images(args, out):
    """60,000 of 32 x 32 pixels."""
    return there(args, "cifar10") or drawn(out / "small_images", 60000, 10, 32, 32)


def small_network(args):
    """Flags of extract: a quarter of a ResNet-18's width, 96 pixels."""
    weights = there(args, "resnet18_w16_cifar10.pth") or "random:0"
    return ["--backbone", "resnet18_w16", "--weights", str(weights)]


# ---- features ----

def write_features(out, name, features, labels):
    """The first 50,000 rows to train on, the rest to validate, as .npz and as a cache."""
    archive, cache = out / f"{name}.npz", out / f"{name}.h5"
    train, val = slice(0, 50000), slice(50000, None)
    np.savez(archive, X=features[train], Y=labels[train], Xt=features[val], Yt=labels[val])
    with h5py.File(cache, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file.create_dataset("features/avgpool", data=features, chunks=(512, 512))
        file.create_dataset("targets/class", data=labels.astype("i4"))
        file["targets/class"].attrs["kind"] = "class"
        file.create_dataset("samples/split", data=(np.arange(len(labels)) >= 50000).astype("u1"))


def feature_files(out, name="features"):
    """60,000 x 512 features of 10 classes. "features": round clouds. "correlated": as networks give them: none below 0,
    most of the variance in few directions."""
    archive, cache = out / f"{name}.npz", out / f"{name}.h5"
    if archive.exists() and cache.exists():
        return archive, cache
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(10, 512)).astype("f4")
    labels = generator.integers(0, 10, 60000)
    noise = generator.normal(size=(60000, 512)).astype("f4")
    if name == "features":
        features = noise + 0.08 * centres[labels]
    else:
        spectrum = 8 * np.arange(1, 513, dtype="f4") ** -0.8
        turn = np.linalg.qr(generator.normal(size=(512, 512)))[0].astype("f4")
        features = np.maximum((spectrum * (noise + 0.09 * centres[labels])) @ turn + 0.3, 0)
    write_features(out, name, features.astype("f2"), labels)
    return archive, cache
