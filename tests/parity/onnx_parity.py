"""Networks of torchvision, exported by Debian's torch.onnx.export, as --backbone FILE.onnx: features
beside torch's own. Of small variants with random weights, so that all of it takes seconds.

Tolerance: 2e-5 of the largest feature. The exporter folds batch norms into convolutions, and sums are
taken in another order: both change the last bits of float32 (6e-8) at each of some hundred layers."""
import os
import subprocess
import sys
import tempfile
import warnings
from fractions import Fraction
from math import ceil

try:
    import h5py
    import numpy as np
    import onnx
    import torch
    import torchvision
    from onnx import TensorProto, helper, numpy_helper
    from PIL import Image
    from backbone_tool import check, finish, normalised, pixels
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

SIDE, TOLERANCE = 64, 2e-5
warnings.filterwarnings("ignore")
EXTRACT, PREDICT, TRAIN = map(os.path.abspath, sys.argv[1:4])


def randomised(model):
    """Nothing is left at 0 or 1: norms, biases, scales of layers, heads."""
    torch.manual_seed(3)
    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        if not tensor.is_floating_point():
            continue
        if name.endswith("running_var") or ("norm" in name or "bn" in name) and name.endswith("weight"):
            tensor.data.uniform_(0.7, 1.3)
        elif tensor.dim() < 2 or name.endswith("layer_scale"):
            tensor.data.uniform_(-0.2, 0.2)
        elif not tensor.abs().max() > 0:
            tensor.data.normal_(0, 0.1)
    return model.eval()


def convnext():
    blocks = [torchvision.models.convnext.CNBlockConfig(32, 64, 1), torchvision.models.convnext.CNBlockConfig(64, None, 1)]
    return torchvision.models.ConvNeXt(blocks, num_classes=10)


class Pieces(torch.nn.Module):
    """What the networks above lack."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 3, 2, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.second = torch.nn.Conv2d(16, 16, 3, groups=4, padding=1, dilation=1)
        self.last = torch.nn.Linear(32, 10)

    def forward(self, x):
        x = torch.nn.functional.pad(x, (1, 2, 0, 3), value=0.5)
        x = self.first(x)
        x = torch.nn.functional.silu(self.norm(torch.nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=True)))
        a, b = self.second(x).split([10, 6], 1)
        x = torch.cat([b.tanh() * 2, torch.nn.functional.avg_pool2d(a, 3, 1, 1, count_include_pad=False) / 3], 1)
        x = x + torch.nn.functional.gelu(x) - x[:, :, :1] * x.mean((2, 3), keepdim=True)
        x = x.flatten(2).transpose(1, 2)
        x = torch.softmax(x @ x.transpose(1, 2) * 0.1, -1) @ x
        x = torch.nn.functional.hardswish(torch.cat([x[:, 0], x[:, 3::2].mean(1)], 1))
        return self.last(x)


class General(torch.nn.Module):
    """Operations that stand alone: the inputs of roots and logarithms are positive."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 12, 5, 4)
        self.bound = torch.nn.Parameter(torch.zeros(12, 1, 1))
        self.last = torch.nn.Linear(24, 10)

    def forward(self, x):
        x = self.first(x)
        x = torch.nn.functional.leaky_relu(x, 0.2) - torch.nn.functional.elu(-x, 0.7)
        x = torch.maximum(torch.minimum(x, self.bound + 1), x * 0.3 - 1)
        positive = torch.abs(x) + 0.5
        x = torch.erf(x) + torch.sqrt(positive) * torch.log(positive) - torch.reciprocal(positive)
        x = x + torch.exp(-positive) + positive ** 1.5 + x ** 3 * 0.1 + positive ** torch.sigmoid(x)
        x = x / torch.sum(positive, 1, keepdim=True) + torch.amax(x, 3, keepdim=True)
        return self.last(torch.cat([torch.nn.functional.adaptive_max_pool2d(x, 1).flatten(1), x.sum((2, 3)) / 30], 1))


