#!/usr/bin/env python3
"""Exported TorchScript in Python: backbone and head in one, against the two composed.

usage: export_parity.py EXPORT_NETWORK
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    from torchvision.models.feature_extraction import create_feature_extractor
    from backbone_tool import check, finish, random_model, relative_error, save_weights
    from user_modules import ReturnsDict, ReturnsList, ReturnsTensor, ReturnsTuple
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = os.path.abspath(sys.argv[1])
CLASSES = ["ant", "bee \"of\" the\nhive", "wasp"]


def export(folder, backbone, weights, tap, d):
    """The tool's answer and its file, the head's weight (3, d) and bias (3)."""
    generator = np.random.default_rng(d)
    head = generator.standard_normal((3, d + 1), np.float32) / 10
    head.tofile(os.path.join(folder, "head"))
    path = os.path.join(folder, "exported.pt")
    done = subprocess.run([TOOL, backbone, weights, tap, os.path.join(folder, "head"), path],
                          capture_output=True, text=True)
    return done, path, torch.from_numpy(head[:, :d]), torch.from_numpy(head[:, d])


def compare(label, done, path, images, features, weight, bias):
    check(f"{label}: is written", done.returncode == 0, done.stderr.strip())
    module = torch.jit.load(path)
    expected = torch.softmax(torch.nn.functional.linear(features.flatten(1), weight, bias), 1)
    with torch.no_grad():
        for n in len(images), 1, len(images):  # the executor changes what it has profiled
            found = module(images[:n])
            error = relative_error(found.numpy(), expected[:n].numpy())
            check(f"{label}: {n} images", error < 1e-5, f"{error:.1e}")
    check(f"{label}: classes and metadata",
          module.classes == CLASSES and module.metadata == '{"crop": 224}')
    check(f"{label}: in eval mode, and can be put into the other",
          not module.training and module.train().training and not module.eval().training)
    return module


def check_network(name, size, tap, d):
    model, images = random_model(name), torch.randn(3, 3, size, size)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        features = create_feature_extractor(model, {tap: "y"})(images)["y"]
        done, path, weight, bias = export(folder, name, save_weights(model, folder), tap, d)
        module = compare(f"{name} {tap}", done, path, images, features, weight, bias)
        state, own = module.state_dict(), model.state_dict()
        check(f"{name} {tap}: tensors under their names", torch.equal(
            state.pop("heads.0.weight"), weight) and torch.equal(state.pop("bias"), bias) and
            all(torch.equal(tensor, own[key]) for key, tensor in state.items()))


def check_user_module(module, tap, d, pick):
    torch.manual_seed(3)
    model, images = module().eval(), torch.randn(3, 3, 32, 32)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        backbone = os.path.join(folder, "model.pt")
        torch.jit.script(model).save(backbone)
        done, path, weight, bias = export(folder, backbone, "", tap, d)
        compare(f"{module.__name__} {tap}", done, path, images, pick(model(images)), weight, bias)


def check_refusals():
    with tempfile.TemporaryDirectory() as folder:
        done, path, _, _ = export(folder, "resnet18_w16", "random:0", "layer5", 8)
        check("an unknown tap is refused", done.returncode == 2 and "layer5" in done.stderr)
        backbone = os.path.join(folder, "model.pt")
        torch.jit.script(ReturnsTensor().eval()).save(backbone)
        done, path, _, _ = export(folder, backbone, "", "maps", 8)
        check("a tap that forward does not return is refused",
              done.returncode == 2 and "no tap 'maps'" in done.stderr, done.stderr.strip())
        check("nothing is left of it", not os.path.exists(path))


check_network("resnet18", 64, "avgpool", 512)
check_network("vgg11_bn", 32, "features", 512)
check_network("vgg11", 32, "classifier.5", 4096)
check_user_module(ReturnsTensor, "output", 8, lambda y: y)
check_user_module(ReturnsDict, "pooled", 8, lambda y: y["pooled"])
check_user_module(ReturnsTuple, "output.1", 8, lambda y: y[1])
check_user_module(ReturnsList, "output.0", 8, lambda y: y[0])
check_refusals()
finish()
