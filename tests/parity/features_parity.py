#!/usr/bin/env python3
"""Features of the built-in networks against torchvision's on the same weights.

usage: features_parity.py RUN_BACKBONE

Float32 features must agree to a relative error (largest difference over the
largest value) of 1e-5 by the C engine, and of 1e-4 by libtorch: all sum in float32, in
other orders, over up to a hundred layers. bf16 has 8 bits of mantissa and is rounded after every layer:
0.04 against float32, as torchvision's own bf16 is.
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    from torchvision.models.feature_extraction import create_feature_extractor
    from backbone_tool import (IS_LONG, check, finish, has_bf16, normalised, pixels, random_model,
                               relative_error, run, save_weights, shape_text)
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = sys.argv[1]
F32_TOLERANCE, BF16_TOLERANCE = 1e-4, 0.04
ENGINE, ENGINE_TOLERANCE = "C engine", 1e-5


def reference(model, images, taps):
    with torch.inference_mode():
        outputs = create_feature_extractor(model, {tap: tap for tap in taps})(normalised(images))
    return outputs


def compare(label, found, shapes, expected, tolerance):
    for tap, values in expected.items():
        error = relative_error(found[tap], values.numpy())
        check(f"{label} {tap} {shape_text(values)}",
              error < tolerance and shapes[tap] == shape_text(values),
              f"relative error {error:.1e}")


def check_network(name, size, n, taps):
    model, images = random_model(name), pixels(n, size)
    expected = reference(model, images, taps)
    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(model, folder)
        for way in ENGINE, "libtorch":
            done, found, shapes = run_by(way, folder, name, images, taps, "--weights", weights, "--batch", "5")
            check(f"{name} runs on {way}", done.stderr.startswith(way), done.stderr.strip())
            compare(f"{name} by {way}", found, shapes, expected, ENGINE_TOLERANCE if way == ENGINE else F32_TOLERANCE)
        _, alone, _ = run(TOOL, folder, name, images, taps[:1], "--weights", weights)
        check(f"{name} {taps[0]} alone equals it among others",
              relative_error(alone[taps[0]], found[taps[0]]) < F32_TOLERANCE)


def check_rows_are_independent(way, name, size, taps, precision):
    """The same bits alone, in any place of any batch, on any number of threads."""
    images = pixels(35, size)
    order = np.random.default_rng(1).permutation(len(images))
    with tempfile.TemporaryDirectory() as folder:
        def features(images, *options):
            return run_by(way, folder, name, images, taps, "--precision", precision, *options)[1]
        base = features(images, "--batch", "32")
        for batch, threads in ((32, 1), (32, 3), (16, 2), (17, 2), (64, 2)) if IS_LONG else ((17, 1), (64, 3)):
            other = features(images, "--batch", str(batch), "--threads", str(threads))
            check(f"{name} {precision} by {way} the same bits with batch {batch} on {threads} threads",
                  all(np.array_equal(base[tap], other[tap]) for tap in taps))
        shuffled = features(images[order], "--batch", "32")
        check(f"{name} {precision} by {way} the same bits in another order",
              all(np.array_equal(base[tap][order], shuffled[tap]) for tap in taps))


def run_by(way, *arguments, **environment):
    """run() by the C engine or by libtorch."""
    before = dict(os.environ)
    os.environ.update(environment, PF_ENGINE="libtorch" if way != ENGINE else "")
    result = run(TOOL, *arguments)
    os.environ.clear()
    os.environ.update(before)
    return result


def run_with_convolutions(way, *arguments):
    """The features by the engine, or by libtorch where PF_CONVOLUTIONS asks for a way of computing them."""
    return run_by(way, *arguments)[1] if way == ENGINE else run_by("libtorch", *arguments, PF_CONVOLUTIONS=way)[1]


def check_close(label, found, expected):
    for tap in expected:
        error = relative_error(found[tap], expected[tap])
        check(f"{label}: {tap}", error < 2e-5, f"relative error {error:.1e}")


def convolutions_by_libtorch(way, size, name, taps):
    """How many convolutions of 16 images libtorch has its oneDNN do on one pass, as that library itself tells."""
    with tempfile.TemporaryDirectory() as folder:
        pixels(16, size).tofile(f"{folder}/pixels")
        done = subprocess.run([TOOL, "--batch", "16", name, f"{folder}/pixels", str(size), ",".join(taps), f"{folder}/out"],
                              env={**os.environ, "ONEDNN_VERBOSE": "1", "PF_ENGINE": "libtorch", "PF_CONVOLUTIONS": way}, capture_output=True, text=True)
    return sum(",convolution," in line and "mb16_" in line and line.rstrip()[-1:].isdigit() and ",exec," in line
               for line in done.stdout.splitlines())


def check_counts(size):
    """No convolution is computed twice when sums move into the one before them."""
    network = (size, "resnet18", ["avgpool"])
    plain = convolutions_by_libtorch("libtorch", *network)
    check("libtorch does the 20 convolutions of a ResNet-18", plain == 20, f"{plain}")
    joined = convolutions_by_libtorch("gpu", *network)
    check("and 20 joined as for a GPU", joined == 20, f"{joined}")
    if has_avx2():
        rest = convolutions_by_libtorch("", *network)
        check("and 1, that of three channels, beside our own", rest == 1, f"{rest}")


class ReadsSums(torch.nn.Module):
    """Maps into whose memory a sum must not go: the convolution reads them itself; another does, which moves behind the sum
    with a sum of its own."""
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(3, 16, 3, padding=1)
        self.itself = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.other = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.later = torch.nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x):
        y = self.first(x)
        y = y + self.itself(y)
        other, later = self.other(self.second(x)), self.later(y)
        return later + (y + other)


def check_module(label, module, images, folder):
    """A TorchScript network of ours; the path of its file in the folder."""
    path, module = f"{folder}/network.pt", torch.jit.script(module.eval())
    module.save(path)
    _, found, _ = run(TOOL, folder, path, images, ["output"])
    with torch.no_grad():
        check_close(label, found, {"output": module(normalised(images)).numpy()})
    return path


def check_read_sums(size):
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        path = check_module("sums whose operands are read", ReadsSums(), pixels(16, size), folder)
        if has_avx2():
            plain = convolutions_by_libtorch("libtorch", size, path, ["output"])
            rest = convolutions_by_libtorch("", size, path, ["output"])
            check("and three of five convolutions are our own", 5 * rest == 2 * plain, f"{rest} of {plain} by libtorch")


class Pools(torch.nn.Module):
    """Max pools that are ours, and what is left to libtorch: rounded up, dilated, of three channels."""
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 32, 3, padding=1)

    def forward(self, x):
        pool = torch.nn.functional.max_pool2d
        y = self.first(pool(x, 2))
        parts = [pool(y, 3, 2, 1), pool(y, 2), pool(y, [3, 1], [1, 2], [1, 0]), pool(y, 3, 2, 0, ceil_mode=True),
                 pool(y, 3, 1, 1, 2)]
        return torch.cat([part.flatten(1) for part in parts], 1)


def check_pools(size):
    torch.manual_seed(4)
    with tempfile.TemporaryDirectory() as folder:
        check_module("max pools", Pools(), pixels(5, size), folder)


def has_avx2():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        return {"avx2", "fma"} <= set(info.read().split())


def check_ways(name, size, taps):
    """Our own convolutions, with residual sums and ReLUs inside, against libtorch's, and sums and ReLUs inside
    convolutions as cuDNN computes them, here by libtorch: close, but not the same bits, or they would not have been used."""
    images = pixels(20, size)
    with tempfile.TemporaryDirectory() as folder:
        network = (folder, name, images, taps, "--weights", save_weights(random_model(name), folder))
        plain = run_with_convolutions("libtorch", *network)
        found = {way: run_with_convolutions(way, *network) for way in ("", "gpu")}
        for way, features in found.items():
            check_close(f"{name} computed as '{way}'", features, plain)
        if "resnet" in name:
            check(f"{name}: sums were joined", any(not np.array_equal(found["gpu"][tap], plain[tap]) for tap in taps))
        for tap in taps if has_avx2() else []:
            check(f"{name} {tap} is not by libtorch", not np.array_equal(found[""][tap], plain[tap]))


def check_bf16(name, size, taps):
    model, images = random_model(name), pixels(4, size)
    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(model, folder)
        done, found, shapes = run(TOOL, folder, name, images, taps, "--weights", weights,
                                  "--precision", "bf16")
        if has_bf16():
            compare(f"bf16 {name}", found, shapes, reference(model, images, taps), BF16_TOLERANCE)
        else:
            check("bf16 without instructions for it is refused", "avx512_bf16" in done.stderr)


def check_emulated_bf16(name, size, taps):
    """Like bf16 instructions but for the order of sums, which rounding may make a step of one
    part in 256 of; on any processor. By the engine as by libtorch, of which oneDNN is made to believe that the processor has
    AVX2 alone."""
    images = pixels(4, size)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--precision", "bf16", "--emulate"]
        _, single, _ = run_by(ENGINE, folder, name, images, taps)
        _, emulated, _ = run_by(ENGINE, folder, name, images, taps, *options)
        _, elsewhere, _ = run_by("libtorch", folder, name, images, taps, *options, ONEDNN_MAX_CPU_ISA="AVX2")
        for tap in taps:
            error = relative_error(emulated[tap], single[tap])
            check(f"emulated bf16 {name} {tap} is bf16", 1e-3 < error < BF16_TOLERANCE,
                  f"relative error {error:.1e}")
            bits = emulated[tap].astype(np.float32).view(np.uint32)
            check(f"emulated bf16 {name} {tap} holds numbers of bf16", not np.any(bits & 0xffff))
            check(f"emulated bf16 {name} {tap} is libtorch's", cosine(emulated[tap], elsewhere[tap]) > 0.99998,
                  f"cosine {cosine(emulated[tap], elsewhere[tap]):.6f}")
        if has_bf16():  # by libtorch's oneDNN, which uses the instructions
            _, native, _ = run_by("libtorch", folder, name, images, taps, "--precision", "bf16", PF_CONVOLUTIONS="libtorch")
            for tap in taps:
                check(f"bf16 {name} {tap} by instructions are other bits", not np.array_equal(emulated[tap], native[tap]))
                check(f"emulated bf16 {name} {tap} is the processor's",
                      cosine(emulated[tap], native[tap]) > 0.99998)


def cosine(a, b):
    """The smallest of the rows'."""
    a, b = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    return ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()


