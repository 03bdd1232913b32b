#!/usr/bin/env python3
"""The weight readers against torch: every tensor's name, type, shape and bytes.

usage: weights_parity.py DUMP_WEIGHTS [wild]

Writes state_dicts with torch.save in all the forms that people have and compares
what DUMP_WEIGHTS prints with what torch.load gives. With "wild" it reads a
checkpoint from the wild instead, resnet20-12fca82f.th in the folder that
PERMAFROST_DATA names.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import typing

try:
    import torch
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

DTYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
          torch.float64: "f64", torch.uint8: "u8", torch.int8: "i8", torch.int16: "i16",
          torch.int32: "i32", torch.int64: "i64", torch.bool: "bool"}
WRAPPERS = ("module", "_orig_mod")


def tensor_bytes(tensor):
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:  # numpy has none
        tensor = tensor.view(torch.int16)
    return tensor.numpy().tobytes()


def expected_lines(state):
    tensors = {}
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            tensors[".".join(p for p in name.split(".") if p not in WRAPPERS)] = value
    return [f"{name} {DTYPES[t.dtype]} ({','.join(map(str, t.shape))}) "
            f"{hashlib.sha256(tensor_bytes(t)).hexdigest()}" for name, t in tensors.items()]


def compare(dump, label, path, state):
    run = subprocess.run([dump, path], capture_output=True, text=True)
    found = run.stdout.splitlines()[1:]
    expected = expected_lines(state)
    if run.returncode == 0 and found == expected:
        print(f"ok   {label}: {len(found)} tensors")
        return True
    print(f"FAIL {label}: {run.stderr.strip() or 'tensors differ'}")
    for line in sorted(set(expected) ^ set(found))[:6]:
        print(("  expected " if line in expected else "  found    ") + line)
    return False


def cases():
    """(label, object to save, the state_dict in it)"""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.Flatten(),
        torch.nn.Linear(64, 10))
    plain = network.state_dict()
    yield "state_dict of a module", plain, plain

    kinds = {}
    for dtype in DTYPES:
        kinds[f"kind.{DTYPES[dtype]}"] = (torch.randn(5, 7) * 9).to(dtype)
    yield "every type", kinds, kinds

    odd = {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4),
           "six.axes": torch.randn(1, 2, 1, 3, 1, 2)}
    yield "scalars, empty tensors, six axes", odd, odd

    parameters = {"weight": torch.nn.Parameter(torch.randn(4, 3)),
                  "frozen": torch.nn.Parameter(torch.randn(4), requires_grad=False)}
    yield "parameters", parameters, parameters

    image = torch.randn(8, 4, 5, 6)
    strided = {"channels_last": image.to(memory_format=torch.channels_last),
               "transposed": torch.randn(30, 20).t(), "narrowed": image[:, 1:3, ::2],
               "expanded": torch.randn(1, 9).expand(4, 9), "one": torch.randn(9, 3)[:, :1]}
    yield "strides", strided, strided

    base = torch.randn(100)
    shared = {"head": base[:40].view(8, 5), "tail": base[40:], "all": base, "again": base}
    yield "shared storage", shared, shared

    parallel = collections.OrderedDict((f"module.{k}", v) for k, v in plain.items())
    checkpoint = {"epoch": 90, "arch": "resnet", "state_dict": parallel,
                  "best_acc1": torch.tensor(71.5), "lr": 0.1, "done": True, "note": None,
                  "big": 2**70, "negative": -5, "history": [1, 2.5, ("a", {"b": []})],
                  "optimizer": torch.optim.Adam(network.parameters()).state_dict()}
    yield "checkpoint with wrapper and module.", checkpoint, parallel
    inner = collections.OrderedDict((f"features.module.{k}", v) for k, v in plain.items())
    yield "DataParallel around a part", inner, inner
    compiled = collections.OrderedDict((f"_orig_mod.{k}", v) for k, v in plain.items())
    yield "'model' wrapper and _orig_mod.", {"model": compiled, "epoch": 1}, compiled

    stepped = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 3, 4, 4)).sum().backward()
    stepped.step()
    yield "optimizer with state", {"optimizer": stepped.state_dict(), "model": plain}, plain

    args = {"args": argparse.Namespace(lr=0.1, layers=[1, 2]), "state_dict": plain}
    try:
        import numpy
        args["best"] = numpy.float64(0.5)
        args["curve"] = [numpy.arange(6).reshape(2, 3), numpy.zeros(0, "f2"), numpy.array(["a"])]
    except ImportError:
        pass
    yield "argparse.Namespace and numpy scalars", args, plain

    adam = torch.optim.Adam(network.parameters())
    cyclic = torch.optim.lr_scheduler.OneCycleLR(adam, 0.2, total_steps=5, cycle_momentum=False)
    steps = torch.optim.lr_scheduler.MultiStepLR(adam, [2, 2, 7])
    beside = {"a scheduler with a bound method": cyclic.state_dict(),
              "a scheduler with a Counter": steps.state_dict(),
              "types of tensors": [torch.HalfTensor, torch.sparse.FloatTensor],
              "more axes than ours": torch.zeros((2,) * 9),
              "types": [torch.int16, torch.strided, torch.Size([2]), torch.device("cpu")],
              "Python's types": [int, str, range, float, typing.Any, pathlib.PosixPath("a")],
              "containers": [{1, 2}, set(), frozenset("ab"), bytearray(b"abc"), bytearray(), b"",
                             1 + 2j, collections.defaultdict(list)]}
    for label, value in beside.items():
        yield label, {"before": value, "model": plain, "after": [value]}, plain

    kinds = {"weight": torch.randn(3, 2), "sparse": torch.eye(3).to_sparse(),
             "quantized": torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8),
             "complex": torch.zeros(3, dtype=torch.complex64),
             "meta": torch.zeros(2, device="meta"), "bias": torch.randn(3)}
    yield "tensors of other kinds", kinds, {k: kinds[k] for k in ("weight", "bias")}

    whole = {"module." + k: v + 1 for k, v in plain.items()}
    yield "an averaged copy", {"model": plain, "model_ema": {**whole, "n_averaged":
                               torch.tensor(3)}}, {**whole, "n_averaged": torch.tensor(3)}
    yield "an averaged copy without statistics", {
        "state_dict": plain, "ema": dict(network.named_parameters())}, plain
    yield "an averaged copy without statistics beside the file's own tensors", {
        **plain, "ema": dict(network.named_parameters())}, plain
    yield "state_dict_ema beside state_dict", {"state_dict": plain, "state_dict_ema": whole, "epoch": 3}, whole
    yield "a teacher and a student", {"student": plain, "teacher": whole}, whole
    try:
        import numpy
        yield "arrays and scalars among tensors", {"steps": numpy.int64(7), **plain, "curve": numpy.arange(3.0),
                                                   "lr": numpy.float32(0.1)}, plain
    except ImportError:
        pass
    yield "a dict in a dict", {"epoch": 1, "ema": {"module": whole}}, whole
    yield "an only dict of another name", {"epoch": 1, "mine": plain}, plain

    many = {f"layer{i}.weight": torch.full((i % 3 + 1,), float(i)) for i in range(3000)}
    yield "3000 tensors", many, many


FORMS = [("zip", {}), ("zip, protocol 4", {"pickle_protocol": 4}),
         ("zip, protocol 5", {"pickle_protocol": 5}),
         ("legacy", {"_use_new_zipfile_serialization": False}),
         ("legacy, protocol 4", {"_use_new_zipfile_serialization": False, "pickle_protocol": 4})]


def expect_refusal(dump, label, path, words):
    run = subprocess.run([dump, path], capture_output=True, text=True)
    if run.returncode == 1 and not run.stdout and words in run.stderr:
        print(f"ok   {label}: refused")
        return True
    print(f"FAIL {label}: exit {run.returncode}, {run.stderr.strip()}; expected '{words}'")
    return False


class Evil:
    def __reduce__(self):
        return (os.system, ("true",))


def refusals(dump, folder):
    path = os.path.join(folder, "refused.pth")
    good = True
    for label, value, words in [
            ("a call", {"w": torch.zeros(2), "x": Evil()}, "system"),
            ("a whole module", torch.nn.Linear(2, 2), "a pickled model"),
            ("a module inside", {"a": 1, "model": torch.nn.Linear(2, 2)}, "a checkpoint that holds a pickled module"),
            ("a tensor alone", torch.zeros(3), "a single tensor"),
            ("no tensors", {"epoch": 3, "lr": 0.5}, "'epoch', 'lr'"),
            ("a quantized tensor", {"q": torch.quantize_per_tensor(
                torch.randn(3), 0.1, 0, torch.qint8)}, "of kinds that are not read"),
            ("a sparse tensor", {"s": torch.eye(3).to_sparse()}, "of kinds that are not read")]:
        for form, options in FORMS:
            torch.save(value, path, **options)
            good &= expect_refusal(dump, f"{label} ({form})", path, words)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    return good & expect_refusal(dump, "TorchScript", path, "--backbone")


def wild(dump):
    data = os.environ.get("PERMAFROST_DATA", "")
    path = os.path.join(data, "resnet20-12fca82f.th")
    if not data or not os.path.exists(path):
        print("SKIP: PERMAFROST_DATA names no folder that holds resnet20-12fca82f.th")
        sys.exit(77)
    state = torch.load(path, map_location="cpu")["state_dict"]
    return compare(dump, "resnet20-12fca82f.th", path, state)


def save_safetensors(state, path):
    """As the format's description says: u64 length, JSON header, bytes."""
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in state.items():
        blobs.append(tensor_bytes(tensor))
        header[name] = {"dtype": DTYPES[tensor.dtype].upper(), "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    dump = sys.argv[1]
    if sys.argv[2:] == ["wild"]:
        sys.exit(0 if wild(dump) else 1)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.pth")
        good = True
        for label, value, state in cases():
            for form, options in FORMS:
                torch.save(value, path, **options)
                good &= compare(dump, f"{label} ({form})", path, state)
            save_safetensors(state, path)
            good &= compare(dump, f"{label} (safetensors)", path, state)
        good &= refusals(dump, folder)
    sys.exit(0 if good else 1)


main()
