#!/usr/bin/env python3
"""Features and gradients behind a cut against torch's own, on the same weights and rows.

usage: suffix_parity.py RUN_SUFFIX DOCS_BACKBONES_MD

Errors are the largest difference over the largest value of a tensor: 1e-5 for features, sums
of a few layers, and 1e-4 for gradients.
"""
import copy
import os
import re
import runpy
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
    from backbone_tool import IS_LONG, MEAN, STD, check, finish, has_bf16, random_model, save_weights, shape_text
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL, DOCUMENT = map(os.path.abspath, sys.argv[1:3])
RATE = 1e-3  # of the step that the tool takes
F32 = {"features": 1e-5, "gradients": 1e-4}
BF16 = {"features": 0.04, "gradients": 0.2}
SEED = 5


class Run:
    """What the tool makes of rows (n, ...) and derivatives (n, ...)."""

    def __init__(self, folder, backbone, size, cut, output, rows, derivative, *options):
        paths = [os.path.join(folder, name) for name in ("rows", "derivative", "result")]
        np.asarray(rows, np.float32).tofile(paths[0])
        np.asarray(derivative, np.float32).tofile(paths[1])
        self.done = subprocess.run(
            [TOOL, "--rate", str(RATE), "--seed", str(SEED), *options, backbone, str(size), cut,
             output, *paths], capture_output=True, text=True)
        self.path = paths[2]
        self.error = self.done.stderr.strip()
        lines = [line.split("\t") for line in self.done.stdout.splitlines()]
        self.shapes = {line[0]: line[1] for line in lines}
        self.kinds = {line[0]: line[2:] for line in lines if len(line) == 4}

    def names(self, kind):
        return [name for name, kinds in self.kinds.items() if kind in kinds]

    def read(self, name):
        return np.fromfile(f"{self.path}.{name}", np.float32)


class Reference:
    """torch's own: the output of `cut` replaced by the rows, so that nothing before it matters."""

    def __init__(self, model, cut, output, size):
        self.model, self.size, self.rows, self.features = model, size, None, None
        self.is_whole = cut == "input"
        if not self.is_whole:
            model.get_submodule(cut).register_forward_hook(self.put_rows)
        model.get_submodule(output).register_forward_hook(self.take_features)

    def put_rows(self, _module, _inputs, result):
        if self.rows is None:
            self.cut_shape = tuple(result.shape[1:])
        return self.rows

    def take_features(self, _module, _inputs, result):
        self.features = result

    def shape(self):
        if self.is_whole:
            return (3, self.size, self.size)
        with torch.no_grad():
            self.model.eval()(torch.zeros(1, 3, self.size, self.size))
        return self.cut_shape

    def run(self, rows):
        if self.is_whole:
            images = torchvision.transforms.functional.normalize(rows / 255, MEAN, STD)
        else:
            self.rows, images = rows, torch.zeros(len(rows), 3, self.size, self.size)
        self.model(images)
        return self.features

    def evaluate(self, rows):
        self.model.eval()
        with torch.no_grad():
            return self.run(rows)

    def learn(self, rows, derivative, train_batch_norm):
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train(train_batch_norm)
        torch.manual_seed(SEED)
        features = self.run(rows)
        features.backward(derivative.view_as(features))
        return features.detach()

    def step(self):
        with torch.no_grad():
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter -= RATE * parameter.grad


def relative(found, expected, least=0):
    expected = np.asarray(expected, np.float64).ravel()
    difference = np.abs(found.astype(np.float64) - expected).max()
    return difference / (max(np.abs(expected).max(), least) or 1)


def worst(run, prefix, tensors):
    """The largest error of the tensors, and whose it is. What is zero but for rounding, as the
    gradient of a bias before batch norm is, is measured by the largest of them all."""
    least = 1e-2 * max(float(tensor.abs().max()) for tensor in tensors.values())
    return max((relative(run.read(prefix + name), tensor.numpy(), least), name)
               for name, tensor in tensors.items())