def broken(model, tensor, value):
    """The model's tensors but those of VGG's large layers, which no tap needs; one number of one is another."""
    state = {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("classifier")}
    state[tensor].view(-1)[5] = value
    model.load_state_dict(state, strict=False)
    return state


def check_not_finite(name, tensor, value, taps):
    """A network with a broken number says so: what is NaN or infinite by torch is not finite by any way of computing. It may
    spread further (Winograd's sums are of whole tiles), but not in the taps of the first convolution, whose rest is right."""
    model, images = random_model(name), pixels(2, 32)
    ways = [(ENGINE, []), (ENGINE, ["--precision", "bf16", "--emulate"]), ("", []), ("libtorch", []), ("gpu", []), ("", ["--precision", "bf16", "--emulate"])]
    ways += [("libtorch", ["--precision", "bf16"])] if has_bf16() else []
    with tempfile.TemporaryDirectory() as folder:
        torch.save(broken(model, tensor, value), f"{folder}/weights.pth")
        expected = {tap: values.numpy().reshape(len(images), -1) for tap, values in reference(model, images, taps).items()}
        check(f"{name} with {tensor} {value:g} is not finite by torch", value == -INFINITY or not np.isfinite(expected[taps[-1]]).all())
        for way, options in ways:
            found = run_with_convolutions(way, folder, name, images, taps, "--weights", f"{folder}/weights.pth", *options)
            label = f"{name} with {tensor} {value:g} by '{way}' {' '.join(options)}"
            for tap in taps:
                lost = ~np.isfinite(expected[tap]) & np.isfinite(found[tap])
                check(f"{label}: {tap} is not finite where torch's is not", not lost.any(), f"{lost.sum()} of {lost.size}")
            first, exact = found[taps[0]], expected[taps[0]]
            good = np.isfinite(exact)
            close = np.abs(first[good] - exact[good]).max(initial=0) < (BF16_TOLERANCE if options else F32_TOLERANCE) * np.abs(exact[good]).max(initial=1)
            check(f"{label}: {taps[0]} is torch's", close and np.array_equal(np.isnan(first), np.isnan(exact)))


