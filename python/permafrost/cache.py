"""A cache as arrays, a table and batches. docs/cache-format.md says what is in the file."""
import builtins
import json
import os

import h5py
import numpy as np

from . import filters

SPLITS = ("train", "val", "test")
SEAL = b"\x89PFSEAL\n"
TRAILER_BYTES = 48
BLOCK_ROWS = 1024  # of features without chunks


def open(path):
    """The cache in that file, to be closed, also by `with`."""
    return Cache(path)


def read_trailer(path):
    """The digest in a file's seal; None where it ends in none."""
    with builtins.open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TRAILER_BYTES))
        trailer = stream.read()
    return trailer[24:40] if trailer.startswith(SEAL) else None


def open_file(path):
    """An open h5py.File that is a cache."""
    file = h5py.File(path, "r")
    try:
        what, version = file.attrs.get("format"), file.attrs.get("format_version")
        if what not in ("permafrost-cache", b"permafrost-cache"):
            raise ValueError(f"{path!r} is no cache: its attribute 'format' is {what!r}, not 'permafrost-cache'")
        if version != 1:
            raise ValueError(f"{path!r} has format_version {version}; this module reads 1")
        if file.attrs.get("sealed") == 1 and read_trailer(path) is None:
            raise ValueError(f"{path!r}: the seal at its end is gone: it was cut short or edited "
                             "(docs/cache-format.md, The seal)")
    except BaseException:
        file.close()
        raise
    return file