def check_tensors(label, run, reference):
    """Names, shapes and flags: the parameters that got a gradient, and the norms' statistics."""
    model = reference.model
    learned = {name: tensor for name, tensor in model.named_parameters() if tensor.grad is not None}
    norms = {name.rsplit(".", 1)[0] for name in learned if name.endswith("bias")}
    buffers = {name: tensor for name, tensor in model.named_buffers()
               if name.rsplit(".", 1)[0] in norms and "running" in name}
    check(f"{label}: tensors", set(run.names("parameter")) == set(learned) and
          set(run.names("buffer")) == set(buffers) and
          list(run.kinds) == run.names("parameter") + run.names("buffer"))
    check(f"{label}: shapes", all(
        run.shapes[name] == "(" + ",".join(map(str, tensor.shape)) + ")"
        for name, tensor in {**learned, **buffers}.items()))
    check(f"{label}: weights decay, biases and norms do not",
          set(run.names("decays")) == {name for name in learned if learned[name].dim() > 1})
    return {name: tensor.grad for name, tensor in learned.items()}, buffers


def compare(label, run, reference, rows, derivative, tolerances, train_batch_norm):
    check(f"{label}: runs", run.done.returncode == 0, run.error)
    evaluated = reference.evaluate(rows)
    training = reference.learn(rows, derivative, train_batch_norm)
    gradients, buffers = check_tensors(label, run, reference)
    check(f"{label}: shapes of rows and features",
          run.shapes["input"] == shape_text(rows) and run.shapes["output"] == shape_text(training))
    error = relative(run.read("features"), evaluated)
    check(f"{label}: features", error < tolerances["features"], f"{error:.1e}")
    error = relative(run.read("training"), training)
    check(f"{label}: features while learning", error < tolerances["features"], f"{error:.1e}")
    error, name = worst(run, "gradient.", gradients)
    check(f"{label}: gradients", error < tolerances["gradients"], f"{error:.1e} {name}")
    if buffers:
        error, name = worst(run, "value.", buffers)
        check(f"{label}: running statistics", error < tolerances["features"], f"{error:.1e} {name}")
    reference.step()
    error = relative(run.read("after"), reference.evaluate(rows))
    check(f"{label}: features after a step", error < 2 * tolerances["features"], f"{error:.1e}")


def draw(reference, n, output_shape):
    """Rows as after a ReLU, or pixels; derivatives as a loss has them."""
    generator = torch.Generator().manual_seed(n)
    shape = reference.shape()
    if reference.is_whole:
        rows = torch.randint(0, 256, (n, *shape), generator=generator).float()
    else:
        rows = torch.randn(n, *shape, generator=generator).relu()
    return rows, torch.randn(n, *output_shape, generator=generator) / n


def check_suffix(name, size, cut, output, output_shape, *options, n=6):
    label = " ".join([name, f"{cut}..{output}", *options])
    model = random_model(name)
    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(model, folder)
        reference = Reference(model, cut, output, size)
        rows, derivative = draw(reference, n, output_shape)
        run = Run(folder, name, size, cut, output, rows, derivative, "--weights", weights, *options)
        compare(label, run, reference, rows, derivative, BF16 if "--bf16" in options else F32,
                "--train-batch-norm" in options)


def check_dropout():
    """The seed decides what is dropped, and nothing else does."""
    rows, derivative = torch.rand(3, 512, 1, 1), torch.rand(3, 4096)
    with tempfile.TemporaryDirectory() as folder:
        def training(seed):
            run = Run(folder, "vgg11", 32, "features", "classifier.2", rows, derivative,
                      "--seed", str(seed), "--rate", "0")
            return run.read("training"), run.read("features"), run.read("after")
        first, features, after = training(1)
        check("dropout repeats with its seed", np.array_equal(first, training(1)[0]))
        check("another seed drops others", not np.array_equal(first, training(2)[0]))
        check("half of the features are dropped", 0.4 < np.mean(first[features > 0] == 0) < 0.6)
        check("nothing is dropped in evaluation", np.array_equal(features, after))


