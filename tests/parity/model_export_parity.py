"""predict --export: exported models predict the same in other programs.

Features come from torchvision's own networks, heads from train, the probabilities that are
compared with from predict on the cached features. The state dict must load with strict=True in
torchvision and give them within 1e-5; the ONNX file in OpenCV (another runtime than ours) within
1e-4; the TorchScript module within 1e-5.

model_export_parity.py BUILD_DIR
"""
import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import h5py
    import numpy as np
    import torch
    import torchvision
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)
try:
    import cv2
except ImportError:
    cv2 = None
try:
    import onnxruntime
except ImportError:
    onnxruntime = None
try:
    import onnx
    from onnx import numpy_helper
except ImportError:
    onnx = None

from backbone_tool import IS_LONG, MEAN, STD, check, finish, normalised, pixels

BUILD = Path(sys.argv[1])
SAMPLE = Path(__file__).resolve().parents[1] / "sample/resnet18_w16.safetensors"
PLUGIN = Path(os.environ.get("PERMAFROST_PLUGIN", BUILD / "lib/permafrost/permafrost_torch.so"))
ROWS = 48
# OpenCV 4.6 cannot divide rows by a column, which these heads do, nor multiply maps of several images by one number for
# each channel; it does not know what makes tokens of maps.
CANNOT = ("resnet18_w16-l2", "resnet18_w16-layer", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "vit_b_32", "swin_t",
          "vgg11_bn-small")


def run(program, *arguments):
    done = subprocess.run([BUILD / "bin" / program, *map(str, arguments)], capture_output=True, text=True)
    check(f"{program} {Path(arguments[-1]).name}", done.returncode == 0, done.stderr.strip() if done.returncode else "")
    return done.stdout


def read_safetensors(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__", {})
    types = {"F32": torch.float32, "I64": torch.int64, "F16": torch.float16}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[start + begin:start + end]), dtype=types[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors, metadata


def write_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(t.numpy().tobytes() for t in tensors.values()))


