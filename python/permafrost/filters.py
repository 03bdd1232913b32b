"""zstd for h5py: by HDF5 where it finds the filter, else chunk by chunk in here.

HDF5 has it where hdf5plugin is installed, or Permafrost's own plugin is: in HDF5_PLUGIN_PATH, or in
lib/permafrost/hdf5-plugins of a usual prefix. Elsewhere the chunks are read as they lie in the file
and unpacked by the module zstandard, or by Python 3.14 itself.
"""
import glob
import os
import sys
import zlib

import h5py
import numpy as np

GZIP, SHUFFLE, FLETCHER32, ZSTD = 1, 2, 3, 32015


def has_zstd():
    """Whether HDF5 itself reads zstd."""
    return bool(h5py.h5z.filter_avail(ZSTD))


def register():
    """Finds the filter for HDF5, if one is installed."""
    if has_zstd():
        return
    try:
        import hdf5plugin  # noqa: F401, registers its filters
    except ImportError:
        pass
    for prefix in (sys.prefix, "/usr/local", "/usr"):
        for place in ("lib", "lib/*", "lib64"):
            for folder in sorted(glob.glob(f"{glob.escape(prefix)}/{place}/permafrost/hdf5-plugins")):
                if not has_zstd():
                    h5py.h5pl.append(os.fsencode(folder))


def unzstd(packed, size):
    """The `size` bytes that a frame holds. Refuses others before there is memory for them."""
    try:
        import zstandard
        claimed = zstandard.frame_content_size(packed)
        unpack = zstandard.ZstdDecompressor().decompress
    except ImportError:
        try:
            from compression import zstd  # Python 3.14
        except ImportError:
            raise OSError("the features are compressed by zstd, which this Python cannot read. Any of these "
                          "helps: pip install zstandard; pip install hdf5plugin; HDF5_PLUGIN_PATH") from None
        claimed = zstd.get_frame_info(packed).decompressed_size
        unpack = zstd.decompress
    if claimed != size:
        raise OSError(f"a chunk of {size} bytes claims to hold {claimed}")
    return unpack(packed)


def fletcher32(data):
    """HDF5's checksum of bytes."""
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)

    def fold(total):  # sums of 16 bits with the carry added: 65535 for 0, but for no data
        return (total - 1) % 65535 + 1 if total else 0
    return fold(int((words * weights).sum())) << 16 | fold(int(words.sum()))


def unshuffle(data, item_size):
    """Bytes 0 of all items, bytes 1 of all, ..., the rest: items."""
    whole = len(data) // item_size * item_size
    return np.frombuffer(data[:whole], np.uint8).reshape(item_size, -1).T.tobytes() + data[whole:]


class Chunks:
    """A dataset whose zstd chunks HDF5 cannot read: rows [first:last] of it."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.shape, self.dtype, self.chunks = dataset.shape, dataset.dtype, dataset.chunks
        properties = dataset.id.get_create_plist()
        self.filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        unknown = set(self.filters) - {GZIP, SHUFFLE, FLETCHER32, ZSTD}
        if unknown or self.chunks[1:] != self.shape[1:]:
            raise OSError(f"{dataset.name} is stored as only HDF5 with its filters can read it: "
                          f"pip install hdf5plugin")
        self.chunk_bytes = int(np.prod(self.chunks)) * self.dtype.itemsize

    def read_chunk(self, number):
        place = (number * self.chunks[0],) + (0,) * (len(self.shape) - 1)
        mask, data = self.dataset.id.read_direct_chunk(place)
        for i in reversed(range(len(self.filters))):
            if mask >> i & 1:  # left out for this chunk
                continue
            if self.filters[i] == FLETCHER32:
                data, checksum = data[:-4], int.from_bytes(data[-4:], "little")
                if fletcher32(data) != checksum:
                    raise OSError(f"{self.dataset.file.filename}: chunk {number} of {self.dataset.name} is "
                                  "damaged: its checksum does not match")
            elif self.filters[i] == ZSTD:
                data = unzstd(data, self.chunk_bytes)
            elif self.filters[i] == GZIP:
                data = zlib.decompressobj().decompress(data, self.chunk_bytes)
            else:
                data = unshuffle(data, self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).reshape(self.chunks)

    def __getitem__(self, rows):
        size = self.chunks[0]
        out = np.empty((rows.stop - rows.start,) + self.shape[1:], self.dtype)
        for number in range(rows.start // size, -(-rows.stop // size)):
            first = max(rows.start, number * size)
            last = min(rows.stop, (number + 1) * size)
            chunk = self.read_chunk(number)
            out[first - rows.start:last - rows.start] = chunk[first - number * size:last - number * size]
        return out


def reader(dataset):
    """The dataset, or what reads its rows where HDF5 cannot."""
    if not dataset.chunks or dataset.is_virtual or has_zstd():
        return dataset
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    return Chunks(dataset) if ZSTD in filters else dataset