def check_refusals():
    rows, derivative = np.zeros(1), np.zeros(1)
    for what, cut, output, part in (
            ("a cut behind the output", "layer4", "layer3", "does not lie behind"),
            ("a cut that is the output", "layer4", "layer4", "does not lie behind"),
            ("a cut with a way around it", "layer4.1.bn2", "avgpool", "takes what comes before it"),
            ("an unknown cut", "layer5", "avgpool", "layer5"),
            ("an unknown output", "layer3", "pool", "pool"),
            ("a part without parameters", "layer4", "avgpool", "no parameters"),
            ("an unknown device", "layer3", "avgpool", "unknown device 'gpu'")):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--device", "gpu"] if "device" in what else []
            run = Run(folder, "resnet18_w16", 32, cut, output, rows, derivative, *options)
            check(f"{what} is refused", run.done.returncode in (1, 2) and part in run.error,
                  run.error)


class Trunk(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.conv = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)
        self.unused = torch.nn.Linear(3, 3)
        self.last = torch.nn.Linear(8, 5)

    def forward(self, x):
        maps = torch.relu(self.stem(x))
        return {"maps": maps, "pooled": self.forward_from_maps(maps)}

    @torch.jit.export
    def forward_from_maps(self, maps):
        if maps.sum() > 1e9:  # never
            maps = self.unused(maps)
        return self.last(torch.relu(self.norm(self.conv(maps))).mean((2, 3)))


class NoMethod(Trunk):
    def forward(self, x):
        maps = torch.relu(self.stem(x))
        return {"maps": maps, "pooled": maps.mean((2, 3))}

    def forward_from_maps(self, maps):
        return maps


class OtherValues(Trunk):
    def forward(self, x):
        maps = torch.relu(self.stem(x))
        return {"maps": maps, "pooled": 2 * self.forward_from_maps(maps)}


