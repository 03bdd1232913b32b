"""Archives laid out as the recipes' public ones, of a few drawn images each: a bright square
somewhere on noise, darker, lighter, larger or further left as its class, age or points say.

usage: make_archives.py FOLDER
"""
import io
import random
import struct
import sys
import tarfile
import zipfile
import zlib

SIDE = 32


def pixels(number, width, height, left, top, size, colour, channels):
    noise = random.Random(10**6 + number)  # no two pictures are the same
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            inside = left <= x < left + size and top <= y < top + size
            shade = colour if inside else tuple(noise.randrange(60) for _ in range(3))
            row += bytes(shade) + (b"\xff" if channels == 4 else b"")
        rows.append(bytes(row))
    return rows


def png(width, height, rows, channels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 6 if channels == 4 else 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def square(number, colour, width=SIDE, height=SIDE, channels=3):
    """A picture and its square: (bytes, left, top, size)."""
    place = random.Random(number)
    size = min(width, height) // 3
    left, top = place.randrange(width - size), place.randrange(height - size)
    rows = pixels(number, width, height, left, top, size, colour, channels)
    return png(width, height, rows, channels), left, top, size


RED, BLUE = (220, 30, 30), (30, 30, 220)


def class_files(classes, count, first=0):
    for c, (name, colour) in enumerate(zip(classes, (RED, BLUE))):
        for i in range(count):
            yield f"{name}/{i}.jpg", square(1000 * first + 100 * c + i, colour)[0]


def hymenoptera():
    for part, count in (("train", 8), ("val", 4)):
        for name, data in class_files(("ants", "bees"), count, count):
            yield f"hymenoptera_data/{part}/{name}", data


def cats_dogs():
    for name, data in class_files(("PetImages/Cat", "PetImages/Dog"), 12):
        yield name, data
    yield "PetImages/Cat/Thumbs.db", b"not an image"
    yield "readme[1].txt", b"text"


def kaggle():
    """train.zip in dogs-vs-cats.zip, its files all in one folder."""
    inner = io.BytesIO()
    write_zip(inner, ((f"train/{name.replace('/', '.')}", data) for name, data in class_files(("cat", "dog"), 12)))
    yield "train.zip", inner.getvalue()
    yield "sampleSubmission.csv", b"id,label\n"


def cifar10():
    for file, first in (("data_batch_1", 0), ("data_batch_2", 20), ("data_batch_3", 40), ("data_batch_4", 60),
                        ("data_batch_5", 80), ("test_batch", 100)):
        data = bytearray()
        for i in range(first, first + 20):
            label = i % 10
            colour = (25 * label, 255 - 25 * label, 120)
            rows = pixels(i, SIDE, SIDE, i % 20, (3 * i) % 20, 12, colour, 3)
            data.append(label)
            for channel in range(3):
                data += b"".join(row[channel::3] for row in rows)
        yield f"cifar-10-batches-bin/{file}.bin", bytes(data)
    yield "cifar-10-batches-bin/batches.meta.txt", b"\n".join(b"class%d" % i for i in range(10)) + b"\n"


def keypoints():
    """RGBA PNGs called .jpg of all sizes, a column without a name, 68 points on the square."""
    for part, count in (("training", 30), ("test", 10)):
        lines = ["," + ",".join(str(i) for i in range(136))]
        for i in range(count):
            number = i + (1000 if part == "test" else 0)
            data, left, top, size = square(number, RED, 40 + number % 30, 40 + number * 7 % 25, 4)
            yield f"{part}/{part}_{i}.jpg", data
            places = (v for k in range(68) for v in (left + size * (k % 9) / 8, top + size * (k // 9) / 8))
            lines.append(f"{part}_{i}.jpg," + ",".join(f"{v:.3f}" for v in places))
        yield f"{part}_frames_keypoints.csv", "\r\n".join(lines).encode() + b"\r\n"


def ages(named):
    lines = ["path,age,gender"]
    for i in range(40):
        age, gender = 5 + 2 * i, i % 3 % 2
        name = f"{age}_{gender}_0_2017{i:04}.jpg.chip.jpg"
        yield (f"UTKFace/{name}" if named else f"faces/images/{name}"), square(i, (2 * age, 200 * gender, 90))[0]
        lines.append(f"images/{name},{age},{['male', 'female'][gender]}")
    if not named:
        yield "faces/faces.csv", "\n".join(lines).encode() + b"\n"


def write_zip(where, files):
    with zipfile.ZipFile(where, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)


def write_tar(where, files):
    with tarfile.open(where, "w:gz" if where.endswith("gz") else "w") as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def main(folder):
    write_zip(f"{folder}/hymenoptera_data.zip", hymenoptera())
    write_zip(f"{folder}/kagglecatsanddogs_5340.zip", cats_dogs())
    write_zip(f"{folder}/dogs-vs-cats.zip", kaggle())
    write_tar(f"{folder}/cifar-10-binary.tar.gz", cifar10())
    write_tar(f"{folder}/faces-keypoints.tar", keypoints())
    write_tar(f"{folder}/UTKFace.tar.gz", ages(True))
    write_tar(f"{folder}/faces-age-gender.tar", ages(False))


if __name__ == "__main__":
    main(sys.argv[1])
