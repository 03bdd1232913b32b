"""Image datasets of Hugging Face (Parquet) as a tar in the webdataset convention, on standard output.

A row's image is KEY.jpg (or .png, ..., as its bytes say) and its class KEY.cls, the class's name. KEY is the
image's own name where it has one, else the row's number; a name that comes again gets the number behind it,
and another one where an image is called so, too.
"""
import argparse
import hashlib
import io
import json
import os
import sys
import tarfile

BATCH_ROWS = 16
ENDINGS = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG\r\n", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"II*\0", ".tif"),
           (b"MM\0*", ".tif"), (b"P5", ".pgm"), (b"P6", ".ppm"))


class Seen:
    """Names that have come before, in 16 MB: now and then one that has not is taken for one."""
    BITS = 1 << 27

    def __init__(self):
        self.bits = bytearray(self.BITS // 8)

    def add(self, name):
        """Whether it was there."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        there = True
        for i in range(0, 16, 4):
            bit = int.from_bytes(digest[i:i + 4], "little") % self.BITS
            there = there and bool(self.bits[bit >> 3] >> (bit & 7) & 1)
            self.bits[bit >> 3] |= 1 << (bit & 7)
        return there


def described(schema):
    """What Hugging Face's metadata says of the columns: {name: {"_type", ...}}."""
    text = (schema.metadata or {}).get(b"huggingface")
    try:
        return json.loads(text)["info"]["features"] if text else {}
    except (ValueError, KeyError, TypeError):
        return {}


def is_image(field):
    import pyarrow
    kind = field.type
    if pyarrow.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)


def find_columns(path, schema, image, label):
    """(name of the images' column, of the labels' or None, the classes' names or None)"""
    features = described(schema)
    images = [field.name for field in schema if is_image(field)]
    if image is None and len(images) != 1:
        raise ValueError(f"{path}: {'several columns hold' if images else 'no column holds'} images: "
                         f"{', '.join(images or schema.names)}. --image COLUMN says which")
    image = image or images[0]
    if image not in images:
        raise ValueError(f"{path}: there is no column {image!r} of images")
    if label is None:
        known = [name for name in schema.names if (features.get(name) or {}).get("_type") == "ClassLabel"]
        known = known or [name for name in ("label", "labels") if name in schema.names]
        if len(known) > 1:
            raise ValueError(f"{path}: several columns are labels: {', '.join(known)}. --label COLUMN says which, "
                             "--label '' none")
        label = known[0] if known else ""
    if label and label not in schema.names:
        raise ValueError(f"{path}: there is no column {label!r}")
    return image, label or None, (features.get(label) or {}).get("names")


def class_name(value, names, where):
    """The text of KEY.cls; None: the row has no label."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value is None or value == "" or (is_number and value == -1):
        return None
    if is_number or isinstance(value, str):
        if not names or isinstance(value, str):
            return str(value)
        if 0 <= value < len(names):
            return names[value]
    raise ValueError(f"{where}: its label is {value!r}, which is no class"
                     + (f" of {len(names)}" if names else "; --label COLUMN names another column"))


class TarStream:
    """Pairs of members, written one after the other."""

    def __init__(self, stream):
        self.tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)
        self.seen, self.count, self.unlabelled = Seen(), 0, 0

    def member(self, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def key(self, own_name):
        """Without folders, and without dots, at the first of which readers cut keys off."""
        number = f"{self.count:06d}"
        stem = os.path.splitext(os.path.basename((own_name or "").replace("\\", "/")))[0]
        stem = "".join("_" if c == "." or ord(c) < 32 else c for c in stem)
        if not stem:
            stem = number
        key, again = stem, 1
        while self.seen.add(key):
            key = f"{stem}-{number}" if again == 1 else f"{stem}-{number}-{again}"
            again += 1
        return key

    def add(self, data, own_name, label):
        ending = next((ending for start, ending in ENDINGS if data.startswith(start)), None)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            ending = ".webp"
        key = self.key(own_name)
        self.member(key + (ending or os.path.splitext(own_name or "")[1].lower() or ".img"), data)
        if label is not None:
            self.member(key + ".cls", label.encode("utf-8", "surrogateescape"))
        self.count += 1
        self.unlabelled += label is None

    def close(self):
        self.tar.close()

    def abandon(self):
        """Ends within a member, so that no reader takes what was written for all."""
        info = tarfile.TarInfo("stopped")
        info.size = 1 << 20
        self.tar.fileobj.write(info.tobuf())
        self.tar.fileobj.close()


def stream_file(path, options, out):
    import pyarrow.parquet
    file = pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    image, label, names = find_columns(path, file.schema_arrow, options.image, options.label)
    row = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=[image] + [label] * bool(label), use_threads=False):
        labels = batch.column(batch.schema.get_field_index(label)) if label else None
        images = batch.column(batch.schema.get_field_index(image))
        for i in range(batch.num_rows):
            where = f"{path}: row {row}"
            value = images[i].as_py()
            data, own_name = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
            if not data:
                raise ValueError(f"{where} has no image's bytes" + (f", only the path {own_name!r}" if own_name else ""))
            out.add(data, own_name, class_name(labels[i].as_py(), names, where) if label else None)
            row += 1


def main(arguments):
    parser = argparse.ArgumentParser(prog="python -m permafrost", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    parquet = commands.add_parser("parquet", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    parquet.add_argument("files", nargs="+", metavar="FILE.parquet")
    parquet.add_argument("--image", metavar="COLUMN", help="the column of the images, where there are several")
    parquet.add_argument("--label", metavar="COLUMN", help="the column of the classes; '': none")
    options = parser.parse_args(arguments)
    if sys.stdout.isatty():
        parser.error("a tar is for a program: add | extract - -o CACHE.h5")
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        print("permafrost: reading Parquet needs pyarrow: pip install pyarrow", file=sys.stderr)
        return 1
    out = TarStream(sys.stdout.buffer)
    try:
        try:
            for path in options.files:
                stream_file(path, options, out)
        except BrokenPipeError:
            raise
        except (OSError, ValueError, MemoryError, KeyboardInterrupt, pyarrow.ArrowException) as problem:
            print(f"permafrost: {str(problem) or type(problem).__name__}", file=sys.stderr)
            out.abandon()
            sys.stdout.flush()
            return 1
        out.close()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("permafrost: what reads the tar has ended", file=sys.stderr)
        return 1
    print(f"permafrost: {out.count} images" + (f", {out.unlabelled} of them without a label" if out.unlabelled else ""),
          file=sys.stderr)
    return 0
