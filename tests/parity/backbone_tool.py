"""What the tests of the plugin share: pixels, run_backbone, comparisons."""
import os
import subprocess
import sys

import numpy as np
import torch
import torchvision

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
passes = failures = 0
left_out = []
# The exhaustive variants of a test, which the daily run replaces by smaller ones that can still fail.
IS_LONG = bool(os.environ.get("PF_LONG"))


def check(what, good, detail=""):
    global passes, failures
    print(f"{'ok  ' if good else 'FAIL'} {what} {detail}", flush=True)
    passes += bool(good)
    failures += not good


def attempt(what, compare):
    """A network that its own library refuses does not keep others from being compared."""
    try:
        compare()
    except Exception as reason:  # whatever it is, it is a failure
        check(f"{what} is compared", False, f"{type(reason).__name__}: {reason}")


def leave_out(what, why):
    """What a test does not compare is said in its last lines."""
    left_out.append(f"{what}: {why}")


def finish():
    print(f"{passes} ok, {failures} failed, {len(left_out)} left out{':' if left_out else ''}")
    for line in left_out:
        print(f"  {line}")
    sys.exit(failures != 0)


def pixels(n, size):
    """Smooth images with noise, as photographs are: uint8 (n, size, size, 3)."""
    generator = np.random.default_rng(n * 1000 + size)
    coarse = generator.integers(0, 256, (n, 4, 4, 3)).repeat(size // 4, 1).repeat(size // 4, 2)
    noise = generator.integers(-40, 40, (n, size, size, 3))
    return np.clip(coarse + noise, 0, 255).astype(np.uint8)


def normalised(images):
    """What torchvision's ToTensor and Normalize make of them."""
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div(255)
    return torchvision.transforms.functional.normalize(scaled, MEAN, STD)


def random_model(name):
    """Seeded weights; batch norms with statistics that folding has to get right."""
    torch.manual_seed(7)
    model = getattr(torchvision.models, name)()
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False  # else a tap before it would show its result
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.2)
            module.bias.data.normal_(0, 0.2)
    return model.eval()


def save_weights(model, folder):
    path = os.path.join(folder, "weights.pth")
    torch.save(model.state_dict(), path)
    return path


def has_bf16():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        return "avx512_bf16" in info.read()


def run(tool, folder, backbone, images, taps, *options):
    """Runs the tool: its exit code and stderr, features (n, -1) and shapes by tap."""
    source, output = os.path.join(folder, "pixels"), os.path.join(folder, "features")
    images.tofile(source)
    done = subprocess.run([tool, "--threads", "2", *options, backbone, source,
                           str(images.shape[1]), ",".join(taps), output],
                          capture_output=True, text=True)
    shapes = dict(line.split("\t") for line in done.stdout.splitlines())
    dtype = np.float16 if "f16" in options else np.float32
    features = {tap: np.fromfile(f"{output}.{tap}", dtype).reshape(len(images), -1)
                for tap in shapes}
    if done.returncode:
        print(done.stderr.strip())
    return done, features, shapes


def relative_error(found, expected):
    """The largest difference over the largest value."""
    expected = np.asarray(expected, np.float64).reshape(len(expected), -1)
    return np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max()


def shape_text(tensor):
    """As the tool prints it: without the batch, trailing 1x1 dropped."""
    shape = tuple(tensor.shape[1:])
    shape = shape[:1] if shape[1:] == (1, 1) else shape
    return "(" + ",".join(map(str, shape)) + ")"
