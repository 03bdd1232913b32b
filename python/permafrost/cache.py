"""A cache as arrays, a table and batches. docs/cache-format.md says what is in the file."""
import builtins
import collections
import json
import math
import os
import threading

import h5py
import numpy as np

from . import filters

SPLITS = ("train", "val", "test")
SEAL = b"\x89PFSEAL\n"
TRAILER_BYTES = 48
BLOCK_ROWS = 1024  # of features without chunks
MOST_OPEN = 32  # parts of a virtual cache
CHOOSING = "rows are chosen by a number, a slice, numbers or a mask"


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


def refuse_links(file, path):
    """HDF5 would follow links and datasets to any file that may be read."""
    def look_at_link(name, info):
        if info.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            return f"/{os.fsdecode(name)} is a link to another file, which is not followed"

    def look_at_object(name, of):
        if isinstance(of, h5py.Dataset) and of.external:
            return f"the numbers of /{name} are in another file (external storage), which is not read"

    found = file.id.links.visit(look_at_link, info=True) or file.visititems(look_at_object)
    if found:
        raise ValueError(f"{path!r}: {found}")
    for group in ("samples", "classes", "sources"):
        members = file.get(group)
        for name in members if isinstance(members, h5py.Group) else ():
            if getattr(members.get(name), "is_virtual", False):
                raise ValueError(f"{path!r}: /{group}/{name} is virtual; only features and targets may be")


def find_part(path, name):
    """The file that a virtual one names as a part: in its folder or below."""
    here = os.path.dirname(os.path.realpath(path))
    part = os.path.realpath(os.path.join(here, name))
    if os.path.commonpath([here, part]) != here or not os.path.isfile(part):
        raise FileNotFoundError(f"{path!r}: its part {name!r} is no file in its folder or below")
    return part


def selected(space):
    """How many numbers a selection has; -1: it has no end."""
    try:
        return space.get_select_npoints()
    except RuntimeError:  # h5py takes HDF5's -1 for a failure
        return -1


def reaches(source, part):
    """Whether a dataset has all that a part of a virtual one selects of it."""
    space = part.src_space
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return source.size >= selected(part.vspace)
    if selected(space) < 0:  # as much as there is
        return space.get_simple_extent_ndims() == source.ndim
    last = space.get_select_bounds()[1]
    return len(last) == source.ndim and all(end < size for end, size in zip(last, source.shape))


def check_sources(path, file, parts):
    """That the datasets which parts name are in their file, as large as is read of them, and not virtual themselves."""
    sources = {name: file.get(name.replace("%%", "%")) for name in {part.dset_name for part in parts}}
    whole = {name for name, of in sources.items() if isinstance(of, h5py.Dataset) and not of.is_virtual}
    for part in parts:
        if part.dset_name not in whole or not reaches(sources[part.dset_name], part):
            raise ValueError(f"{path!r}: its part {part.file_name!r} has no dataset {part.dset_name!r} of its own that "
                             "is as large as what is read of it")


def check_parts(path, dataset):
    """A virtual dataset of another program's, which HDF5 reads. Of parts that are missing it makes up numbers."""
    parts = dataset.virtual_sources()
    numbers = [selected(part.vspace) for part in parts]
    covered = sum(numbers) if min(numbers, default=0) >= 0 else dataset.size  # one without an end has all
    if covered < dataset.size:
        raise ValueError(f"{path!r}: {dataset.name} is virtual and has {dataset.size} numbers, but its parts have only "
                         f"{covered} of them")
    by_file = {}
    for part in parts:
        by_file.setdefault(part.file_name, []).append(part)
    check_sources(path, dataset.file, by_file.pop(".", []))
    for name, of_file in by_file.items():
        if "%" in name.replace("%%", ""):
            raise ValueError(f"{path!r}: its parts {name!r} are named by a pattern, which is not read")
        with h5py.File(find_part(path, name.replace("%%", "%")), "r") as file:
            refuse_links(file, file.filename)
            part_is_virtual = []
            file.visititems(lambda _, of: part_is_virtual.append(1) if getattr(of, "is_virtual", False) else None)
            if part_is_virtual:
                raise ValueError(f"{path!r}: its part {name!r} is virtual itself")
            check_sources(path, file, of_file)


def open_file(path):
    """An open h5py.File that is a cache."""
    real = os.path.realpath(path)  # from where HDF5, too, looks for parts
    if os.path.exists(real) and not os.path.isfile(real):
        raise ValueError(f"{path!r} is no file")
    file = h5py.File(real, "r")
    try:
        refuse_links(file, path)
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
        parts = []
        i = int(np.searchsorted(self._ends, first, "right"))
        while first < last and i < len(self._readers):
            begin = int(self._ends[i]) - self._readers[i].shape[0]
            end = min(last, int(self._ends[i]))
            if end > first:
                parts.append(self._readers[i][first - begin:end - begin])
            first, i = max(first, end), i + 1
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

    def _numbers(self, key):
        """The numbers of rows that a number, numbers or a mask choose, all from 0 on."""
        key = np.asarray(key)
        if key.dtype == bool:
            if key.shape != (len(self),):
                raise IndexError(f"a mask of shape {key.shape} for {len(self)} rows")
            return np.flatnonzero(key)
        if key.size == 0:
            key = key.astype(np.int64)
        if key.dtype.kind not in "iu":
            raise IndexError(CHOOSING)
        rows = np.where(key < 0, key.astype(np.int64) + len(self), key).astype(np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"row {int(key.min() if rows.min() < 0 else key.max())} of {len(self)}")
        return rows

    def _rows(self, key):
        if isinstance(key, slice):
            first, last, step = key.indices(len(self))
            if step == 1:
                return self._range(first, max(first, last))
            return self._gather(np.arange(first, last, step))
        rows = self._numbers(key)
        if rows.ndim > 1:
            raise IndexError(CHOOSING)
        return self._gather(rows) if rows.ndim else self._range(int(rows), int(rows) + 1)[0]

    def __getitem__(self, key):
        if not isinstance(key, tuple):
            return self._rows(slice(None) if key is Ellipsis else key)
        if not key or key[0] is Ellipsis:
            return self._rows(slice(None))[key]
        if isinstance(key[0], slice):
            return self._rows(key[0])[(slice(None),) + key[1:]]
        # Each row that is needed is read once, and NumPy then pairs the numbers with those of other axes.
        numbers = self._numbers(key[0])
        needed, places = np.unique(numbers, return_inverse=True)
        return self._gather(needed)[(places.reshape(numbers.shape) if numbers.ndim else 0,) + key[1:]]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def source_rows(path, file):
    """How many rows each source of a virtual cache has."""
    if "sources" not in file:
        raise ValueError(f"{path!r}: its features are groups, and there is no /sources that says where their rows are")
    rows = file["sources/rows"][:]
    if len(rows) == 0 or rows.min() < 0:
        raise ValueError(f"{path!r}: /sources/rows is wrong")
    return rows


