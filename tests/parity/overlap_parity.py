#!/usr/bin/env python3
"""The overlapped path against the plain one, on the CPU: the same bits.

usage: overlap_parity.py RUN_BACKBONE

The device cpu:overlap copies, normalises, computes and copies back as a GPU does, batches under
way side by side. Its features must be those of cpu, whatever the batch. A network
of the user's own that says it is out of memory for more than a few images stands for a GPU that
is: its batches go through in slices, and no row is lost.
"""
import os
import sys
import tempfile

try:
    import numpy as np
    import torch
    from backbone_tool import check, finish, has_bf16, pixels, relative_error, run
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

os.environ["PF_ENGINE"] = "libtorch"  # both ways are the plugin's
TOOL = sys.argv[1]


class Hungry(torch.nn.Module):
    """Memory for so many images."""
    def __init__(self, memory: int, words: str):
        super().__init__()
        self.memory, self.words = memory, words
        self.conv = torch.nn.Conv2d(3, 8, 5, stride=4)

    def forward(self, x):
        if x.size(0) > self.memory:
            raise RuntimeError(self.words)
        return self.conv(x).relu()


def save_hungry(folder, memory, words):
    torch.manual_seed(3)
    path = os.path.join(folder, "hungry.pt")
    torch.jit.script(Hungry(memory, words).eval()).save(path)
    return path


def check_same_bits(name, size, taps, n, *options):
    images = pixels(n, size)
    with tempfile.TemporaryDirectory() as folder:
        plain = run(TOOL, folder, name, images, taps, "--device", "cpu", *options)[1]
        for batch in "16", "17", "0":
            found = run(TOOL, folder, name, images, taps, "--device", "cpu:overlap",
                        "--batch", batch, *options)[1]
            check(f"{name} {' '.join(options)} overlapped with batch {batch}: the same bits",
                  all(np.array_equal(plain[tap], found[tap]) for tap in taps))


def check_stepping_down(device, batch, memory, reached, words):
    images = pixels(37, 64)
    with tempfile.TemporaryDirectory() as folder:
        plenty = save_hungry(folder, 1 << 20, words)
        expected = run(TOOL, folder, plenty, images, ["output"], "--device", "cpu")[1]["output"]
        hungry = save_hungry(folder, memory, words)
        done, found, _ = run(TOOL, folder, hungry, images, ["output"], "--device", device,
                             "--batch", batch)
        check(f"{device}: {memory} of {batch} images fit: '{words}'",
              f"memory sufficed for {reached} images" in done.stderr and
              relative_error(found["output"], expected) < 1e-6, done.stderr.splitlines()[-1])


def check_refusals():
    images = pixels(20, 64)
    with tempfile.TemporaryDirectory() as folder:
        for device in "cpu", "cpu:overlap":
            for memory, words in (1, "the sky is falling"), (0, "CUDA out of memory"):
                done, _, _ = run(TOOL, folder, save_hungry(folder, memory, words), images,
                                 ["output"], "--device", device)
                check(f"{device}: '{words}' with {memory} ends the run",
                      done.returncode == 1 and words in done.stderr)


check_same_bits("resnet18_w16", 96, ["avgpool", "layer2", "conv1"], 75)
check_same_bits("resnet18_w16", 96, ["avgpool"], 40, "--store", "f16")
check_same_bits("vgg11", 32, ["classifier.3"], 35, "--mean", ".5,.4,.3", "--std", ".2,.3,.7")
if has_bf16():
    check_same_bits("resnet18_w16", 96, ["avgpool", "layer2"], 75, "--precision", "bf16")
check_stepping_down("cpu:overlap", "32", 5, 4, "CUDA out of memory. Tried to allocate 2.00 GiB")
check_stepping_down("cpu:overlap", "64", 1, 1, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
check_stepping_down("cpu", "16", 8, 8, "std::bad_alloc")
check_refusals()
finish()