class NarrowResNet18(torchvision.models.ResNet):
    """A quarter of the usual width."""

    def __init__(self, num_classes=10):
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2])
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, torch.nn.Conv2d):
                    setattr(module, name, torch.nn.Conv2d(
                        3 if child.in_channels == 3 else child.in_channels // 4, child.out_channels // 4,
                        child.kernel_size, child.stride, child.padding, bias=False))
                if isinstance(child, torch.nn.BatchNorm2d):
                    setattr(module, name, torch.nn.BatchNorm2d(child.num_features // 4))
        self.fc = torch.nn.Linear(128, num_classes)


def with_statistics(model):
    """Batch norms that do something, as after training."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(7)
    return model.eval()


def targets_of(features):
    """Some that the features tell: classes, two numbers, three labels."""
    generator = np.random.default_rng(2)
    x = (features - features.mean(0)) / (features.std(0) + 1e-6)
    directions = generator.standard_normal((features.shape[1], 8)) / np.sqrt(features.shape[1])
    y = x @ directions
    return (y[:, :3].argmax(1).astype("i4"), (20 + 5 * y[:, 3:5]).astype("f4"), (y[:, 5:8] > 0).astype("f4"))


class Case:
    """A network of torchvision's, its weights as a file, a cache of features at a tap."""

    def __init__(self, folder, name, model, tap, features, weights, crop):
        self.folder, self.name, self.model, self.tap, self.features = folder, name, model, tap, features
        self.crop, self.weights, self.cache = crop, weights, folder / f"{name}.h5"
        if not weights.exists():
            torch.save(model.state_dict(), weights)
        self.images = normalised(pixels(3, crop))
        with torch.no_grad():
            own = features(self.images).flatten(1).numpy()
        self.write_cache(own)

    def write_cache(self, own):
        """The images' own features, then varied ones, so that there is something to learn."""
        generator = np.random.default_rng(1)
        spread = own.std() * generator.standard_normal((ROWS - len(own), own.shape[1])).astype("f4")
        rows = np.concatenate([own, own[np.arange(ROWS - len(own)) % len(own)] + spread])
        identity = {"backbone": {"name": self.name, "weights_sha256": hashlib.sha256(self.weights.read_bytes()).hexdigest()},
                    "preprocess": {"resize": self.crop, "crop": self.crop, "squash": False, "interpolation": "bilinear",
                                   "mean": MEAN, "std": STD}, "views": 1, "precision": "fp32", "store": "f32"}
        classes, numbers, labels = targets_of(rows)
        text = h5py.string_dtype()
        with h5py.File(self.cache, "w") as file:
            file.attrs.update({"format": "permafrost-cache", "format_version": 1, "identity": json.dumps(identity),
                               "provenance": json.dumps({"weights_path": str(self.weights)})})
            file[f"features/{self.tap}"] = rows
            for name, kind, values in (("class", "class", classes), ("size", "regression", numbers),
                                       ("tags", "multilabel", labels)):
                file[f"targets/{name}"] = values
                file[f"targets/{name}"].attrs["kind"] = kind
            file.create_dataset("classes/class", data=["ant", 'a "bee"', "wäsp\\"], dtype=text)
            file.create_dataset("classes/tags", data=["x", "y", "z"], dtype=text)
            file.create_dataset("samples/path", data=[f"{i}.jpg" for i in range(ROWS)], dtype=text)

    def train(self, label, *options, normalize="standardize"):
        model = self.folder / f"{self.name}-{label}.safetensors"
        run("train", self.cache, "--epochs", "20", "--val", "0", "--normalize", normalize, "-q", *options, "-o", model)
        return model

    def predicted(self, model):
        """{target: (3, outputs)}, the images' own."""
        metadata = json.loads(read_safetensors(model)[1]["permafrost"])
        top = ["--top", "3"] if any(target["kind"] == "class" for target in metadata["targets"]) else []
        rows = json.loads(run("predict", "--json", "-", *top, "-q", model, self.cache))[:3]
        found = {}
        for target in metadata["targets"]:
            values = [row if len(metadata["targets"]) == 1 and target["kind"] == "class" else row[target["name"]]
                      for row in rows]
            if target["kind"] == "class":
                values = [[{top["label"]: top["probability"] for top in v["top"]}[c] for c in target["classes"]]
                          for v in values]
            elif target["kind"] == "multilabel":
                values = [[v["probabilities"][c] for c in target["classes"]] for v in values]
            found[target["name"]] = np.array(values, np.float64)
        return found


def compare(what, found, expected, tolerance):
    for name, values in expected.items():
        scale = max(1, np.abs(values).max())
        error = np.abs(found[name] - values).max() / scale if found[name].shape == values.shape else np.inf
        check(f"{what}: {name}", error < tolerance, f"{error:.2e}")


def export(model, ending):
    path = model.with_suffix("").with_name(f"{model.stem}-out{ending}")
    run("predict", model, "-q", "--export", path)
    return path


def check_state_dict(case, model, expected, fresh, head):
    tensors, metadata = read_safetensors(export(model, ".safetensors"))
    fresh.load_state_dict(tensors, strict=True)
    with torch.no_grad():
        found = torch.softmax(fresh.eval()(case.images), 1).numpy()
    compare(f"{model.stem} as a state dict", {"class": found}, expected, 1e-5)
    check("  classes and preprocessing are inside", json.loads(metadata["classes"])[1] == 'a "bee"' and
          json.loads(metadata["preprocess"])["crop"] == case.crop and metadata["backbone"] == case.name)
    for name, tensor in case.model.state_dict().items():
        if not name.startswith(head) and not torch.equal(tensors[name].to(tensor.dtype), tensor):
            check(f"  {name} is the network's own", False)


def take(x, starts, ends, axes=None, steps=None):
    axes = torch.arange(len(starts)) if axes is None else axes
    steps = torch.ones_like(starts) if steps is None else steps
    index = [slice(None)] * x.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def padded(x, pads, value=0.0):
    """ONNX names all beginnings, then all ends; torch the last axis first."""
    both = zip(pads.tolist()[:x.dim()], pads.tolist()[x.dim():])
    return torch.nn.functional.pad(x, [size for pair in reversed(list(both)) for size in pair], value=float(value))


def evaluate(graph, image):
    """The graph by the operators' definitions, in float64."""
    values = {t.name: torch.tensor(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    values = {name: value.double() if value.is_floating_point() else value for name, value in values.items()}
    values["image"] = image.double()
    functional = torch.nn.functional
    for node in graph.node:
        x = [values[name] for name in node.input]
        a = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        pads = a.get("pads", [0] * 4)
        assert pads[:2] == pads[2:], "torch pads both sides alike"
        values[node.output[0]] = {
            "Conv": lambda: functional.conv2d(x[0], x[1], x[2] if len(x) > 2 else None, a["strides"], pads[:2], a["dilations"], a["group"]),
            "BatchNormalization": lambda: functional.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=a["epsilon"]),
            "Relu": lambda: x[0].relu(),
            "MaxPool": lambda: functional.max_pool2d(x[0], a["kernel_shape"], a["strides"], pads[:2]),
            "GlobalAveragePool": lambda: x[0].mean((2, 3), keepdim=True),
            "AveragePool": lambda: functional.avg_pool2d(x[0], a["kernel_shape"], a["strides"], pads[:2]),
            "Flatten": lambda: x[0].flatten(1),
            "Gemm": lambda: x[0] @ (x[1].T if a["transB"] else x[1]) + x[2],
            "Add": lambda: x[0] + x[1], "Sub": lambda: x[0] - x[1], "Mul": lambda: x[0] * x[1], "Div": lambda: x[0] / x[1],
            "Sqrt": lambda: x[0].sqrt(), "Erf": lambda: torch.erf(x[0]), "Sigmoid": lambda: x[0].sigmoid(),
            "ReduceMean": lambda: x[0].mean(a["axes"], keepdim=bool(a["keepdims"])),
            "ReduceL2": lambda: x[0].norm(2, a["axes"], keepdim=bool(a["keepdims"])),
            "Softmax": lambda: x[0].softmax(a["axis"]),
            "HardSigmoid": lambda: (a["alpha"] * x[0] + a["beta"]).clamp(0, 1), "Identity": lambda: x[0],
            "MatMul": lambda: x[0] @ x[1], "Concat": lambda: torch.cat(x, a["axis"]),
            "Transpose": lambda: x[0].permute(a["perm"]), "Shape": lambda: torch.tensor(x[0].shape),
            "Reshape": lambda: x[0].reshape([x[0].shape[i] if size == 0 else size for i, size in enumerate(x[1].tolist())]),
            "Slice": lambda: take(*x), "Gather": lambda: x[0][(slice(None),) * a["axis"] + (x[1],)],
            "Pad": lambda: padded(*x), "Expand": lambda: x[0].expand(x[1].tolist()),
        }[node.op_type]()
    return {output.name: values[output.name].numpy() for output in graph.output}


def check_onnx(case, model, expected, tolerance=1e-4):
    path = export(model, ".onnx")
    if onnx:
        loaded = onnx.load(str(path))
        onnx.checker.check_model(loaded, full_check=True)
        described = {p.key: p.value for p in loaded.metadata_props}
        names = [output.name for output in loaded.graph.output]
        shape = [d.dim_param or d.dim_value for d in loaded.graph.input[0].type.tensor_type.shape.dim]
        check(f"{model.stem} as ONNX is valid", names == list(expected) and loaded.opset_import[0].version >= 13 and
              shape == ["batch", 3, case.crop, case.crop] and [t["name"] for t in json.loads(described["targets"])] == names and
              json.loads(described["preprocess"])["crop"] == case.crop, f"{names} {shape}")
        compare(f"{model.stem} by ONNX's definitions", evaluate(loaded.graph, case.images), expected, tolerance)
    if onnxruntime:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for count in (1, 3):
            found = session.run(list(expected), {"image": case.images.numpy()[:count]})
            compare(f"{model.stem} in ONNX Runtime, batch {count}", dict(zip(expected, found)),
                    {n: v[:count] for n, v in expected.items()}, tolerance)
    if not cv2 or model.stem in CANNOT or case.name in CANNOT:
        return
    for count in (1, 3):
        net = cv2.dnn.readNetFromONNX(str(path))
        net.setInput(np.ascontiguousarray(case.images.numpy()[:count]), "image")
        values = net.forward(list(expected))
        found = {name: value.reshape(count, -1) for name, value in zip(expected, values)}
        compare(f"{model.stem} in OpenCV, batch {count}", found, {n: v[:count] for n, v in expected.items()}, tolerance)


def check_torchscript(case, model, expected):
    path = export(model, ".pt")
    module = torch.jit.load(str(path)).eval()
    for count in (1, 3):
        with torch.no_grad():
            values = module(case.images[:count])
        values = values if isinstance(values, dict) else {next(iter(expected)): values}
        compare(f"{model.stem} as TorchScript, batch {count}", {n: v.numpy() for n, v in values.items()},
                {n: v[:count] for n, v in expected.items()}, 1e-5)
    described = json.loads(module.metadata)
    check("  classes and preprocessing are inside", described["preprocess"]["crop"] == case.crop and
          (len(expected) > 1 or list(module.classes) == described.get("classes", [])))


def torchscript_is_there():
    return PLUGIN.exists()


def check_all(case, model, fresh=None, head="fc"):
    expected = case.predicted(model)
    if fresh:
        check_state_dict(case, model, expected, fresh, head)
    check_onnx(case, model, expected)
    if torchscript_is_there():
        check_torchscript(case, model, expected)


def check_heads(case):
    """Every kind of head and target, on the smallest network."""
    both = ("--target", "class,size,tags")
    for label, options in {
            "l2": ("--target", "class"),
            "gelu": ("--target", "class", "--head", "mlp:24x12", "--activation", "gelu", "--dropout", "0.1"),
            "batch": ("--target", "class", "--head", "mlp:24", "--head-norm", "batch"),
            "layer": ("--target", "class", "--head", "mlp:24x12", "--head-norm", "layer"),
            "numbers": ("--target", "size"),
            "labels": ("--target", "tags"),
            "several": both, "several-mlp": (*both, "--head", "mlp:16")}.items():
        check_all(case, case.train(label, *options, normalize="l2" if label == "l2" else "standardize"))


def check_finetuned(case, model):
    """layer4 and the head have been trained further: by hand here, as the file format says."""
    tensors, metadata = read_safetensors(model)
    description = json.loads(metadata["permafrost"])
    torch.manual_seed(9)
    state = dict(case.model.state_dict())
    changed = {name: value + 0.05 * value.abs().mean() * torch.rand_like(value) for name, value in state.items()
               if name.startswith("layer4") and value.is_floating_point()}
    description.update({"version": 2, "finetune": {"node": "layer4", "cut": "layer3", "tensors": list(changed)}})
    description.pop("digest", None)  # of the file before it
    tuned = case.folder / "tuned.safetensors"
    write_safetensors(tuned, {**tensors, **changed}, {"format": "pt", "permafrost": json.dumps(description)})
    reference = type(case.model)(num_classes=3).eval()
    reference.load_state_dict({**state, **changed, **tensors})
    with torch.no_grad():
        expected = {"class": torch.softmax(reference(case.images), 1).numpy().astype(np.float64)}
    before = case.predicted(model)["class"]
    check("fine-tuned tensors matter", np.abs(before - expected["class"]).max() > 1e-3)
    check_onnx(case, tuned, expected)
    if torchscript_is_there():
        check_torchscript(case, tuned, expected)
    written, _ = read_safetensors(export(tuned, ".safetensors"))
    fresh = type(case.model)(num_classes=3)
    fresh.load_state_dict(written, strict=True)
    with torch.no_grad():
        compare("tuned as a state dict", {"class": torch.softmax(fresh.eval()(case.images), 1).numpy()}, expected, 1e-5)


def pooled(model):
    return torch.nn.Sequential(model.features, torch.nn.AdaptiveAvgPool2d(1))


def check_network(folder, name, tap, crop, features, head):
    """features: of a model, what gives the tap; head: the module that it is the input of."""
    model = with_statistics(getattr(torchvision.models, name)())
    case = Case(folder, name, model, tap, features(model), folder / f"{name}.pth", crop)
    linear = case.train("linear", "--target", "class")
    fresh = getattr(torchvision.models, name)(num_classes=3)
    check_all(case, linear, fresh, head)
    case.weights.unlink()


def rectified(model):
    """DenseNet's features, whose last ReLU and pool are functions."""
    return torch.nn.Sequential(model.features, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))


def normalised_pool(model):
    return torch.nn.Sequential(pooled(model), *list(model.classifier)[:2])


def up_to_last_layer(model):
    return torch.nn.Sequential(pooled(model), torch.nn.Flatten(), *list(model.classifier)[:2])


class ClassToken(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model, self.model.heads = model, torch.nn.Identity()

    def forward(self, x):
        return self.model(x)


def up_to_head(model):
    """Of Swin, whose windows are larger than what is left of images of 64 pixels: its maps are padded."""
    for name, parameter in model.named_parameters():
        if "position_bias" in name:
            parameter.data.normal_(0, 0.5)
    last = copy.deepcopy(model)
    last.head = torch.nn.Identity()
    return last


def check_networks(folder):
    check_network(folder, "mobilenet_v3_small", "classifier.1", 64, up_to_last_layer, "classifier.3")
    check_network(folder, "vit_b_32", "cls", 224, lambda model: ClassToken(copy.deepcopy(model)), "heads.head")
    check_network(folder, "swin_t", "flatten", 64, up_to_head, "head")
    if not IS_LONG:
        return
    check_network(folder, "densenet121", "adaptive_avg_pool2d", 64, rectified, "classifier")
    check_network(folder, "efficientnet_b0", "avgpool", 64, pooled, "classifier.1")
    check_network(folder, "convnext_tiny", "classifier.1", 64, normalised_pool, "classifier.2")


def resnet_features(model):
    return torch.nn.Sequential(*list(model.children())[:-1])


def main():
    for name, module in (("cv2", cv2), ("onnx", onnx), ("the libtorch plugin", torchscript_is_there() or None)):
        if module is None:
            print(f"SKIP what needs {name}: it is missing", flush=True)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = NarrowResNet18()
        model.load_state_dict(read_safetensors(SAMPLE)[0])
        model.eval()
        case = Case(folder, "resnet18_w16", model, "avgpool", resnet_features(model), SAMPLE, 96)
        linear = case.train("linear", "--target", "class")
        check_all(case, linear, NarrowResNet18(num_classes=3))
        check_finetuned(case, linear)
        # What heads make of features does not depend on the size of the maps before them.
        check_heads(Case(folder, "resnet18_w16", model, "avgpool", resnet_features(model), SAMPLE, 32))

        model = with_statistics(torchvision.models.resnet18())
        case = Case(folder, "resnet18", model, "avgpool", resnet_features(model), folder / "resnet18.pth", 224 if IS_LONG else 64)
        check_all(case, case.train("linear", "--target", "class"), torchvision.models.resnet18(num_classes=3))

        check_networks(folder)

        # A tap in the middle, a map: flattened row by row.
        model = with_statistics(torchvision.models.vgg11_bn())
        model.classifier = torch.nn.Identity()
        case = Case(folder, "vgg11_bn", model, "avgpool", model, folder / "vgg11_bn.pth", 224)
        check_all(case, case.train("linear", "--target", "class"))
        if IS_LONG:  # maps of 14x14, pooled to 7x7
            case = Case(folder, "vgg11_bn", model, "avgpool", model, folder / "vgg11_bn.pth", 448)
            check_all(case, case.train("large", "--target", "class"))
        # Maps of 2x2 do not divide: matrices pool them.
        case = Case(folder, "vgg11_bn", model, "avgpool", model, folder / "vgg11_bn.pth", 64)
        check_all(case, case.train("small", "--target", "class"))

        # Half a gigabyte of weights, which take seconds to draw, each time anew: by torch's defaults alone.
        model = torchvision.models.vgg11(init_weights=False).eval()
        last = torch.nn.Sequential(model.features, model.avgpool, torch.nn.Flatten(), *list(model.classifier)[:-1]).eval()
        case = Case(folder, "vgg11", model, "classifier.5", last, folder / "vgg11.pth", 224 if IS_LONG else 64)
        linear = case.train("linear", "--target", "class")
        check_state_dict(case, linear, case.predicted(linear), torchvision.models.vgg11(num_classes=3, init_weights=False), "classifier.6")
    finish()


if __name__ == "__main__":
    main()
