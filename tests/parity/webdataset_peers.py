#!/usr/bin/env python3
"""Archives with labels beside images: the rows and labels of extract are the samples of the webdataset package.

usage: webdataset_peers.py EXTRACT WEIGHTS

Names are odd ones: several dots, folders, keys and endings in upper case, hidden files, __notes__/, .jpg and .png of one key. What
differs on purpose is said in docs/datasets.md and counted here: a sample with two images is two rows, and files of a key that do
not stand next to each other are one sample, where webdataset makes two.
"""
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile

import h5py
import webdataset
from PIL import Image

EXTRACT, WEIGHTS = (os.path.abspath(argument) for argument in sys.argv[1:3])
IMAGES = ("jpg", "jpeg", "png", "ppm")
KEYS = ["000", "A.b", "a/b", "a.b/c", "a.b/C", "x-1", "X-1", "deep/er/y", "ü é", "k=1&2", "__key__", "__notes__/n", ".hidden", "a/.h",
        "UPPER", "UPPER/lower", "no_label", "both", "both/two", "z.", "1", "01"]
ENDINGS = ["jpg", "JPG", "png", "Jpeg", "ppm"]


def picture(ending, number):
    out = io.BytesIO()
    form = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "ppm": "PPM"}[ending.lower()]
    Image.new("RGB", (9, 9), (number % 251, number * 7 % 251, 99)).save(out, form)
    return out.getvalue()


def members(rng, keys):
    number = rng.randrange(1000)
    for key in keys:
        number += 1
        files = [(rng.choice(ENDINGS), None)]
        if "both" in key:
            files = [("jpg", None), ("PNG", None)]
        files = [(ending, picture(ending, number + i)) for i, (ending, _) in enumerate(files)]
        if rng.random() < 0.3:
            files.append(("mask.png", picture("png", number)))
        if rng.random() < 0.5:
            files.append(("json", b'{"other": [1, 2]}'))
        if rng.random() < 0.5:
            files.append(("txt", b"a caption"))
        if "no_label" not in key:
            files.append((rng.choice(["cls", "CLS"]), str(rng.choice([2, 10, 9])).encode()))
        rng.shuffle(files)
        for ending, data in files:
            yield f"{key}.{ending}", data


def write(path, rng, form):
    keys = rng.sample(KEYS, rng.randrange(8, len(KEYS)))
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in [*members(rng, keys), ("README", b"x"), ("a/list", b"x")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def theirs(path):
    """(path, label) of each image that stands alone behind its key, in their order."""
    rows = []
    for sample in webdataset.WebDataset(path, shardshuffle=False, handler=webdataset.reraise_exception):
        label = sample["cls"].decode() if "cls" in sample else None
        rows += [(sample["__key__"] + "." + ending, label) for ending in sample if ending in IMAGES]
    return rows


def ours(path, folder):
    cache = os.path.join(folder, "c.h5")
    done = subprocess.run([EXTRACT, path, "-o", cache, "--force", "--backbone", "resnet18_w16", "--weights", WEIGHTS],
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{path}: {done.stderr}")
    with h5py.File(cache) as file:
        classes = list(file["classes/class"].asstr())
        labels = [None if index < 0 else classes[index] for index in file["targets/class"][:]]
        return list(zip(file["samples/path"].asstr(), labels))


def main():
    failures = compared = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(40):
            rng = random.Random(seed)
            path = os.path.join(folder, "x.tar")
            write(path, rng, rng.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
            a = sorted((name.rsplit(".", 1)[0] + "." + name.rsplit(".", 1)[1].lower(), label) for name, label in ours(path, folder))
            b = sorted((name, label) for name, label in theirs(path))
            compared += len(b)
            if a != b:
                failures += 1
                print(f"seed {seed}: only ours {sorted(set(a) - set(b), key=str)}, only theirs {sorted(set(b) - set(a), key=str)}")
    print(f"webdataset {webdataset.__version__}: {compared} samples of 40 archives, {failures} archives differ")
    sys.exit(1 if failures or not compared else 0)


main()
