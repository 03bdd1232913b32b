#!/usr/bin/env python3
"""Features from a GPU against torchvision's on the CPU, on the same weights. Skipped where Python's torch has no GPU.

usage: gpu_parity.py RUN_BACKBONE

Errors are the largest difference over the largest value. float32 sums in other orders: 1e-4, as on the CPU, which also
tells that TF32 is off. TF32 and f16 have 10 bits of mantissa and are rounded after every layer: 0.01; bf16 has 7: 0.04.
"""
import os
import sys
import tempfile

try:
    import numpy as np
    import torch
    from torchvision.models.feature_extraction import create_feature_extractor
    from backbone_tool import check, finish, normalised, pixels, random_model, relative_error, run, save_weights
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)
if not torch.cuda.is_available():
    print("SKIP: torch finds no GPU")
    sys.exit(77)

TOOL = sys.argv[1]
GPU = ("--device", "cuda")
TOLERANCES = {"fp32": 1e-4, "tf32": 0.01, "fp16": 0.01, "bf16": 0.04}


class Itself(torch.nn.Module):
    """The pixels as the network gets them."""
    def forward(self, x):
        return x


class Hungry(torch.nn.Module):
    """Takes `step` bytes for each image of a batch."""
    def __init__(self, step: int):
        super().__init__()
        self.step = step
        self.conv = torch.nn.Conv2d(3, 8, 5, stride=4)

    def forward(self, x):
        rooms = [torch.empty([self.step], dtype=torch.uint8, device=x.device) for _ in range(x.size(0))]
        return self.conv(x).relu() + 0 * len(rooms)


def save(folder, module):
    torch.manual_seed(3)
    path = os.path.join(folder, "module.pt")
    torch.jit.script(module.eval()).save(path)
    return path


def check_network(name, size, taps, precision, batch="16"):
    model, images = random_model(name), pixels(23, size)
    with torch.inference_mode():
        expected = create_feature_extractor(model, {tap: tap for tap in taps})(normalised(images))
    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(model, folder)
        done, found, _ = run(TOOL, folder, name, images, taps, "--weights", weights, "--batch", batch,
                             "--precision", precision, *GPU)
        check(f"{name} {precision} runs", done.returncode == 0)
        for tap in found:
            error = relative_error(found[tap], expected[tap].numpy())
            exact = precision != "fp32" and error < 1e-5  # nothing was rounded
            check(f"{name} {precision} batch {batch} {tap}", error < TOLERANCES[precision] and not exact, f"{error:.1e}")


def check_pixels():
    """Normalised on the device as on the processor, to the last bit."""
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    images = np.concatenate([images, np.roll(images, 1, 3)])
    with tempfile.TemporaryDirectory() as folder:
        path = save(folder, Itself())
        device, plain = (run(TOOL, folder, path, images, ["output"], "--device", name)[1]["output"] for name in ("cuda", "cpu"))
        check("normalised pixels: the same bits", np.array_equal(device, plain), f"{np.abs(device - plain).max():.1e}")


def check_repeats():
    images = pixels(50, 96)
    with tempfile.TemporaryDirectory() as folder:
        first, again = (run(TOOL, folder, "resnet18_w16", images, ["avgpool"], "--batch", "32", *GPU)[1]["avgpool"]
                        for _ in range(2))
        check("a run again gives the same bits", np.array_equal(first, again))


def check_memory():
    """Real memory that does not suffice: batches go through in slices, and no row is lost."""
    images, memory = pixels(37, 64), torch.cuda.get_device_properties(0).total_memory
    with tempfile.TemporaryDirectory() as folder:
        expected = run(TOOL, folder, save(folder, Hungry(1)), images, ["output"], "--device", "cpu")[1]["output"]
        path = save(folder, Hungry(memory // 12))
        done, found, _ = run(TOOL, folder, path, images, ["output"], "--batch", "32", *GPU)
        check("8 of 32 images fit", "memory sufficed for 8 images" in done.stderr, done.stderr[-300:])
        check("no row is lost", relative_error(found["output"], expected) < 1e-5)
        path = save(folder, Hungry(2 * memory))
        done, _, _ = run(TOOL, folder, path, images, ["output"], "--batch", "32", *GPU)
        check("one that does not fit ends the run", done.returncode == 1 and "out of memory" in done.stderr)


check_pixels()
for precision in TOLERANCES:
    check_network("resnet18", 224, ["avgpool", "layer3", "layer1.0.add", "conv1"], precision)
check_network("vgg11_bn", 64, ["features", "classifier.3"], "bf16")
check_network("resnet50", 128, ["avgpool", "layer4.2.conv3"], "fp32", "0")
check_network("resnet50", 128, ["avgpool"], "fp16", "0")
check_repeats()
check_memory()
finish()