class Sources:
    """The files that a virtual cache's rows lie in, each compared with what it was. They are opened when their rows
    are read, and the last MOST_OPEN stay open."""

    def __init__(self, path, file):
        self.path, self.file = path, file
        self.rows = source_rows(path, file)
        self.names = list(file["sources/path"].asstr(errors="surrogateescape")[:])
        self.seals = [seal.tobytes() for seal in file["sources/seal"][:]]
        self.open, self.lock = collections.OrderedDict(), threading.Lock()
        if not len(self.names) == len(self.rows) == len(self.seals):
            raise ValueError(f"{path!r}: the members of /sources differ in length")
        for index in range(len(self.names)):
            self._find(index)

    def _other(self, index):
        return ValueError(f"{self.path!r}: its part {self.names[index]!r} is another file than when they were merged")

    def _find(self, index):
        path = find_part(self.path, self.names[index])
        if read_trailer(path) != self.seals[index]:
            raise self._other(index)
        return path

    def _file(self, index):
        if not self.file:
            raise ValueError(f"{self.path!r} was closed")
        if index not in self.open:
            source = open_file(self._find(index))
            taps = source["features"].values()
            if any(not isinstance(tap, h5py.Dataset) or tap.is_virtual or len(tap) != self.rows[index] for tap in taps):
                source.close()
                raise self._other(index)
            self.open[index] = source
            if len(self.open) > MOST_OPEN:
                self.open.popitem(last=False)[1].close()
        self.open.move_to_end(index)
        return self.open[index]

    def read(self, index, tap, rows):
        with self.lock:
            return filters.reader(self._file(index)["features"][tap])[rows]

    def parts(self, tap):
        """What Features reads: of each source the rows of that tap."""
        with self.lock:
            first = self._file(0)["features"][tap]
            shape, dtype, chunks = first.shape[1:], first.dtype, first.chunks
        return [Part(self, index, tap, (int(rows),) + shape, dtype, chunks) for index, rows in enumerate(self.rows)]

    def close(self):
        with self.lock:
            self.file = None
            while self.open:
                self.open.popitem()[1].close()


class Part:
    """The rows of a tap that lie in one source."""

    def __init__(self, sources, index, tap, shape, dtype, chunks):
        self.sources, self.index, self.tap, self.shape, self.dtype, self.chunks = sources, index, tap, shape, dtype, chunks

    def __getitem__(self, rows):
        values = self.sources.read(self.index, self.tap, rows)
        if values.shape[1:] != self.shape[1:] or values.dtype != self.dtype:
            raise ValueError(f"{self.sources.path!r}: /features/{self.tap} of its part "
                             f"{self.sources.names[self.index]!r} has another shape or type than that of the first")
        return values


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
        dataset = self.file["features"][self.taps[0]]
        return int(source_rows(self.path, self.file).sum() if isinstance(dataset, h5py.Group) else dataset.shape[0])

    def __repr__(self):
        return f"<cache {self.path!r}: {len(self)} rows; taps {', '.join(self.taps)}>"

    def close(self):
        if self._sources is not None:
            self._sources.close()
        self.file.close()

    # ---- features ----

    def features(self, tap=None):
        """The Features of a tap; None: of the only one."""
        tap = self._only(tap, self.taps, "tap")
        dataset = self.file["features"][tap]
        if isinstance(dataset, h5py.Group) or (dataset.is_virtual and "sources" in self.file):
            if self._sources is None:
                self._sources = Sources(self.path, self.file)
            return Features(self._sources.parts(tap))
        if dataset.is_virtual:
            check_parts(self.path, dataset)
        return Features([filters.reader(dataset)])

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
        numbers = self.file["samples/split"][:]
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(SPLITS):
            raise ValueError(f"{self.path!r}: /samples/split holds {numbers.min()} to {numbers.max()}; expected 0 "
                             "(train), 1 (val) or 2 (test)")
        return np.array(SPLITS)[numbers]

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
        dataset = self.file["targets"][target]
        if dataset.is_virtual:
            check_parts(self.path, dataset)
        values = dataset[:]
        if self.kinds[target] == "class":
            return values.reshape(len(values)).astype(np.int64)
        return values.reshape(len(values), math.prod(values.shape[1:])).astype(np.float32)

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