def check_half_storage():
    images = pixels(3, 64)
    with tempfile.TemporaryDirectory() as folder:
        _, single, _ = run(TOOL, folder, "resnet18_w16", images, ["layer2"])
        _, half, _ = run(TOOL, folder, "resnet18_w16", images, ["layer2"], "--store", "f16")
        check("f16 is f32 rounded to nearest even",
              np.array_equal(single["layer2"].astype(np.float16), half["layer2"]))


def check_refusals():
    images = pixels(1, 32)
    for what, options, part in (
            ("an unknown tap", {"taps": ["layer5"]}, "layer5"),
            ("an image that becomes empty", {"name": "vgg11", "images": pixels(1, 16)}, "features"),
            ("fp16 on the CPU", {"options": ["--precision", "fp16"]}, "bf16 or fp32"),
            ("tf32 on the CPU", {"options": ["--precision", "tf32"]}, "fp32 or bf16"),
            ("an unknown device", {"options": ["--device", "gpu"]}, "unknown device 'gpu'")):
        with tempfile.TemporaryDirectory() as folder:
            done, _, _ = run(TOOL, folder, options.get("name", "resnet18_w16"),
                             options.get("images", images), options.get("taps", ["avgpool"]),
                             *options.get("options", []))
            check(f"{what} is refused", done.returncode in (1, 2) and part in done.stderr)