def check_user_module():
    torch.manual_seed(3)
    model = Trunk().eval()
    rows, derivative = torch.rand(4, 8, 12, 12), torch.randn(4, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        torch.jit.script(model).save(path)
        for options in ["--train-batch-norm"], ["--reopen"]:
            run = Run(folder, path, 12, "maps", "pooled", rows, derivative, *options)
            check(f"own module {options} runs", run.done.returncode == 0, run.error)
            check("own module: what its method uses", set(run.names("parameter")) == {
                "conv.weight", "norm.weight", "norm.bias", "last.weight", "last.bias",
                "unused.weight", "unused.bias"})
            again = torch.jit.load(path).train()
            again.norm.train("--train-batch-norm" in options)
            features = again.forward_from_maps(rows)
            features.backward(derivative)
            error = relative(run.read("training"), features.detach())
            check("own module: features", error < 1e-5, f"{error:.1e}")
            unused = run.read("gradient.unused.weight")
            check("own module: a parameter without gradient has zeros", not unused.any())
            grads = {name: tensor.grad for name, tensor in again.named_parameters()
                     if tensor.grad is not None}
            error, name = worst(run, "gradient.", grads)
            check("own module: gradients", len(grads) == 5 and error < 1e-4, f"{error:.1e} {name}")
            error = relative(run.read("value.norm.running_var"), again.norm.running_var)
            check("own module: running statistics", error < 1e-5, f"{error:.1e}")


class Shapes(torch.nn.Module):
    """Convolutions of every kind on maps of odd sizes: those that common/conv computes, and those
    that it leaves to libtorch."""

    def __init__(self):
        super().__init__()
        conv = torch.nn.Conv2d
        self.stem = conv(3, 16, 3)
        self.layers = torch.nn.Sequential(
            conv(16, 32, 3, padding=1), conv(32, 48, 3, padding=1, bias=False), conv(48, 48, 3, padding=2, dilation=2),
            conv(48, 32, (1, 3), padding=(0, 1)), conv(32, 32, 3, padding=1, groups=2), conv(32, 64, 3, stride=2, padding=1),
            conv(64, 64, 5, padding=2), conv(64, 24, 3, padding="same"), conv(24, 32, 3, padding=1), conv(32, 144, 1),
            conv(144, 160, 3, padding=1), conv(160, 16, 2, stride=(1, 2)))

    def forward(self, x):
        maps = torch.relu(self.stem(x))
        return {"maps": maps, "last": self.forward_from_maps(maps)}

    @torch.jit.export
    def forward_from_maps(self, maps):
        return self.layers(maps)


def check_shapes():
    """Against double precision, with our convolutions and with libtorch's: neither is off by more than
    the other may be, and they are not the same bits, as two ways of computing one thing are not."""
    torch.manual_seed(6)
    model = Shapes().eval()
    rows = torch.randn(5, 16, 27, 27).relu()
    exact = copy.deepcopy(model).double()
    features = exact.forward_from_maps(rows.double())
    derivative = torch.randn(features.shape)
    features.backward(derivative.double())
    gradients = {name: tensor.grad for name, tensor in exact.named_parameters() if tensor.grad is not None}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        torch.jit.script(model).save(path)
        for label, way in ("ours", ""), ("libtorch's", "libtorch"):
            os.environ["PF_CONVOLUTIONS"] = way
            run = Run(folder, path, 29, "maps", "last", rows.flatten(1), derivative)
            check(f"shapes, {label}: runs", run.done.returncode == 0, run.error)
            error = relative(run.read("training"), features.detach())
            check(f"shapes, {label}: features", error < F32["features"], f"{error:.1e}")
            error, name = worst(run, "gradient.", gradients)
            check(f"shapes, {label}: gradients", len(gradients) == 23 and error < F32["gradients"], f"{error:.1e} {name}")
            found[label] = {name: run.read("gradient." + name) for name in gradients}
        del os.environ["PF_CONVOLUTIONS"]
    same = [name for name in gradients if np.array_equal(found["ours"][name], found["libtorch's"][name])]
    check("shapes: convolutions are ours", len(same) < 4, str(same))


class OnlyOurs(Shapes):
    def __init__(self):
        super().__init__()
        conv, relu = torch.nn.Conv2d, torch.nn.ReLU
        self.layers = torch.nn.Sequential(conv(16, 32, 3, stride=2, padding=1, bias=False), relu(),
                                          conv(32, 144, 3, padding=1, bias=False), relu(), conv(144, 16, 5, bias=False))


def check_threads():
    """What our convolutions make does not depend on how many threads make it."""
    torch.manual_seed(7)
    model = OnlyOurs().eval()
    rows = torch.randn(5, 16, 27, 27).relu()
    derivative = torch.randn(model.forward_from_maps(rows).shape)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        torch.jit.script(model).save(path)

        def learn(threads):
            run = Run(folder, path, 29, "maps", "last", rows.flatten(1), derivative, "--threads", str(threads))
            return [run.read(name) for name in ("training", *(f"gradient.layers.{i}.weight" for i in (0, 2, 4)))]
        alone, three = learn(1), learn(3)
        check("the same bits on one thread and on three", all(map(np.array_equal, alone, three)))


def check_bad_modules():
    rows, derivative = np.zeros(8 * 144), np.zeros(5)
    for module, cut, part in ((NoMethod, "maps", "forward_from_maps()"),
                              (OtherValues, "maps", "is not what forward() returns"),
                              (Trunk, "map", "forward_from_map()")):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.pt")
            torch.jit.script(module().eval()).save(path)
            run = Run(folder, path, 12, cut, "pooled", rows, derivative)
            check(f"{module.__name__} at '{cut}' is refused",
                  run.done.returncode == 1 and part in run.error, run.error)


def check_replaced_tensors():
    """Tensors given beside the file take the place of its own."""
    torch.manual_seed(4)
    model, other = Trunk().eval(), Trunk().eval()
    rows, derivative = torch.rand(4, 8, 12, 12), torch.randn(4, 5)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        path, weights = os.path.join(folder, "model.pt"), os.path.join(folder, "weights.pth")
        torch.jit.script(model).save(path)
        torch.save({"conv.weight": other.conv.weight.data}, weights)
        run = Run(folder, path, 12, "maps", "pooled", rows, derivative, "--weights", weights)
        model.conv.weight.copy_(other.conv.weight)
        error = relative(run.read("features"), model.forward_from_maps(rows))
        check("own module: another tensor in its place", error < 1e-5, f"{error:.1e}")
        torch.save({"conv.weight": torch.zeros(8, 8)}, weights)
        run = Run(folder, path, 12, "maps", "pooled", rows, derivative, "--weights", weights)
        check("own module: one of another shape is refused",
              run.done.returncode == 1 and "'conv.weight' is (8,8,3,3)" in run.error, run.error)


def check_document():
    """The documentation's network that can be fine-tuned."""
    with open(DOCUMENT, encoding="utf-8") as file:
        code = re.findall(r"```python\n(.*?)```", file.read(), re.S)[1]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("snippet.py", "w", encoding="utf-8") as file:
            file.write(code)  # torch.jit.script reads the source back
        model = runpy.run_path("snippet.py", run_name="snippet")["model"]
        with torch.no_grad():
            maps = model(torch.rand(2, 3, 64, 64))["maps"]
        run = Run(folder, "./tunable.pt", 64, "maps", "pooled", maps, torch.randn(2, 576))
        check("the documentation's network can learn", run.done.returncode == 0 and
              all(name.startswith("last.") for name in run.kinds), run.error)
        with torch.no_grad():
            error = relative(run.read("features"), model.forward_from_maps(maps))
        check("the documentation's network: features", error < 1e-5, f"{error:.1e}")
        os.chdir("/")


class QuarterResNet(torchvision.models.ResNet):
    """A ResNet-18 with a quarter of the channels, under the same names."""

    def __init__(self):
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=10)
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 16, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(16)
        self.fc = torch.nn.Linear(128, 10)

    def _make_layer(self, block, planes, *rest, **named):
        self.inplanes = 16 if planes == 64 else self.inplanes
        return super()._make_layer(block, planes // 4, *rest, **named)


torchvision.models.resnet18_w16 = QuarterResNet
check_suffix("resnet18_w16", 96, "layer3", "avgpool", (128,))
check_suffix("resnet18_w16", 96, "layer3", "avgpool", (128,), "--train-batch-norm")
check_suffix("resnet18_w16", 96, "layer3", "fc", (10,), n=65)  # more than one pass
check_suffix("resnet18_w16", 32, "input", "avgpool", (128,), "--train-batch-norm")
check_suffix("resnet18_w16", 32, "layer3.0", "layer4.0", (128, 1, 1))
SIZE = 224 if IS_LONG else 96
check_suffix("resnet18", SIZE, "layer3", "avgpool", (512,), "--threads", "1")
check_suffix("resnet18", SIZE, "layer3", "avgpool", (512,), "--train-batch-norm", n=2)
if IS_LONG:
    check_suffix("resnet18", 224, "layer4.0", "layer4", (512, 7, 7), n=2)
check_suffix("resnet50", 64, "layer4.0", "avgpool", (2048,), n=4)
check_suffix("vgg11_bn", 64, "features.14", "features", (512, 2, 2), "--train-batch-norm")
check_suffix("vgg16" if IS_LONG else "vgg11", 64, "features.23" if IS_LONG else "features.15", "classifier.5", (4096,), n=2)  # with dropout
if has_bf16():
    check_suffix("resnet18", 224, "layer3", "avgpool", (512,), "--bf16", n=4)
if torch.cuda.is_available():
    check_suffix("resnet18", 224, "layer3", "avgpool", (512,), "--device", "cuda")
    check_suffix("resnet18", 224, "layer3", "avgpool", (512,), "--device", "cuda", "--train-batch-norm")
    check_suffix("resnet18", 224, "layer3", "avgpool", (512,), "--device", "cuda", "--bf16", n=4)
check_dropout()
check_user_module()
check_shapes()
check_threads()
check_replaced_tensors()
check_document()
check_bad_modules()
check_refusals()
finish()
