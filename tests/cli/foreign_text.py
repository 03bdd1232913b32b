"""Names that would steer a terminal, forge lines, or are no UTF-8: makes files with them, and looks
at what the programs wrote. Called by foreign_text.sh."""
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys

FORGED = b"x\nextract: error: disk on fire\x1b[31m.ppm"
IMAGES = [b"caf\xe9.ppm", b'a, "quoted" one.ppm', b"=1+1.ppm", b"\xe2\x80\xaegpj.ppm",
          b"\xc2\x9b31m.ppm", b"back\\slash\\n.ppm", b"two\nlines.ppm", "b\u00e9\u6f22.ppm".encode()]
CLASSES = [b"-ant\x1b]0;owned\x07", b"be\ne\xe9,", b"wasp"]
TARGET = "=si\x1b[2Jze\n\"x\""
TAP = "lay\x1b[2J\ner"

# What must not reach a terminal, but for the line breaks of messages.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def make_photos(root):
    root = os.fsencode(root)
    for number, name in enumerate(CLASSES):
        folder = os.path.join(root, name)
        os.makedirs(folder)
        for i, image in enumerate(IMAGES):
            with open(os.path.join(folder, image), "wb") as file:
                file.write(b"P6 24 20 255\n" + bytes([40 + 60 * number + i, i, 7 * number]) * 480)
    with open(os.path.join(root, CLASSES[0], FORGED), "wb") as file:
        file.write(b"no image")


def make_cache(path):
    """As a stranger's Python would: names of targets, classes, taps, paths, reasons, attributes."""
    import h5py
    import numpy as np
    rows = 60
    y = np.arange(rows) % 2
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file.attrs["identity"] = json.dumps({"back\x1b[31m\nbone": "a\x1b\n", "list": ["\x9b", "\n"]})
        # As today's programs wrote them: the bytes themselves.
        file.attrs.create("provenance", b'{"command": "extract caf\xe9 \\u001b[31m\\n"}', dtype=text)
        file[f"features/{TAP}"] = (np.random.default_rng(0).normal(size=(rows, 4)) +
                                   3 * y[:, None]).astype("f4")
        file["targets/class"] = y
        file.create_dataset("classes/class", data=CLASSES[:2], dtype=text)
        file[f"targets/{TARGET}"] = y.astype("f4")
        file["targets/tags"] = np.stack([y, 1 - y], 1).astype("f4")
        file["targets/tags"].attrs["kind"] = "multilabel"
        file.create_dataset("classes/tags", data=[b"=in\x1bdoor", b"out\ndoor\xe9"], dtype=text)
        file.create_dataset("samples/path", data=[b"%d\x1b[31m\n\xe9.jpg" % i for i in range(rows)],
                            dtype=text)
        file.create_dataset("rejected/path", data=[b"bad\x1b[31m\n.jpg"], dtype=text)
        file.create_dataset("rejected/reason", data=[b"why\nextract: error: \x1b[31m"], dtype=text)


def make_weights(path):
    header = json.dumps({"fc\x1b[31m\n.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode() + bytes(4))


def make_model(source, path):
    """The same model; its tap and classes are a stranger's."""
    with open(source, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    metadata = json.loads(header["__metadata__"]["permafrost"])
    metadata.pop("digest", None)  # who means harm has one that fits, or none
    metadata["tap"] = TAP
    metadata["targets"][0]["classes"] = ["x\x1b[31m\n", "\u202ey", "z\x9b"]
    header["__metadata__"]["permafrost"] = json.dumps(metadata)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


def check_clean(*paths):
    for path in paths:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")  # valid, or it raises
        found = UNSAFE.search(text)
        assert not found, f"{path} has {found.group()!r} in {text[max(0, found.start() - 60):][:120]!r}"
        for line in text.splitlines():
            assert not line.startswith("extract: error: disk"), f"{path}: a forged line"


def load_json(path):
    def refuse(constant):
        raise ValueError(constant)
    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_constant=refuse)


def names(paths):
    return sorted(os.path.basename(os.fsencode(path)) for path in paths)


def check_csv(path, header=None, safe=None):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert all(len(row) == len(rows[0]) for row in rows), rows[:2]
    if header:  # all that is looked at
        assert rows[0] == json.loads(header), rows[0]
        return
    found = [row[0] for row in rows[1:]]
    if safe:
        cells = [cell for row in rows for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+@\t" and cell], cells
        assert not [c for c in cells if c[:1] == "-" and not re.fullmatch(r"-[0-9.]+", c)], cells
        found = [path.removeprefix("'") for path in found]
    assert names(found) == sorted(IMAGES * len(CLASSES)), names(found)
    labels = {os.fsencode(row[1].removeprefix("'") if safe else row[1]) for row in rows[1:]}
    assert labels <= set(CLASSES), labels


def check_null(path):
    assert [row["probability"] for row in load_json(path)].count(None) == 1


def check_json(path):
    rows = load_json(path)
    assert names(row["path"] for row in rows) == sorted(IMAGES * len(CLASSES))
    assert {os.fsencode(row["label"]) for row in rows} <= set(CLASSES)


def check_model(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")).decode("utf-8"))
    metadata = json.loads(header["__metadata__"]["permafrost"])
    classes = metadata["targets"][0]["classes"]
    assert [os.fsencode(name) for name in classes] == CLASSES, classes


def check_terminal(*command):
    """Standard output of a command is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:
            pass  # EIO: the other side has been closed
    assert process.returncode == 0, process.returncode
    text = said.decode("utf-8").replace("\r\n", "\n")
    assert len(text) > 100 and not UNSAFE.search(text), text
    rows = list(csv.reader(io.StringIO(text), strict=True))
    assert len(rows) > 10 and all(len(row) == len(rows[0]) >= 3 for row in rows), text


if __name__ == "__main__":
    function, *arguments = sys.argv[1:]
    globals()[function](*arguments)