check_network("resnet18", 224 if IS_LONG else 128, 7, ["avgpool", "layer3", "conv1", "bn1", "relu", "layer1.0.bn2",
                                   "layer1.0.add", "layer1.1.bn1", "layer2.0.downsample.1", "flatten", "fc"])
check_network("resnet50", 128 if IS_LONG else 64, 3, ["avgpool", "layer3", "layer1.0.relu", "layer4.2.conv3"])
check_network("vgg16" if IS_LONG else "vgg11", 96, 3, ["avgpool", "features", "features.5", "classifier.3"])
check_network("vgg11_bn", 224 if IS_LONG else 64, 2, ["features", "avgpool", "features.1", "features.2"])
check_ways("resnet18", 96, ["avgpool", "layer1.0.bn1", "layer3.0.add", "layer2.0.downsample.1"])
if IS_LONG:
    check_ways("resnet50", 64, ["layer2", "layer4"])
check_ways("resnet50", 64, ["layer1.0", "layer2.1", "layer4.1"])  # into whose memory no sum may go
check_ways("vgg11", 64, ["features.5", "avgpool"])
check_counts(96)
check_read_sums(48)
check_pools(44)  # maps of more than one piece
check_bf16("resnet18", 128, ["avgpool", "layer3"])
check_emulated_bf16("resnet18", 96, ["avgpool", "layer2"])
for way, precision in [(ENGINE, "fp32"), ("libtorch", "fp32")] + [("libtorch", "bf16")] * has_bf16():
    check_rows_are_independent(way, "resnet18_w16", 96, ["avgpool", "layer2"], precision)
    if IS_LONG:
        check_rows_are_independent(way, "vgg11", 32, ["avgpool", "classifier.3"], precision)
NAN, INFINITY = float("nan"), float("inf")
check_not_finite("resnet18", "conv1.weight", NAN, ["relu", "maxpool", "layer1", "avgpool"])
check_not_finite("resnet18", "bn1.bias", INFINITY, ["relu", "maxpool", "avgpool"])
check_not_finite("resnet18", "layer2.0.conv1.weight", NAN, ["relu", "layer2.0.relu", "layer2.0.relu_1", "avgpool"])
check_not_finite("vgg11_bn", "features.0.weight", NAN, ["features.2", "avgpool"])
check_not_finite("vgg11", "features.0.bias", -INFINITY, ["features.1"])  # 0 behind the ReLU
check_half_storage()
check_refusals()
finish()
