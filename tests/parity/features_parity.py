"""Features of the torch room against torchvision's on the same weights.

usage: features_parity.py RUN_BACKBONE

Float32 features must agree to a relative error (largest difference over the
largest value) of 1e-4: both sum in float32, in other orders, over up to a
hundred layers. bf16 has 8 bits of mantissa and rounds after every layer: 0.04.
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
    from torchvision.models.feature_extraction import create_feature_extractor
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

RUN_BACKBONE = sys.argv[1]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
F32_TOLERANCE, BF16_TOLERANCE = 1e-4, 0.04
failures = 0


def check(what, good, detail=""):
    global failures
    print(f"{'ok  ' if good else 'FAIL'} {what} {detail}", flush=True)
    failures += not good


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


def pixels(n, size):
    """Smooth images with noise, as photographs are."""
    generator = np.random.default_rng(n * 1000 + size)
    coarse = generator.integers(0, 256, (n, 4, 4, 3)).repeat(size // 4, 1).repeat(size // 4, 2)
    noise = generator.integers(-40, 40, (n, size, size, 3))
    return np.clip(coarse + noise, 0, 255).astype(np.uint8)


def normalised(images):
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div(255)
    return torchvision.transforms.functional.normalize(scaled, MEAN, STD)


def run(folder, backbone, images, taps, *options):
    """What the tool writes for each tap, (n, -1), and the shapes that it prints."""
    size = images.shape[1]
    source, output = os.path.join(folder, "pixels"), os.path.join(folder, "features")
    images.tofile(source)
    command = [RUN_BACKBONE, *options, "--threads", "2", backbone, source, str(size),
               ",".join(taps), output]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    shapes = dict(line.split("\t") for line in done.stdout.splitlines())
    dtype = np.float16 if "f16" in options else np.float32
    features = {tap: np.fromfile(f"{output}.{tap}", dtype).reshape(len(images), -1)
                for tap in shapes}
    return features, shapes


def relative_error(found, expected):
    return np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max()


def reference(model, images, taps):
    with torch.inference_mode():
        outputs = create_feature_extractor(model, {tap: tap for tap in taps})(normalised(images))
    return {tap: output.numpy() for tap, output in outputs.items()}


def compare(label, found, shapes, expected, tolerance):
    for tap, values in expected.items():
        error = relative_error(found[tap], values.reshape(len(values), -1))
        shape = tuple(values.shape[1:])
        stored = shape[:1] if shape[1:] == (1, 1) else shape
        text = "(" + ",".join(map(str, stored)) + ")"
        check(f"{label} {tap} {text}", error < tolerance and shapes[tap] == text,
              f"relative error {error:.1e}")


def check_network(name, size, n, taps):
    model, images = random_model(name), pixels(n, size)
    expected = reference(model, images, taps)
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, "weights.pth")
        torch.save(model.state_dict(), weights)
        found, shapes = run(folder, name, images, taps, "--weights", weights, "--batch", "5")
        compare(name, found, shapes, expected, F32_TOLERANCE)
        alone, _ = run(folder, name, images, taps[:1], "--weights", weights)
        check(f"{name} {taps[0]} alone equals it among others",
              relative_error(alone[taps[0]], found[taps[0]]) < F32_TOLERANCE)
        return model, expected


NETWORKS = [
    ("resnet18", 224, 7, ["avgpool", "layer3", "conv1", "bn1", "relu", "layer1.0.bn2",
                          "layer1.0.add", "layer2.0.downsample.1", "flatten", "fc"]),
    ("resnet50", 128, 3, ["avgpool", "layer3", "layer1.0.relu", "layer4.2.conv3"]),
    ("vgg16", 96, 3, ["avgpool", "features", "features.5", "classifier.3"]),
    ("vgg11_bn", 224, 2, ["features", "avgpool", "features.1", "features.2"]),
]

for network in NETWORKS:
    check_network(*network)
print(f"{failures} failures")
sys.exit(failures != 0)