class Windows(torch.nn.Module):
    """Norms and linear layers on windows of a map, which have four axes."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 4, 4)
        self.norm = torch.nn.LayerNorm(16)
        self.wide, self.narrow = torch.nn.Linear(16, 40), torch.nn.Linear(40, 16, bias=False)
        self.last = torch.nn.Linear(32, 10)

    def forward(self, x):
        x = self.first(x).permute(0, 2, 3, 1)
        x = x.view(len(x), 4, 4, 4, 4, 16).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, 16)
        x = x + self.narrow(torch.nn.functional.gelu(self.wide(self.norm(x))))
        x = x.view(-1, 16, 4, 4, 16)
        return self.last(torch.cat([x[:, :, 1].mean((1, 2)), x[:, 3, 0, 1]], 1))


NETWORKS = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "densenet": lambda: torchvision.models.DenseNet(8, (2, 2), 16, num_classes=10),
    "mobilenet_v3_large": lambda: torchvision.models.mobilenet_v3_large(num_classes=10),
    "efficientnet_b0": lambda: torchvision.models.efficientnet_b0(num_classes=10),
    "convnext": convnext,
    "vit": lambda: torchvision.models.VisionTransformer(SIDE, 16, 2, 4, 64, 128, num_classes=10),
    "pieces": Pieces,
    "general": General,
    "windows": Windows,
}


# By libtorch, too, as TorchScript: between them they have every kind of operation.
BY_LIBTORCH = ["vit", "pieces", "general"]


def run(program, *arguments, engine=None):
    """By the C engine where none is named, whatever the caller's environment says."""
    environment = dict(os.environ)
    for name in ("PF_ENGINE", "PERMAFROST_PLUGIN"):
        environment.pop(name, None)
    if engine:
        environment = dict(os.environ, PF_ENGINE=engine)
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr)
    return None if done.returncode else done.stdout + "\n"


def features(path, *options, engine=None):
    """Of the only tap, or None."""
    cache = path + ".h5"
    if not run(EXTRACT, "photos", "-o", cache, "--backbone", path, "--crop", str(SIDE), "--resize", "0", "--store",
               "f32", "--compress", "none", "-q", *options, engine=engine):
        return None
    with h5py.File(cache) as file:
        taps = file["features"]
        (name,) = taps.keys()
        return taps[name][:].astype(np.float64)


def compare(what, path, reference, *options, tolerance=TOLERANCE, engine=None):
    found = features(path, *options, engine=engine)
    error = np.abs(found - reference).max() / np.abs(reference).max() if found is not None else np.inf
    check(what, error <= tolerance, f"{error:.1e}")


def export(name, model, **options):
    path = f"./{name}.onnx"
    torch.onnx.export(model, torch.zeros(1, 3, SIDE, SIDE), path, input_names=["image"], output_names=["logits"], **options)
    return path


def torchvision_networks(images):
    for name, make in NETWORKS.items():
        model = randomised(make())
        with torch.no_grad():
            reference = model(normalised(images)).double().numpy()
        opsets = {"vit": [16], "pieces": [11, 14], "general": [11, 13]}.get(name, [13])
        for opset in opsets:
            axes = {"image": {0: "n"}} if opset != 16 else None
            path = export(name, model, opset_version=opset, dynamic_axes=axes)
            compare(f"{name}, opset {opset}", path, reference, "--force")
            if name in BY_LIBTORCH:
                compare(f"{name}, opset {opset}, by libtorch", path, reference, "--force", engine="libtorch")
            if name == "resnet18":
                layer = features_of_layer(model, images)
                compare("a tap by its value's name", path, layer, "--force", "--tap", output_of(path, "/layer3/layer3.1/relu_1/Relu"))
                compare("a tap by its module's name", path, layer, "--force", "--tap", "layer3")
                stored(path, reference)


def features_of_layer(model, images):
    with torch.no_grad():
        x = normalised(images)
        for name, module in model.named_children():
            x = module(x)
            if name == "layer3":
                return x.double().numpy()


def output_of(path, node):
    return next(n.output[0] for n in onnx.load(path).graph.node if n.name == node)


