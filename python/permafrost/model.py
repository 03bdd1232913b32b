"""A model that train wrote: the head, in numpy or as a torch module."""
import hashlib
import json
import math
import os
import re
import struct

import numpy as np

HEADER_MAX = 100 << 20
VERSION = 2
EPSILON = 1e-5  # of both norms, as torch's
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
          "U8": "u1", "BOOL": "?"}
DIGEST = re.compile(r',"digest":"([0-9a-f]{64})"(?=}\Z)')  # which train writes as the last member


def read_file(path):
    """(header, data, metadata) of a .safetensors file: of each tensor what the header says, and the bytes of all."""
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(8)
        header_size = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if header_size > min(size - 8, HEADER_MAX):
            raise ValueError(f"{path!r} is no .safetensors file: its header would have {header_size} bytes")
        header = json.loads(stream.read(header_size))
        data = stream.read()
    return header, data, header.pop("__metadata__", {})


def read_tensors(path, header, data):
    """{name: array}; bfloat16 becomes float32."""
    tensors = {}
    for name, of in header.items():
        first, last = of["data_offsets"]
        dtype = np.dtype(DTYPES[of["dtype"]])
        if not 0 <= first <= last <= len(data) or math.prod(of["shape"]) * dtype.itemsize != last - first:
            raise ValueError(f"{path!r}: tensor {name!r} reaches beyond the file, or has another shape")
        values = np.frombuffer(data[first:last], dtype).reshape(of["shape"])
        if of["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values
    return tensors


def load_model(path):
    """The Model in a file that train wrote."""
    path = os.fspath(path)
    header, data, metadata = read_file(path)
    tensors = read_tensors(path, header, data)
    if "permafrost" not in metadata:
        raise ValueError(f"{path!r} was not written by train: it has no metadata 'permafrost'")
    text = metadata["permafrost"]
    metadata = json.loads(text)
    if metadata.get("version", 1) > VERSION:
        raise ValueError(f"{path!r} is of version {metadata['version']}; this module reads up to {VERSION}")
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{path!r}: tensor {name!r} holds a number that is not finite")
    if "digest" in metadata:
        check_digest(path, header, data, text)
    return Model(path, tensors, metadata)


def check_digest(path, header, data, text):
    """Compares the SHA-256 that train noted in the metadata's text with that of the tensors, by name, and the text."""
    sha256 = hashlib.sha256()
    for name, of in sorted((name.encode("utf-8", "surrogatepass"), of) for name, of in header.items()):
        shape = "(" + ",".join(str(side) for side in of["shape"]) + ")"
        sha256.update(b"\0".join((name, of["dtype"].lower().encode(), shape.encode(), b"")))
        sha256.update(data[slice(*of["data_offsets"])])
    noted = DIGEST.search(text)
    sha256.update(DIGEST.sub("", text).encode("utf-8", "surrogatepass") + b"\0")
    if not noted or sha256.hexdigest() != noted.group(1):
        raise ValueError(f"{path!r} is damaged, or was changed after it was written: its tensors and metadata have "
                         "another SHA-256 than it says")


def gelu(x):
    return (0.5 * x * (1 + np.vectorize(math.erf, otypes=[np.float64])(x * math.sqrt(0.5)))).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


class Model:
    """The head of a model.

    tap, tap_shape   what it takes: features of that tap, (N, *tap_shape)
    targets          [{"name", "kind", "classes"}, ...]
    metadata         all that train noted: backbone, preprocess, metrics, config
    tensors          {name: array}
    """

    def __init__(self, path, tensors, metadata):
        self.path, self.tensors, self.metadata = path, tensors, metadata
        self.tap, self.tap_shape = metadata.get("tap"), tuple(metadata.get("tap_shape") or ())
        self.targets, self.layers = metadata["targets"], metadata.get("layers") or []
        self.unit_length = (metadata.get("config") or {}).get("normalize") == "l2"
        self.finetuned = bool(metadata.get("finetune"))

    def __repr__(self):
        return f"<model {self.path!r}: {self.tap} -> {', '.join(target['name'] for target in self.targets)}>"

    def _of(self, part, key):
        return self.tensors[part[key]].astype(np.float32)

    def _rows(self, x):
        if self.finetuned:
            raise ValueError(f"{self.path!r} was fine-tuned: its head follows layers that changed, which the program "
                             "predict runs; features of a cache are from before them")
        x = np.asarray(x)
        x = x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float32)
        width = self._of((self.layers + self.targets)[0], "weight").shape[1]
        if x.shape[1] != width:
            raise ValueError(f"{self.path!r} takes rows of {width} numbers (tap {self.tap!r}), not of {x.shape[1]}. "
                             "Of several views take one: x[:, 0]")
        if self.unit_length:
            length = np.sqrt((x.astype(np.float64) ** 2).sum(1, keepdims=True))
            x = (x / np.where(length > 0, length, np.inf)).astype(np.float32)
        return x

    def scores(self, x):
        """{target: (N, outputs) float32}, before softmax and sigmoid."""
        x = self._rows(x)
        for layer in self.layers:
            x = x @ self._of(layer, "weight").T + self._of(layer, "bias")
            if layer.get("norm", "none") == "batch":
                x = (x - self._of(layer, "mean")) / np.sqrt(self._of(layer, "variance") + np.float32(EPSILON))
            elif layer.get("norm", "none") == "layer":
                x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + np.float32(EPSILON))
            if layer.get("norm", "none") != "none":
                x = x * self._of(layer, "scale") + self._of(layer, "shift")
            x = gelu(x) if layer.get("activation") == "gelu" else np.maximum(x, 0)
        return {target["name"]: x @ self._of(target, "weight").T + self._of(target, "bias")
                for target in self.targets}

    def predict(self, x):
        """{target: (N, outputs) float32}: probabilities of the classes, or of each label; numbers; points in pixels
        of the network's input (predict writes them in pixels of the image)."""
        out = self.scores(x)
        for target in self.targets:
            name = target["name"]
            if target["kind"] == "class":
                out[name] = softmax(out[name])
            elif target["kind"] == "multilabel":
                out[name] = 1 / (1 + np.exp(-out[name]))
        return out

    def labels(self, x):
        """{target: [name of the likeliest class, ...]} of its class targets."""
        scores = self.scores(x)
        return {target["name"]: [target["classes"][i] for i in scores[target["name"]].argmax(1)]
                for target in self.targets if target["kind"] == "class"}

    def module(self):
        """The head as a torch.nn.Module, in eval mode: (N, features) -> {target: scores}. It takes float32, and with
        --normalize l2 scales rows to length 1 itself."""
        from .torch_head import Head
        return Head(self).eval()
