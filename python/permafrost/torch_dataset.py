"""A cache as a torch Dataset."""
import os

import numpy as np
import torch

from . import cache as caches


class CacheDataset(torch.utils.data.Dataset):
    """Made by Cache.dataset. Each process that reads it opens the file for itself."""

    def __init__(self, path, tap, split, target, memory):
        self.path, self.tap, self.memory = os.path.abspath(path), tap, memory
        with caches.open(path) as cache:
            self.rows = cache.rows(split)
            self.y = caches._pick(cache._select_targets(target), self.rows)
        self._process, self._features, self._read = None, None, False

    def __getstate__(self):
        return {**self.__dict__, "_process": None, "_features": None, "_read": False}

    def __len__(self):
        return len(self.rows)

    def _x(self, indices):
        if self._process != os.getpid() and not self._read:
            self._process = os.getpid()
            self._features = caches.open(self.path).features(self.tap)
            row_bytes = int(np.prod(self._features.shape[1:])) * self._features.dtype.itemsize
            self._read = len(self.rows) * row_bytes <= self.memory
            if self._read:
                self._features = self._features[self.rows]
        return self._features[indices if self._read else self.rows[indices]]

    def __getitems__(self, indices):
        x = torch.from_numpy(self._x(np.asarray(indices, np.int64)))
        if self.y is None:
            return list(x)
        if isinstance(self.y, dict):
            return [(x[i], {name: torch.as_tensor(values[row]) for name, values in self.y.items()})
                    for i, row in enumerate(indices)]
        return [(x[i], torch.as_tensor(self.y[row])) for i, row in enumerate(indices)]

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.__getitems__([index % len(self)])[0]