def stored(path, reference):
    """The same network, its numbers stored otherwise: beside the file, as lists, as narrow types."""
    model = onnx.load(path)
    onnx.save(model, "./beside.onnx", save_as_external_data=True, location="beside.data", size_threshold=0)
    compare("external data", "./beside.onnx", reference)
    for what, of_type, tolerance in (("float_data", None, TOLERANCE), ("float16", TensorProto.FLOAT16, 5e-3),
                                     ("bfloat16", TensorProto.BFLOAT16, 4e-2), ("double", TensorProto.DOUBLE, TOLERANCE)):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        casts = []
        for tensor in changed.graph.initializer:
            if tensor.data_type != TensorProto.FLOAT:
                continue
            values, name, dims = numpy_helper.to_array(tensor), tensor.name, list(tensor.dims)
            if of_type is None:
                tensor.CopyFrom(helper.make_tensor(name, TensorProto.FLOAT, dims, values.flatten()))
                continue
            if of_type == TensorProto.BFLOAT16:
                bits = (values.view(np.uint32) + 0x8000 >> 16).astype(np.uint16)
            else:
                bits = values.astype({TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}[of_type])
            tensor.CopyFrom(helper.make_tensor(name + "_narrow", of_type, dims, bits.tobytes(), raw=True))
            casts.append(helper.make_node("Cast", [name + "_narrow"], [name], to=TensorProto.FLOAT))
        nodes = casts + list(changed.graph.node)
        del changed.graph.node[:]
        changed.graph.node.extend(nodes)
        narrow = f"./stored_{what}.onnx"
        with open(narrow, "wb") as file:
            file.write(changed.SerializeToString())
        compare(f"numbers as {what}", narrow, reference, tolerance=tolerance)


def as_tensorflow_writes(images):
    """Images (n, h, w, 3), turned by a Transpose; pads that are wider at one end."""
    generator = np.random.default_rng(5)
    weight = generator.standard_normal((8, 3, 3, 3)).astype(np.float32)
    matrix = generator.standard_normal((8, 5)).astype(np.float32)
    for same, pads in (("SAME_UPPER", (0, 1, 0, 1)), ("SAME_LOWER", (1, 0, 1, 0))):
        graph = helper.make_graph(
            [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
             helper.make_node("Conv", ["t", "w"], ["c"], strides=[2, 2], auto_pad=same),
             helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[3, 3], strides=[2, 2], auto_pad=same),
             helper.make_node("ReduceMean", ["p"], ["m"], axes=[2, 3], keepdims=0),
             helper.make_node("MatMul", ["m", "a"], ["y"])], "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", None, None, 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])],
            [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(matrix, "a")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), "./same.onnx")
        padded = torch.nn.functional.pad(normalised(images), pads)
        maps = torch.nn.functional.conv2d(padded, torch.from_numpy(weight), stride=2)
        maps = torch.nn.functional.max_pool2d(torch.nn.functional.pad(maps, pads, value=-torch.inf), 3, 2)
        reference = maps.mean((2, 3)) @ torch.from_numpy(matrix)
        compare(f"channels last, {same}", "./same.onnx", reference.double().numpy(), "--force")


def save_nodes(nodes, numbers, path):
    """An ONNX file of (kind, inputs, output, attributes) and constants, from images "x" to three numbers "y"."""
    graph = helper.make_graph(
        [helper.make_node(kind, inputs.split(), [output], **options) for kind, inputs, output, options in nodes], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in numbers.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path)


def of_any_number(images):
    """What exporters of other frameworks write: extremes of one value and of three, whole exponents, reductions
    of no axes and of all but the batch's, functions of constants, and extremes of those."""
    row = np.array([0.2, -0.1, 0.4], np.float32)
    numbers = {"row": row, "two": np.array([[0.3]], np.float32), "three": np.array(3), "none": np.zeros(0, np.int64),
               "axes": np.array([1, 2, 3])}
    nodes = [("ReduceMean", "x", "m", {"axes": [2, 3], "keepdims": 0}), ("Max", "m row two", "a", {}), ("Min", "a", "b", {}),
             ("Pow", "m three", "c", {}), ("ReduceSum", "c none", "d", {"noop_with_empty_axes": 1}),
             ("ReduceMax", "x", "e", {"axes": [1, 2, 3], "keepdims": 0}), ("Unsqueeze", "e last", "f", {}),
             ("ReduceSum", "x axes", "s", {"keepdims": 0}), ("Unsqueeze", "s last", "t", {}), ("Mul", "t small", "u", {}),
             ("Abs", "row", "g", {}), ("Log", "g", "h", {}), ("Erf", "h", "i", {}), ("Exp", "i", "j", {}),
             ("Max", "row j two", "k", {}), ("Min", "k j row", "l", {}), ("Max", "two", "o", {}),
             ("Add", "b d", "p", {}), ("Add", "p f", "q", {}), ("Add", "q u", "v", {}), ("Add", "v k", "w", {}), ("Sub", "w l", "r", {}),
             ("Mul", "r o", "y", {})]
    numbers.update({"last": np.array([1]), "small": np.array(1e-4, np.float32)})
    save_nodes(nodes, numbers, "./general_numbers.onnx")
    x = normalised(images)
    mean, known, two = x.mean((2, 3)), torch.from_numpy(row), torch.tensor(0.3)
    folded = torch.exp(torch.erf(torch.log(known.abs())))
    upper = torch.maximum(torch.maximum(known, folded), two)
    lower = torch.minimum(torch.minimum(upper, folded), known)
    reference = torch.maximum(torch.maximum(mean, known), two) + mean ** 3 + x.amax((1, 2, 3))[:, None] + x.sum((1, 2, 3))[:, None] * 1e-4
    compare("of any number", "./general_numbers.onnx", ((reference + upper - lower) * two).double().numpy(), "--force")


