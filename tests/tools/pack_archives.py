#!/usr/bin/env python3
"""Archives for the tests, of every kind that is read, and damaged ones.

usage: pack_archives.py shards FOLDER OUT N          OUT-000.tar ...: the files of a folder, dealt out
       pack_archives.py tar FOLDER OUT [ustar|gnu|pax] [PREFIX]
       pack_archives.py zip FOLDER OUT [PREFIX]      every other member deflated
       pack_archives.py keys FOLDER OUT N cls|name|json|txt   the webdataset convention
       pack_archives.py odd FOLDER OUT               members that are no files, hidden ones, a repeated one
       pack_archives.py flip FILE OFFSET             inverts a byte
       pack_archives.py member FILE NAME             prints where a member's bytes are
"""
import io
import json
import pathlib
import sys
import tarfile
import zipfile

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def files_of(folder):
    root = pathlib.Path(folder)
    return [(str(path.relative_to(root)), path) for path in sorted(root.rglob("*")) if path.is_file()]


def put(archive, name, content, **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


def shards(folder, out, count):
    archives = [tarfile.open(f"{out}-{i:03d}.tar", "w") for i in range(int(count))]
    for number, (name, path) in enumerate(files_of(folder)):
        archives[number % len(archives)].add(path, name)
    for archive in archives:
        archive.close()


def tar(folder, out, form="ustar", prefix=""):
    with tarfile.open(out, "w", format=FORMATS[form]) as archive:
        for name, path in files_of(folder):
            archive.add(path, prefix + name)


def zip_(folder, out, prefix=""):
    with zipfile.ZipFile(out, "w") as archive:
        for number, (name, path) in enumerate(files_of(folder)):
            archive.write(path, prefix + name, [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED][number % 2])


def keys(folder, out, count, kind):
    """Labels are the folders' names, or 7 + 4 n for the n-th of them."""
    files = files_of(folder)
    classes = sorted({name.split("/")[-2] for name, _ in files})
    archives = [tarfile.open(f"{out}-{i:03d}.tar", "w") for i in range(int(count))]
    for number, (name, path) in enumerate(files):
        archive, word = archives[number % len(archives)], name.split("/")[-2]
        label = 7 + 4 * classes.index(word)
        put(archive, f"{number:06d}.jpg", path.read_bytes())
        content = {"cls": str(label), "name": word + "\n", "txt": word,
                   "json": json.dumps({"label": label, "caption": "a picture"})}[kind]
        put(archive, f"{number:06d}." + {"name": "cls"}.get(kind, kind), content.encode())
    for archive in archives:
        archive.close()


def odd(folder, out):
    files = files_of(folder)
    first = files[0][1].read_bytes()
    with tarfile.open(out, "w") as archive:
        put(archive, files[0][0], b"an earlier one, which does not count")
        for name, path in files:
            archive.add(path, "./" + name)
        folder = files[0][0].rsplit("/", 1)[0]
        put(archive, folder + "/link.jpg", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        put(archive, folder + "/hard.jpg", b"", type=tarfile.LNKTYPE, linkname="nowhere.jpg")
        put(archive, folder + "/pipe.jpg", b"", type=tarfile.FIFOTYPE)
        put(archive, "../../outside.jpg", first)
        put(archive, "__MACOSX/._x.jpg", b"x")
        put(archive, folder + "/._x.jpg", b"x")
        put(archive, folder + "/notes.txt", b"x")


def flip(path, offset):
    content = bytearray(pathlib.Path(path).read_bytes())
    content[int(offset)] ^= 0xff
    pathlib.Path(path).write_bytes(content)


def member(path, name):
    with zipfile.ZipFile(path) if path.endswith(".zip") else tarfile.open(path) as archive:
        if path.endswith(".zip"):
            info = archive.getinfo(name)
            print(info.header_offset + 30 + len(name), info.compress_size)
        else:
            info = archive.getmember(name)
            print(info.offset_data, info.size)


if __name__ == "__main__":
    {"shards": shards, "tar": tar, "zip": zip_, "keys": keys, "odd": odd, "flip": flip,
     "member": member}[sys.argv[1]](*sys.argv[2:])