class Features:
    """Features of a tap, (N, ...) or, with views, (N, V, ...): indexed and sliced like an array, and read
    only then. numpy.asarray, or [:], reads all."""

    def __init__(self, readers):
        self._readers = readers
        self._ends = np.cumsum([reader.shape[0] for reader in readers])
        self.dtype = readers[0].dtype
        self.shape = (int(self._ends[-1]),) + tuple(readers[0].shape[1:])
        # Rows that are best read together.
        self.block_rows = (getattr(readers[0], "chunks", None) or (BLOCK_ROWS,))[0]

    ndim = property(lambda self: len(self.shape))

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"<features {self.shape} {self.dtype}>"

    def _range(self, first, last):
        parts, begin = [], 0
        for reader, end in zip(self._readers, self._ends):
            if first < end and last > begin:
                parts.append(reader[max(first, begin) - begin:min(last, int(end)) - begin])
            begin = int(end)
        if not parts:
            return np.empty((0,) + self.shape[1:], self.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _gather(self, rows):
        out = np.empty((len(rows),) + self.shape[1:], self.dtype)
        order = np.argsort(rows, kind="stable")
        blocks = rows[order] // self.block_rows
        for part in np.split(order, np.flatnonzero(np.diff(blocks)) + 1) if len(order) else []:
            first = int(rows[part[0]])
            out[part] = self._range(first, int(rows[part[-1]]) + 1)[rows[part] - first]
        return out

    def _rows(self, key):
        if isinstance(key, slice):
            first, last, step = key.indices(len(self))
            if step == 1:
                return self._range(first, max(first, last))
            return self._gather(np.arange(first, last, step))
        key = np.asarray(key)
        if key.dtype == bool:
            if key.shape != (len(self),):
                raise IndexError(f"a mask of shape {key.shape} for {len(self)} rows")
            return self._gather(np.flatnonzero(key))
        if key.size == 0:
            key = key.astype(np.int64)
        if key.ndim > 1 or key.dtype.kind not in "iu":
            raise IndexError("rows are chosen by a number, a slice, numbers or a mask")
        rows = np.where(key < 0, key.astype(np.int64) + len(self), key).astype(np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"row {int(key.min() if rows.min() < 0 else key.max())} of {len(self)}")
        return self._gather(rows) if rows.ndim else self._range(int(rows), int(rows) + 1)[0]

    def __getitem__(self, key):
        if not isinstance(key, tuple):
            return self._rows(slice(None) if key is Ellipsis else key)
        if not key or key[0] is Ellipsis:
            return self._rows(slice(None))[key]
        rows = self._rows(key[0])
        return rows[(slice(None),) * (not np.isscalar(key[0])) + key[1:]]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


class Cache:
    """An open cache.

    taps, target_names   lists of names
    kinds                {target: "class", "regression", "multilabel" or "keypoints"}
    identity, provenance what the file says of itself, parsed; {} where it does not
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self.file = open_file(self.path)
        self._sources = None
        self.taps = list(self.file["features"])
        self.target_names = list(self.file.get("targets", ()))
        self.identity = json.loads(self.file.attrs.get("identity", "{}"))
        self.provenance = json.loads(self.file.attrs.get("provenance", "{}"))
        self.kinds = {name: self._kind(self.file["targets"][name]) for name in self.target_names}

    @staticmethod
    def _kind(dataset):
        kind = dataset.attrs.get("kind") or ("class" if dataset.dtype.kind in "iu" else "regression")
        return kind.decode() if isinstance(kind, bytes) else str(kind)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __len__(self):
        return int(self.file["features"][self.taps[0]].shape[0])

    def __repr__(self):
        return f"<cache {self.path!r}: {len(self)} rows; taps {', '.join(self.taps)}>"

    def close(self):
        for source in self._sources or ():
            source.close()
        self.file.close()

    # ---- features ----

    def _open_sources(self):
        """The files that a virtual cache's rows lie in, each compared with what it was."""
        group, sources = self.file["sources"], []
        here = os.path.dirname(os.path.realpath(self.path))
        names = group["path"].asstr(errors="surrogateescape")[:]
        for name, rows, seal in zip(names, group["rows"][:], group["seal"][:]):
            path = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(self.path)), name))
            if os.path.commonpath([here, path]) != here or not os.path.isfile(path):
                raise FileNotFoundError(f"{self.path!r}: its part {name!r} is no file in its folder or below")
            source = open_file(path)
            sources.append(source)
            if read_trailer(path) != seal.tobytes() or any(len(x) != rows for x in source["features"].values()):
                raise ValueError(f"{self.path!r}: its part {name!r} is another file than when they were merged")
        return sources

    def features(self, tap=None):
        """The Features of a tap; None: of the only one."""
        tap = self._only(tap, self.taps, "tap")
        dataset = self.file["features"][tap]
        if not dataset.is_virtual:
            return Features([filters.reader(dataset)])
        if "sources" in self.file:
            if self._sources is None:
                self._sources = self._open_sources()
            return Features([filters.reader(source["features"][tap]) for source in self._sources])
        for part in dataset.virtual_sources():  # HDF5 makes up numbers for those that are missing
            name = os.path.join(os.path.dirname(os.path.abspath(self.path)), part.file_name)
            if part.file_name != "." and not os.path.isfile(name):
                raise FileNotFoundError(f"{self.path!r}: its part {part.file_name!r} is not there")
        return Features([dataset])

    def _only(self, name, names, what):
        if name is None and len(names) == 1:
            return names[0]
        if name not in names:
            raise KeyError(f"{self.path!r} has the {what}s {', '.join(map(repr, names))}; "
                           + ("say which" if name is None else f"there is no {name!r}"))
        return name

    # ---- rows ----

    def paths(self):
        """Names of the images, a list of str; None where the cache has none."""
        if "samples/path" not in self.file:
            return None
        return list(self.file["samples/path"].asstr(errors="surrogateescape")[:])

    def splits(self):
        """"train", "val" or "test" of each row, (N) str; None where the cache has none."""
        if "samples/split" not in self.file:
            return None
        return np.array(SPLITS)[self.file["samples/split"][:]]

    def rows(self, split=None):
        """Numbers of the rows of a split, (n) int64; None: of all."""
        if split is None:
            return np.arange(len(self))
        if split not in SPLITS:
            raise ValueError(f"{split!r} is no split; there are train, val and test")
        splits = self.splits()
        if splits is None:
            raise ValueError(f"{self.path!r} has no /samples/split: train draws its own, and here all rows are one")
        return np.flatnonzero(splits == split)

    # ---- targets ----

    def classes(self, target=None):
        """Names of a target's classes, of labels, of points: a list of str, empty where they have none."""
        target = self._only(target, self.target_names, "target")
        if f"classes/{target}" in self.file:
            return list(self.file["classes"][target].asstr(errors="surrogateescape")[:])
        if self.kinds[target] == "class":
            return [str(i) for i in range(int(max(self.targets(target), default=-1)) + 1)]
        return []

    def targets(self, target=None):
        """Of a class target the index of each row, (N) int64, -1 where it has no label; of others the numbers,
        (N, k) float32, NaN where they are missing."""
        target = self._only(target, self.target_names, "target")
        values = self.file["targets"][target][:]
        if self.kinds[target] == "class":
            return values.reshape(len(values)).astype(np.int64)
        return values.reshape(len(values), -1).astype(np.float32)

    def frame(self):
        """A pandas.DataFrame with a row for each image: path, split, and each target, classes as text (None
        where there is no label). Targets of several numbers have a column for each: "eye.left.x"."""
        import pandas
        columns = {}
        for name, values in (("path", self.paths()), ("split", self.splits())):
            if values is not None:
                columns[name] = np.array(values, object)  # names need not be valid Unicode
        for target in self.target_names:
            values, names = self.targets(target), self.classes(target)
            own = target if target not in ("path", "split") else f"target.{target}"
            if self.kinds[target] == "class":
                texts = np.array(names + [None], object)
                columns[own] = texts[values]
                continue
            width = values.shape[1]
            if self.kinds[target] == "keypoints":
                names = [f"{point}.{axis}" for point in names or range(width // 2) for axis in "xy"]
            for k in range(width):
                label = names[k] if len(names) == width else k
                columns[own if width == 1 and not names else f"{own}.{label}"] = values[:, k]
        return pandas.DataFrame({name: pandas.Series(values, dtype=values.dtype) for name, values in columns.items()},
                                index=range(len(self)))

    # ---- batches ----

    def _select_targets(self, target):
        """None: the only one, or none; a name; or several, for a dict."""
        if target is None and not self.target_names:
            return None
        if target is None or isinstance(target, str):
            return self.targets(target)
        return {name: self.targets(name) for name in target}

    def iter_batches(self, tap=None, batch=256, split=None, shuffle=False, seed=0, target=None, memory=1 << 30):
        """Yields (x, y): x (batch, ...) as it is stored, y of the target as `targets` has it (a dict for several
        names, None where the cache has no targets). The last batch may be smaller.

        shuffle: in an order drawn from seed; another seed, say the epoch's number, gives another order. Where
        the features need more than `memory` bytes, as many chunks as fit are drawn and mixed at a time.
        """
        if batch < 1:
            raise ValueError("a batch has one row at least")
        features, rows, y = self.features(tap), self.rows(split), self._select_targets(target)
        row_bytes = max(1, int(np.prod(features.shape[1:]))) * features.dtype.itemsize
        size = features.block_rows
        window = max(1, memory // (row_bytes * size)) if shuffle else max(1, -(-batch // size))
        blocks = np.split(rows, np.flatnonzero(np.diff(rows // size)) + 1)
        random = np.random.default_rng(seed)
        if shuffle:
            blocks = [blocks[i] for i in random.permutation(len(blocks))]
        left = rows[:0]
        x = features[left]
        for first in range(0, len(blocks), window):
            order = np.concatenate(blocks[first:first + window])
            if shuffle:
                order = random.permutation(order)
            left, x = np.concatenate([left, order]), np.concatenate([x, features[order]])
            whole = len(left) // batch * batch if first + window < len(blocks) else len(left)
            for at in range(0, whole, batch):
                taken = left[at:min(at + batch, whole)]
                yield x[at:at + len(taken)].copy(), _pick(y, taken)
            left, x = left[whole:], x[whole:]

    def dataset(self, tap=None, split=None, target=None, memory=1 << 30):
        """A torch.utils.data.Dataset of tensors (x, y), or of x alone where the cache has no targets. Features
        of at most `memory` bytes are read once, others row by row."""
        from .torch_dataset import CacheDataset
        return CacheDataset(self.path, self._only(tap, self.taps, "tap"), split, target, memory)


def _pick(y, rows):
    if isinstance(y, dict):
        return {name: values[rows] for name, values in y.items()}
    return None if y is None else y[rows]