class Sizes(torch.nn.Module):
    """Other sizes of maps, norms of groups, and what is made of several operations."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 12, 4, 4)
        self.groups, self.instances = torch.nn.GroupNorm(3, 12), torch.nn.InstanceNorm2d(12, affine=True)
        self.slope, self.last = torch.nn.PReLU(12), torch.nn.Linear(24, 10)

    def forward(self, x):
        x = self.slope(self.groups(self.first(x)) + 0.3 * self.instances(self.first(x) ** 2))
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = torch.nn.functional.interpolate(x, size=(21, 27), mode="bicubic", align_corners=True)
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        x = torch.nn.functional.pixel_shuffle(torch.nn.functional.softplus(x[:, :, :40, :52]), 2)
        x = torch.nn.functional.normalize(x, dim=1).flatten(2)[:, :, [3, 1, 900, 901, 902, 7, 2000, 5]]
        return self.last(x.flatten(1))


def sizes(images):
    torch.manual_seed(5)
    model = randomised(Sizes())
    with torch.no_grad():
        reference = model(normalised(images)).double().numpy()
    for opset in (11, 16):
        compare(f"sizes, opset {opset}", export("sizes", model, opset_version=opset), reference, "--force")


def last_bits(images):
    """A scale of 0.7, which float32 has not, of 60 columns; places half-way between two pixels; a truth of numbers;
    and what is added to a norm without being its bias."""
    numbers = {"less": np.array([1, 1, 0.15625, 0.7], np.float32), "more": np.array([1, 3, 10, 42]), "shape": np.array([1, 3, 420]),
               "two": np.float32(2), "eps": np.float32(1e-5), "weight": np.array([1, 2, 3], np.float32), "half": np.array([0.5, 0, 2], np.float32),
               "position": np.random.default_rng(2).standard_normal((1, 420, 3)).astype(np.float32), "begin": np.array([0]), "end": np.array([60]),
               "axis": np.array([3])}
    nodes = [("Slice", "x begin end axis", "s", {}), ("Resize", "s  less", "a", {"mode": "nearest"}),
             ("Resize", "a   more", "b", {"mode": "nearest"}), ("Reshape", "b shape", "c", {}), ("Transpose", "c", "t", {"perm": [0, 2, 1]}),
             ("ReduceMean", "t", "m", {"axes": [-1]}), ("Sub", "t m", "d", {}), ("Pow", "d two", "q", {}), ("ReduceMean", "q", "v", {"axes": [-1]}),
             ("Add", "v eps", "e", {}), ("Sqrt", "e", "r", {}), ("Div", "d r", "n", {}), ("Mul", "n weight", "w", {}), ("Add", "w position", "p", {}),
             ("Cast", "half", "h", {"to": TensorProto.BOOL}), ("Cast", "h", "i", {"to": TensorProto.FLOAT}), ("Mul", "p i", "y", {})]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs.split(" "), [output], **options) for kind, inputs, output, options in nodes], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 420, 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), "./last_bits.onnx")

    def picked(size, scale):  # the lower of two that are as near
        return [min(max(ceil((i + Fraction(1, 2)) / scale - 1), 0), size - 1) for i in range(int(size * scale))]

    x = normalised(images)[:, :, :, :60][:, :, picked(64, Fraction(5, 32))][:, :, :, picked(60, Fraction(7, 10))]
    t = x.flatten(2).transpose(1, 2)
    t = torch.nn.functional.layer_norm(t, (3,), eps=1e-5) * torch.tensor([1., 2, 3]) + torch.from_numpy(numbers["position"])
    compare("last bits", "./last_bits.onnx", (t * torch.tensor([1., 0, 1])).double().numpy(), "--force")


def lengths(images):
    """Vectors divided by their lengths, of which one is of zeros and stays so."""
    numbers = {"some": np.array([[[[1.]], [[0]], [[2]]]], np.float32)}
    nodes = [("GlobalAveragePool", "x", "m", {}), ("Mul", "m some", "s", {}), ("LpNormalization", "s", "a", {"axis": 1}),
             ("LpNormalization", "s", "b", {"axis": 3, "p": 1}), ("Add", "a b", "c", {}), ("Flatten", "c", "y", {})]
    save_nodes(nodes, numbers, "./lengths.onnx")
    x = normalised(images).mean((2, 3)) * torch.tensor([1., 0, 2])
    compare("lengths", "./lengths.onnx", (torch.nn.functional.normalize(x) + x.sign()).double().numpy(), "--force")


def functions(images):
    """Two functions of the model's own, of which one calls the other, with an attribute for a node in it."""
    leaky = helper.make_node("LeakyRelu", ["t"], ["y"])
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    opset = [helper.make_opsetid("", 15), helper.make_opsetid("mine", 1)]
    inner = helper.make_function("mine", "Inner", ["a", "b"], ["y"], [helper.make_node("Mul", ["a", "b"], ["t"]), leaky], opset, ["slope"])
    outer = helper.make_function("mine", "Outer", ["t"], ["o"], [
        helper.make_node("Inner", ["t", "t"], ["y"], domain="mine", slope=0.3),
        helper.make_node("Inner", ["y", "t"], ["o"], domain="mine", slope=0.7)], opset)
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["m"]), helper.make_node("Outer", ["m"], ["y"], domain="mine"),
         helper.make_node("Flatten", ["y"], ["z"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 3])])
    onnx.save(helper.make_model(graph, functions=[inner, outer], opset_imports=opset), "./functions.onnx")
    x = normalised(images).mean((2, 3))
    once = torch.nn.functional.leaky_relu(x * x, 0.3)
    compare("functions", "./functions.onnx", torch.nn.functional.leaky_relu(once * x, 0.7).double().numpy(), "--force")


