"""What a precision brings in speed, and costs: in the features, against torchvision's in fp32; in the accuracy of heads."""
import json
import pathlib
import statistics

import h5py
import numpy as np
import torch
import torchvision
from torchvision import transforms
from torchvision.models.feature_extraction import create_feature_extractor

from datasets import photographs, small_images, small_network, there
from measure import alternate, extract, has_bf16, medians, program, run, table

HALF = {"mean": [0.5] * 3, "std": [0.5] * 3}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def kinds():
    """Name, computed/stored: flags of extract. The first is what the others are compared with."""
    found = {"fp32/f32": ["--precision", "fp32", "--store", "f32"],
             "fp32/f16": ["--precision", "fp32", "--store", "f16"]}
    if has_bf16() or torch.cuda.is_available():
        found["bf16/f16"] = ["--precision", "bf16", "--store", "f16"]
    if torch.cuda.is_available():
        found["fp16/f16"] = ["--precision", "fp16", "--store", "f16"]
    return found


# ---- features ----

def reference(folder, network, mean, std):
    """{path in the folder: features} as torchvision's own loader and the network in fp32 give them."""
    prepare = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                                  transforms.Normalize(mean, std)])
    data = torchvision.datasets.ImageFolder(folder, prepare)
    features = {}
    with torch.inference_mode():
        for index, (path, _) in enumerate(data.samples):
            output = network(data[index][0][None])
            features[str(pathlib.Path(path).relative_to(folder))] = output.flatten().double().numpy()
    return features


def read_features(cache, tap):
    with h5py.File(cache) as file:
        paths = [path.decode() if isinstance(path, bytes) else path for path in file["samples/path"][:]]
        rows = file[f"features/{tap}"][:].astype(np.float64)
    return dict(zip(paths, rows.reshape(len(rows), -1)))


def agreement(found, expected):
    """Mean and smallest cosine of an image's features with the expected ones; the largest difference over the largest
    value."""
    ours = np.stack([found[path] for path in sorted(expected)])
    theirs = np.stack([expected[path] for path in sorted(expected)])
    cosines = (ours * theirs).sum(1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1))
    return cosines.mean(), cosines.min(), np.abs(ours - theirs).max() / np.abs(theirs).max()


def seeded_resnet18(out):
    """torchvision's ResNet-18 of drawn weights, as a file for extract and as a module up to avgpool. Its batch norms have
    statistics that folding has to get right."""
    torch.manual_seed(7)
    model = torchvision.models.resnet18()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    torch.save(model.state_dict(), out / "seeded_resnet18.pth")
    extractor = create_feature_extractor(model.eval(), {"avgpool": "features"})
    return out / "seeded_resnet18.pth", lambda image: extractor(image)["features"]


def bench_features(args, out, title, folder, tap, expected, *flags):
    """A row for each precision: images/s, and how far its features are from the expected ones."""
    agreements = {}

    def once(name, kind):
        def extract_once():
            cost = extract(args, folder, out / "precision.h5", "--tap", tap, "--compress", "none", *flags, *kind)
            agreements[name] = agreement(read_features(out / "precision.h5", tap), expected)
            return cost["rate"]
        return extract_once

    figures = alternate({name: once(name, kind) for name, kind in kinds().items()}, args.rounds)
    rows = [[name, rate, *map(float, agreements[name])] for name, rate in medians(figures).items()]
    return {**table(title, ["", "images/s", "cosine, mean", "cosine, least", "largest error"], rows), "figures": figures}


def bench_random(args, out):
    folder = photographs(args, out)
    weights, network = seeded_resnet18(out)
    return bench_features(args, out, "features: ResNet-18 of drawn weights on photographs, against torchvision in fp32",
                          folder, "avgpool", reference(folder, network, **IMAGENET),
                          "--backbone", "resnet18", "--weights", weights)


def bench_mobilenet(args, out, file):
    folder = photographs(args, out)
    module = torch.jit.load(str(file)).eval()
    return bench_features(args, out, "features: MobileNetV1 (ImageNet, TorchScript) on photographs, against PyTorch in fp32",
                          folder, "pool", reference(folder, lambda image: module(image)["pool"], **HALF),
                          "--backbone", file, "--mean", "0.5", "--std", "0.5")


# ---- heads ----

def experiments(args, out):
    """Those whose data and backbone are there: name, dataset, flags of extract, flags of train, the split that counts."""
    mobilenet, found = there(args, "mobilenet_v1_imagenet.pt"), []
    pool = ["--backbone", mobilenet, "--tap", "pool", "--mean", "0.5", "--std", "0.5"]
    photos, faces = there(args, "hymenoptera_data"), there(args, "faces_age_gender/faces.csv")
    if mobilenet and photos:
        found.append(("ants and bees, MobileNetV1", photos, pool, [], "val"))
    if mobilenet and faces:
        found.append(("gender of faces, MobileNetV1", faces, [*pool, "--split", "val=0.2,test=0.2"],
                      ["--target", "gender"], "test"))
    if there(args, "cifar10") and there(args, "resnet18_w16_cifar10.pth"):
        found.append(("CIFAR-10, small ResNet-18", small_images(args, out), small_network(args), [], "test"))
    return found


def accuracy(args, out, cache, flags, split, seeds=(1, 2, 3)):
    """Of train with its default options, over some seeds; and how many images that is on."""
    results = []
    for seed in seeds:
        run([program(args, "train"), cache, "-q", "--seed", str(seed), "--json", out / "precision.json", *flags])
        results.append(json.loads((out / "precision.json").read_text())[split])
    return statistics.mean(result["accuracy"] for result in results), results[0]["rows"]


def bench_accuracies(args, out):
    """A row for each experiment: accuracy on the features of the first kind, what the others change, in points."""
    names, rows = list(kinds()), []
    for title, dataset, network, head, split in experiments(args, out):
        found = []
        for kind in kinds().values():
            extract(args, dataset, out / "precision.h5", *network, *kind)
            found.append(accuracy(args, out, out / "precision.h5", head, split))
        first, images = found[0]
        rows.append([title, images, 100 * first, *[f"{100 * (value - first):+.2f}" for value, _ in found[1:]]])
    columns = ["", "images", f"{names[0]}, %"] + names[1:]
    title = "heads: accuracy of train with its default options, and what other precisions add to it in points; mean of three seeds"
    return [table(title, columns, rows)] if rows else []


def bench_precision(args, out):
    mobilenet = there(args, "mobilenet_v1_imagenet.pt")
    return [bench_random(args, out), *([bench_mobilenet(args, out, mobilenet)] if mobilenet else []),
            *bench_accuracies(args, out)]
