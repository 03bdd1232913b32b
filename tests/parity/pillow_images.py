"""Still images of Pillow's own test suite: they come through with the pixels of Pillow.

pillow_images.py DUMP_PIXELS FOLDER|ARCHIVE.tar.gz [FORMAT...]

FOLDER or ARCHIVE is Pillow's source distribution. Every file in it is decoded by DUMP_PIXELS, one process for all of them,
and by the Pillow that runs this. Of the still images that Pillow reads 95 % must be equal, and no file may end the process.
Prints counts by format, and the name and the reason of each image that is not equal. Animations, of which the first frame
is compared, are counted beside them. FORMAT: only these, by Pillow's names.

Deliberate differences, which count as equal: 16-bit grey is scaled to 8 bits where Pillow clips; AVIF may differ by 2 levels.
"""
import collections
import struct
import subprocess
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

LEAST = 0.95
ANIMATED = {"GIF", "PNG", "WEBP", "AVIF", "FLI"}  # more than one picture is pages or layers in other formats
LEVELS = {"AVIF": 2}


class Peer:
    """What Pillow makes of a file."""

    def __init__(self, path):
        with open(path, "rb") as stream:
            image = Image.open(stream)
            self.format, self.mode = image.format, image.mode
            rgb = np.asarray(image.convert("RGB"))
            grey = np.asarray(image, np.int64) if self.mode.startswith("I") else None
            self.animated = self.format in ANIMATED and frames(image) > 1
        self.expected = [rgb]
        if grey is not None and grey.min() >= 0 and grey.max() <= 65535:
            self.expected.append(np.repeat((grey >> 8).astype(np.uint8)[:, :, None], 3, 2))


def frames(image):
    try:
        return getattr(image, "n_frames", 1)
    except Exception:
        return 1


def load(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Peer(path)
    except Exception:
        return None


class Dump:
    """Reads what dump_pixels writes, file by file; after a crash goes on behind the file that did it."""

    def __init__(self, program, paths):
        self.program, self.paths, self.at, self.crashed = program, paths, 0, []
        self.start(paths)

    def start(self, paths):
        self.names = tempfile.TemporaryFile()
        self.names.write("".join(f"{path}\n" for path in paths).encode())
        self.names.seek(0)
        self.reasons = tempfile.TemporaryFile()
        self.process = subprocess.Popen([self.program, "0", "0", "0", "bilinear"], stdin=self.names,
                                        stdout=subprocess.PIPE, stderr=self.reasons)

    def take(self):
        """(height, width, 3), or None where it was refused. EOFError where the process ended."""
        def read(count):
            data = self.process.stdout.read(count)
            if len(data) < count:
                raise EOFError
            return data
        if read(1) == b"\0":
            return None
        width, height = struct.unpack("<ii", read(8))
        return np.frombuffer(read(3 * width * height), np.uint8).reshape(height, width, 3)

    def next(self):
        path = self.paths[self.at]
        try:
            pixels = self.take()
        except EOFError:
            self.process.wait()
            alone = subprocess.run([self.program, "0", "0", "0", "bilinear"], input=f"{path}\n".encode(), capture_output=True)
            if alone.returncode:
                self.crashed.append((path, alone.returncode))
            rest = self.paths[self.at + (alone.returncode != 0):]
            self.at += alone.returncode != 0
            self.start(rest)
            return None if alone.returncode else self.next()
        self.at += 1
        return pixels

    def reason(self, path):
        self.reasons.seek(0)
        for line in self.reasons.read().decode(errors="replace").splitlines():
            if line.startswith(f"{path}: "):
                return line[len(str(path)) + 2:]
        return "no reason"


def describe(pixels, peer):
    """Why an image does not count as equal; None where it does."""
    for expected in peer.expected:
        if pixels.shape != expected.shape:
            return "%d x %d instead of %d x %d pixels" % (*pixels.shape[1::-1], *expected.shape[1::-1])
        if pixels.tobytes() == expected.tobytes():
            return None
    distance = np.abs(pixels.astype(int) - peer.expected[0]).max(axis=2)
    if distance.max() <= LEVELS.get(peer.format, 0):
        return None
    return f"{np.count_nonzero(distance)} of {distance.size} pixels differ by at most {distance.max()} (mode {peer.mode})"


def compare(program, paths, formats):
    """Counts {(format, animated): [all, equal]}, the list of what is not equal, and the dump."""
    counts, wrong, taken = collections.defaultdict(lambda: [0, 0]), [], []
    dump = Dump(program, paths)
    for path in paths:
        crashes = len(dump.crashed)
        pixels, peer = dump.next(), load(path)
        if not peer or (formats and peer.format not in formats):
            if pixels is not None and not peer:
                taken.append(path)
            continue
        if len(dump.crashed) > crashes:
            why = f"the process ended with {dump.crashed[-1][1]}"
        else:
            why = dump.reason(path) if pixels is None else describe(pixels, peer)
        count = counts[peer.format, peer.animated]
        count[0] += 1
        count[1] += why is None
        if why:
            wrong.append((peer.format, peer.animated, path, why))
    return counts, wrong, taken, dump


def report(folder, counts, wrong, taken):
    for animated in (False, True):
        kinds = [(name, count) for (name, moves), count in sorted(counts.items()) if moves == animated]
        if kinds:
            print("first frames of animations:" if animated else "still images:")
            print("  " + ", ".join(f"{name} {equal} of {count}" for name, (count, equal) in kinds))
    for name, animated, path, why in sorted(wrong, key=lambda entry: (entry[1], entry[0], entry[2])):
        print(f"  {name}{' animation' if animated else ''} {path.relative_to(folder)}: {why}")
    print(f"  read here, and refused by Pillow: {', '.join(path.name for path in taken) or 'none'}")


def check(program, folder, formats):
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "\n" not in str(path))
    counts, wrong, taken, dump = compare(program, paths, formats)
    report(folder, counts, wrong, taken)
    still = [count for (_, animated), count in counts.items() if not animated]
    count, equal = sum(entry[0] for entry in still), sum(entry[1] for entry in still)
    for path, code in dump.crashed:
        print(f"CRASH: {path}: the process ended with {code}")
    print(f"Pillow {PIL.__version__}: {equal} of {count} still images equal, {100 * equal / max(count, 1):.1f} %; "
          f"{len(paths)} files, {len(dump.crashed)} crashes")
    return 1 if dump.crashed or not count or equal < LEAST * count else 0


def main():
    program, source, *formats = sys.argv[1:]
    if Path(source).is_dir():
        return check(program, Path(source), formats)
    with tempfile.TemporaryDirectory() as folder, tarfile.open(source) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        return check(program, Path(folder), formats)


if __name__ == "__main__":
    sys.exit(main())