def predicted():
    """A head trained on a cache of an ONNX file predicts the images by that file, wherever it is named."""
    trained = run(TRAIN, "resnet18.onnx.h5", "--tap", "layer3", "-o", "head.safetensors", "--epochs", "2", "-q")
    check("a head is trained", trained)
    first = run(PREDICT, "head.safetensors", "photos")
    check("and predicts", first and first.count("photos") >= 4)
    check("layers of it are fine-tuned", run(TRAIN, "resnet18.onnx.h5", "--finetune", "layer4", "--tap", "logits", "-o", "tuned.safetensors",
                                            "--epochs", "1", "-q"))
    check("and the whole predicts", run(PREDICT, "tuned.safetensors", "photos"))
    os.rename("resnet18.onnx", "moved.onnx")
    check("not without the file", not run(PREDICT, "head.safetensors", "photos"))
    check("but where it is named", first == run(PREDICT, "head.safetensors", "photos", "--backbone", "moved.onnx"))
    check("and not by another", not run(PREDICT, "head.safetensors", "photos", "--backbone", "vit.onnx"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        images = pixels(4, SIDE)
        for i, image in enumerate(images):
            os.makedirs(f"photos/{i % 2}", exist_ok=True)
            Image.fromarray(image).save(f"photos/{i % 2}/{i}.png")
        images = images[[0, 2, 1, 3]]
        torchvision_networks(images)
        as_tensorflow_writes(images)
        of_any_number(images)
        sizes(images)
        functions(images)
        lengths(images)
        last_bits(images)
        predicted()
    finish()


main()
