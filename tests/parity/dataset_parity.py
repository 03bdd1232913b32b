#!/usr/bin/env python3
"""Class list and sample order of class folders, against torchvision's ImageFolder.

usage: dataset_parity.py LIST_DATASET
"""
import os
import random
import subprocess
import sys
import tempfile

try:
    from torchvision.datasets import ImageFolder
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

FILES = {
    "digits": ["1/1.jpg", "1/2.jpg", "1/10.jpg", "10/a.jpg", "2/a.jpg", "02/a.jpg"],
    "extensions": ["a/x.JPG", "a/x.Jpeg", "a/x.png", "a/x.ppm", "a/x.bmp", "a/x.pgm", "a/x.tif",
                   "a/x.TIFF", "a/x.webp", "a/x.gif", "a/x.txt", "a/x.jpg.txt", "a/jpg", "a/x.jpg.png",
                   "a/xjpg", "a/x.", "b/x..jpg", "b/x.jpgx"],
    "nested": ["a/z.jpg", "a/a.jpg", "a/b/1.jpg", "a/b/c/1.jpg", "a/b c/1.jpg", "a/b-c/1.jpg",
               "a/b.jpg/1.jpg", "a/b0/1.jpg", "b/only/deep/er.png", "c/x.jpg"],
    "names": ["a b/x y.jpg", "a/x.jpg", "A/x.jpg", "_/x.jpg", "~/x.jpg", "äpfel/ö.jpg", "zebra/x.jpg",
              "日本/猫.jpg", "日本/犬.jpg", "😀/x.jpg", "\uffee/x.jpg", "a,b/x.jpg", "a'b/x'y.jpg",
              "a\tb/x.jpg", "#1/50%.jpg"],
}


def touch(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(b"x")


def make_trees(top):
    for tree, files in FILES.items():
        for name in files:
            touch(os.path.join(top, tree, name))
    make_links(os.path.join(top, "links"))
    make_random(os.path.join(top, "random"))
    make_random(os.path.join(top, "random2"))


def make_links(root):
    """A linked class, a linked folder inside a class, a linked file, a dangling one."""
    for name in ["a/x.jpg", "b/x.jpg", "../elsewhere/1.jpg", "../elsewhere/sub/2.jpg"]:
        touch(os.path.join(root, name))
    elsewhere = os.path.abspath(os.path.join(root, "../elsewhere"))
    os.symlink(elsewhere, os.path.join(root, "linked"))
    os.symlink(elsewhere, os.path.join(root, "a/also"))
    os.symlink("x.jpg", os.path.join(root, "a/same.jpg"))
    os.symlink("nowhere.jpg", os.path.join(root, "b/dangling.jpg"))
    os.symlink(elsewhere, os.path.join(root, "b/folder.jpg"))


def make_random(root, count=400):
    letters = "aAbB01 -._é猫"
    word = lambda: "x" + "".join(random.choice(letters) for _ in range(random.randint(1, 4)))
    for _ in range(count):
        folders = [word() for _ in range(random.randint(1, 4))]
        touch(os.path.join(root, *folders, word() + random.choice([".jpg", ".PNG", ".txt"])))
    for folder in sorted(os.listdir(root)):  # torchvision refuses classes without images
        touch(os.path.join(root, folder, "one.jpg"))


def list_ours(tool, root):
    out = subprocess.run([tool, root], stdout=subprocess.PIPE, check=True).stdout
    rows = [line.split("\t", 1) for line in out.decode("utf-8").split("\n") if line]
    classes = [value for kind, value in rows if kind == "class"]
    samples = [value.split("\t", 2) for kind, value in rows if kind == "sample"]
    return classes, [(path, int(index)) for _, index, path in samples]


def list_theirs(root):
    folder = ImageFolder(root)
    return folder.classes, [(os.path.relpath(path, root), index) for path, index in folder.samples]


def main():
    tool = sys.argv[1]
    random.seed(7)
    failures = 0
    with tempfile.TemporaryDirectory() as top:
        make_trees(top)
        for tree in list(FILES) + ["links", "random", "random2"]:
            root = os.path.join(top, tree)
            ours, theirs = list_ours(tool, root), list_theirs(root)
            same = ours == theirs
            failures += not same
            print(f"{tree}: {len(theirs[0])} classes, {len(theirs[1])} samples: "
                  f"{'equal' if same else 'DIFFERENT'}")
            if not same:
                print("  ours:  ", ours, "\n  theirs:", theirs)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
