"""What fine-tuning and views bring a small network on real images, as accuracies over three seeds.

The network is the sample's, a ResNet-18 of a quarter of the width that was trained on CIFAR-10. CIFAR-10 itself would teach
nothing about transfer, so that one row takes the same network trained on five of its classes, and lets it learn the other five.
"""
import json
import pathlib
import statistics
import sys

from datasets import there
from measure import HERE, program, run, table

SAMPLE = HERE.parent / "sample" / "resnet18_w16.safetensors"
SEEDS = 3
SCHEDULE = ["--warm-head", "--epochs", "20", "--lr", "1e-3", "--backbone-lr", "3e-4", "--schedule", "cosine"]
LEARNERS = {
    "head alone": ["--tap", "avgpool"],
    "layer4": ["--finetune", "layer4", *SCHEDULE],
    "all": ["--finetune", "all", *SCHEDULE],
}
LABELS = 100  # of each class of CIFAR-10
FIRST = ("airplane", "automobile", "bird", "cat", "deer")
SECOND = ("dog", "frog", "horse", "ship", "truck")


def extract_small(args, dataset, cache, weights, *flags):
    run([program(args, "extract"), dataset, "-o", cache, "--backbone", "resnet18_w16", "--weights", weights,
         "--resize", "96", "--crop", "96", *flags])


def manifest(path, cifar10, classes, most=None):
    """Of the first `most` training images of each class, and all of the test images."""
    lines = [f"{split}/{name}/{image.name},{name},{split}" for split, limit in (("train", most), ("test", None))
             for name in classes for image in sorted((cifar10 / split / name).iterdir())[:limit]]
    path.write_text("path,class,split\n" + "\n".join(lines) + "\n")
    return path


def train_on_first_classes(args, out, cifar10):
    """`make backbone` on five classes: the file of the weights."""
    weights, model, cache = (out / f"first_five{ending}" for ending in (".safetensors", "_model.safetensors", ".h5"))
    if weights.exists():
        return weights
    extract_small(args, manifest(out / "first_five.csv", cifar10, FIRST), cache, "random:0", "--root", cifar10,
                  "--tap", "input", "--views", "4")
    run([program(args, "train"), cache, "-o", model, "--finetune", "all", "--batch-norm", "learn", "--val", "0",
         "--optimizer", "sgd", "--nesterov", "--lr", "0.1", "--weight-decay", "5e-4", "--label-smoothing", "0.1",
         "--batch", "128", "--epochs", "10", "--warmup", "2", "--schedule", "cosine", "--memory", "3G", "--resume"])
    run([program(args, "predict"), model, "--export", weights])
    cache.unlink()
    return weights


def experiments(args, out):
    """(name, part that is judged, dataset, weights, flags of extract, flags of train) of the data that is there."""
    hymenoptera, faces, cifar10 = (there(args, name) for name in ("hymenoptera_data", "faces_age_gender", "cifar10"))
    if hymenoptera:
        yield "ants and bees, 244 images", "val", hymenoptera, SAMPLE, [], []
    if faces:
        yield ("gender of faces, 1,800 images", "test", faces / "faces.csv", SAMPLE,
               ["--target", "gender", "--split", "val=0.2,test=0.2"], [])
    if cifar10:
        root, blind = ["--root", cifar10], ["--val", "0"]
        yield (f"five other classes of CIFAR-10, {LABELS} labels each", "test",
               manifest(out / "second_five.csv", cifar10, SECOND, LABELS), train_on_first_classes(args, out, cifar10),
               root, blind)
        yield (f"CIFAR-10, whose labels it has seen, {LABELS} each", "test",
               manifest(out / "ten.csv", cifar10, FIRST + SECOND, LABELS), SAMPLE, root, blind)


def accuracies(args, cache, split, flags):
    result, values = cache.with_suffix(".json"), []
    for seed in range(SEEDS):
        run([program(args, "train"), cache, "--seed", str(seed), "-q", "--json", result, *flags])
        values.append(json.loads(result.read_text())[split]["accuracy"])
        print(f"  {' '.join(flags)}, seed {seed}: {values[-1]:.4f}", file=sys.stderr, flush=True)
    return values


def cell(values):
    return f"{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}"


def bench_gain(args, out):
    rows, figures = [], {}
    for name, split, dataset, weights, extract_flags, train_flags in experiments(args, out):
        for views in (1, 4):
            cache = pathlib.Path(out / "gain.h5")
            extract_small(args, dataset, cache, weights, "--tap", "avgpool,layer3,input", "--views", str(views), "--force",
                          *extract_flags)
            found = {learner: accuracies(args, cache, split, flags + train_flags) for learner, flags in LEARNERS.items()}
            figures[f"{name}, {views}"] = found
            rows.append([name, str(views), *map(cell, found.values())])
    if not rows:
        print("  no real images: --data names no folder with any")
        return []
    title = "ResNet-18 at a quarter of the width, 96 pixels: accuracy, mean and deviation of 3 seeds"
    return [{**table(title, ["", "views", *LEARNERS], rows), "figures": figures}]
