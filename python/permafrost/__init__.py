"""Reads what Permafrost's programs write: feature caches and models. docs/python.md shows it.

Importing it lets h5py read the caches' chunks, which are compressed by zstd (filters.py says how).
"""
from .cache import Cache, Features, open
from .filters import register
from .model import Model, load_model

__all__ = ["Cache", "Features", "Model", "load_model", "open"]

register()
