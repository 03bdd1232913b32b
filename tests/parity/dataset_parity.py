#!/usr/bin/env python3
"""Class list, sample order and pixels of datasets, against torchvision's: class folders, CIFAR's
pickles, idx files. The sets are made up, small, and written as the originals were.

usage: dataset_parity.py LIST_DATASET
"""
import gzip
import os
import pickle
import random
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from torchvision.datasets import CIFAR10, CIFAR100, EMNIST, MNIST, ImageFolder
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


# ---- CIFAR's pickles ----

class Python2Pickle:
    """Writes what cPickle of Python 2 wrote with protocol 2: str for text and for bytes."""

    def __init__(self):
        self.out, self.remembered = b"\x80\x02", 0

    def remember(self, code):
        number = self.remembered = self.remembered + 1
        self.out += code + (b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<i", number))

    def number(self, value):
        self.out += (b"K" + bytes([value]) if value < 256 else
                     b"M" + struct.pack("<H", value) if value < 65536 else b"J" + struct.pack("<i", value))

    def value(self, value):
        if isinstance(value, int):
            self.number(value)
        elif isinstance(value, bytes):
            size = len(value)
            self.remember((b"U" + bytes([size]) if size < 256 else b"T" + struct.pack("<i", size)) + value)
        elif isinstance(value, list):
            self.remember(b"]")
            for first in range(0, len(value), 1000):
                self.out += b"("
                for item in value[first:first + 1000]:
                    self.value(item)
                self.out += b"e"
        elif isinstance(value, dict):
            self.remember(b"}")
            self.out += b"("
            for key, item in value.items():
                self.value(key)
                self.value(item)
            self.out += b"u"
        else:
            self.array(value)

    def array(self, array):
        self.remember(b"cnumpy.core.multiarray\n_reconstruct\n")
        self.remember(b"cnumpy\nndarray\n")
        self.remember(b"K\0\x85")
        self.value(b"b")
        self.remember(b"\x87")
        self.remember(b"R")
        self.out += b"(K\1"
        for size in array.shape:
            self.number(size)
        self.remember(b"\x86")
        self.remember(b"cnumpy\ndtype\n")
        self.value(b"u1")
        self.out += b"K\0K\1"
        self.remember(b"\x87")
        self.remember(b"R")
        self.out += b"(K\3"
        self.value(b"|")
        self.out += b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\0"
        self.remember(b"t")
        self.out += b"b\x89"
        self.value(array.tobytes())
        self.remember(b"t")
        self.out += b"b"


def as_text(value):
    """With str for bytes, as Python 3 would have them, without which torchvision finds no keys."""
    if isinstance(value, dict):
        return {as_text(key): as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def write_batch(path, value, how):
    """how: None for Python 2, else a protocol of Python 3's."""
    if how is None:
        writer = Python2Pickle()
        writer.value(value)
        content = writer.out + b"."
    else:
        content = pickle.dumps(as_text(value), protocol=how)
    with open(path, "wb") as stream:
        stream.write(content)


def make_batch(numbers, rows, labels, classes):
    return {b"batch_label": b"a batch", labels: [int(x) for x in numbers.integers(0, classes, rows)],
            b"data": numbers.integers(0, 256, (rows, 3072), dtype=np.uint8),
            b"filenames": [b"name_s_%06d.png" % i for i in range(rows)]}


def write_cifar10(root, how, binary):
    """The same images in both versions, in two folders."""
    numbers = np.random.default_rng(10)
    names = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]
    os.makedirs(root)
    os.makedirs(binary, exist_ok=True)
    write_batch(f"{root}/batches.meta", {b"num_cases_per_batch": 10000, b"label_names": names, b"num_vis": 3072},
                how)
    with open(f"{binary}/batches.meta.txt", "wb") as stream:
        stream.write(b"\n".join(names) + b"\n\n")
    for batch, rows in [(f"data_batch_{i}", 3 + i) for i in range(1, 6)] + [("test_batch", 5)]:
        content = make_batch(numbers, rows, b"labels", 10)
        write_batch(f"{root}/{batch}", content, how)
        with open(f"{binary}/{batch}.bin", "wb") as stream:
            for label, image in zip(content[b"labels"], content[b"data"]):
                stream.write(bytes([label]) + image.tobytes())


def write_cifar100(root, how):
    numbers = np.random.default_rng(100)
    os.makedirs(root)
    write_batch(f"{root}/meta", {b"fine_label_names": [b"fine%d" % i for i in range(100)],
                                 b"coarse_label_names": [b"coarse%d" % i for i in range(20)]}, how)
    for side, rows in (("train", 300), ("test", 40)):
        content = make_batch(numbers, rows, b"fine_labels", 100)
        content[b"coarse_labels"] = [label // 5 for label in content[b"fine_labels"]]
        write_batch(f"{root}/{side}", content, how)


def without_checksums(kind):
    """torchvision's class, which opens nothing but the original files."""
    class Trusting(kind):
        meta = {**kind.meta, "md5": None}

        def _check_integrity(self):
            return True
    return Trusting


def list_torchvision(kind, root, **keywords):
    """(class names, [(split, label)], pixels) of both sides."""
    rows, pixels = [], []
    for train in (True, False):
        side = kind(root, train=train, **keywords)
        for image, label in side:
            rows.append(("train" if train else "test", int(label)))
            pixels.append(np.asarray(image.convert("RGB")))
    return side.classes, rows, pixels


def list_decoded(tool, root):
    """The same of ours, and the samples' names."""
    out = subprocess.run([tool, root], stdout=subprocess.PIPE, check=True,
                         env={**os.environ, "PF_LIST_READ": "pixels"}).stdout.decode()
    fields = [line.split("\t") for line in out.split("\n")]
    samples = [row[1:] for row in fields if row[0] == "sample"]
    pixels = [np.frombuffer(bytes.fromhex(row[3]), np.uint8).reshape(int(row[2]), int(row[1]), 3)
              for row in fields if row[0] == "pixels"]
    return ([row[1] for row in fields if row[0] == "class"],
            [(split, int(label)) for split, label, _ in samples], pixels, [name for _, _, name in samples])


def equal_datasets(what, ours, theirs):
    same = (list(ours[0]) == list(theirs[0]) and ours[1] == theirs[1] and len(ours[2]) == len(theirs[2])
            and all(np.array_equal(a, b) for a, b in zip(ours[2], theirs[2])))
    print(f"{what}: {len(theirs[0])} classes, {len(theirs[1])} images: {'equal' if same else 'DIFFERENT'}")
    if not same:
        print("  ours:  ", ours[:2], "\n  theirs:", theirs[:2])
    return same


def compare_cifar(tool, top):
    same = True
    for how in (None, 3, 4, 5):
        root = f"{top}/{how}"
        write_cifar10(f"{root}/{CIFAR10.base_folder}", how, f"{root}/binary")
        ours = list_decoded(tool, f"{root}/{CIFAR10.base_folder}")
        name = "Python 2" if how is None else f"protocol {how}"
        same &= equal_datasets(f"CIFAR-10, {name}", ours, list_torchvision(without_checksums(CIFAR10), root))
        binary = list_decoded(tool, f"{root}/binary")
        same &= equal_datasets("  its binary version", binary, ours)
        same &= [path.replace(".bin", "") for path in binary[3]] == ours[3]
        write_cifar100(f"{root}/{CIFAR100.base_folder}", how)
        same &= equal_datasets(f"CIFAR-100, {name}", list_decoded(tool, f"{root}/{CIFAR100.base_folder}"),
                               list_torchvision(without_checksums(CIFAR100), root))
    return same


# ---- idx files ----

def write_idx(path, array):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    with gzip.open(path, "wb") if path.endswith(".gz") else open(path, "wb") as stream:
        stream.write(content)


def write_mnist(root, prefix, sides, classes, first=0, dot="-", ending=""):
    numbers = np.random.default_rng(classes)
    os.makedirs(root, exist_ok=True)
    for side, rows in zip(sides, (50, 20)):
        labels = numbers.integers(first, classes, rows, dtype=np.uint8)
        labels[0] = classes - 1
        images = numbers.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        write_idx(f"{root}/{prefix}{side}-images{dot}idx3-ubyte{ending}", images)
        write_idx(f"{root}/{prefix}{side}-labels{dot}idx1-ubyte{ending}", labels)


def numbered(theirs):
    """With classes by number, as the files have no names."""
    return [str(i) for i in range(len(theirs[0]))], theirs[1], theirs[2]


def compare_mnist(tool, top):
    class Mnist(MNIST):
        def _check_exists(self):
            return True

    class Emnist(EMNIST):
        def _check_exists(self):
            return True
    raw = f"{top}/Mnist/raw"
    write_mnist(raw, "", ("train", "t10k"), 10)
    theirs = numbered(list_torchvision(Mnist, top))
    same = equal_datasets("MNIST", list_decoded(tool, raw), theirs)
    same &= equal_datasets("MNIST, by one of its files",
                           list_decoded(tool, f"{raw}/t10k-labels-idx1-ubyte"), theirs)
    write_mnist(f"{top}/packed", "", ("train", "t10k"), 10, ending=".gz")
    same &= equal_datasets("MNIST, packed", list_decoded(tool, f"{top}/packed"), theirs)
    write_mnist(f"{top}/dots", "", ("train", "t10k"), 10, dot=".")
    same &= equal_datasets("MNIST, with dots", list_decoded(tool, f"{top}/dots"), theirs)
    for split, classes, first in (("balanced", 47, 0), ("letters", 27, 1), ("byclass", 62, 0)):
        write_mnist(f"{top}/Emnist/raw", f"emnist-{split}-", ("train", "test"), classes, first,
                    ending=".gz" if split == "byclass" else "")
    for split in ("balanced", "letters"):
        ours = list_decoded(tool, f"{top}/Emnist/raw/emnist-{split}-train-images-idx3-ubyte")
        same &= equal_datasets(f"EMNIST {split}", ours, numbered(list_torchvision(Emnist, top, split=split)))
    ours = list_decoded(tool, f"{top}/Emnist/raw/emnist-byclass-test-labels-idx1-ubyte.gz")
    same &= len(ours[0]) == 62 and len(ours[1]) == 70
    return same


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
        failures += not compare_cifar(tool, f"{top}/cifar")
        failures += not compare_mnist(tool, f"{top}/idx")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
