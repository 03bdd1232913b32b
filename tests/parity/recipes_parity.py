"""The recipes of Makefile.data on real data, against scikit-learn on the same features and rows.

PERMAFROST_DATA names a folder with any of hymenoptera.tar, faces-age-gender.tar, faces-keypoints.tar,
cifar10-jpeg.tar.gz (or the public archives), and mobilenet_v1_imagenet.pt, resnet20_cifar10.pt; what
is not there is passed over. What is extracted is kept in OUT, if that is given.

usage: recipes_parity.py BUILD SOURCE [OUT [RECIPE...]]
"""
import json
import os
import subprocess
import sys
import tempfile
import warnings

BUILD, SOURCE = (os.path.abspath(path) for path in sys.argv[1:3])
os.environ["HDF5_PLUGIN_PATH"] = os.path.join(BUILD, "lib/hdf5-plugins")  # before HDF5 is loaded
try:
    import h5py
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

DATA = os.environ.get("PERMAFROST_DATA", "")
MOBILENET, RESNET20 = (os.path.join(DATA, name) for name in ("mobilenet_v1_imagenet.pt", "resnet20_cifar10.pt"))
ARCHIVES = {
    "hymenoptera": ("hymenoptera.tar", "hymenoptera_data.zip"),
    "age-gender": ("faces-age-gender.tar", "UTKFace.tar.gz"),
    "keypoints": ("faces-keypoints.tar", "train-test-data.zip"),
    "cifar10": ("cifar10-jpeg.tar.gz", "cifar-10-binary.tar.gz"),
}
HALF = "--mean .5 --std .5"
ALPHAS = (10, 30, 100, 300, 1000, 3000, 10000)
CS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1)
DECAY = 0.01
failed = 0


def there(name, backbone):
    return os.path.exists(backbone) and any(os.path.exists(os.path.join(DATA, a)) for a in ARCHIVES[name])


def run(out, name, backbone, extract_flags, train_flags=""):
    """The result JSON of a recipe, and its cache."""
    command = ["make", "-s", "-f", "Makefile.data", name, f"BUILD={BUILD}", f"OUT={out}", f"DOWNLOADS={DATA}",
               f"BACKBONE={backbone}", f"EXTRACT_FLAGS={extract_flags}", f"TRAIN_FLAGS={train_flags}"]
    done = subprocess.run(command, cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}")
    stem = f"{out}/{name}-{os.path.splitext(os.path.basename(backbone))[0]}"
    with open(stem + ".json") as stream:
        return json.load(stream), stem + ".h5"


def standardized(x, train):
    scale = x[train].std(0)
    return (x - x[train].mean(0)) / np.where(scale > 0, scale, 1)


def read(cache, tap, *targets):
    """Standardised features; the targets; where train, and where the others are."""
    with h5py.File(cache) as file:
        x = file["features/" + tap][:].astype("f4")
        train = file["samples/split"][:] == 0
        found = [np.squeeze(file["targets/" + name][:]) for name in targets]
        sizes = np.stack([file["samples/width"][:], file["samples/height"][:]], 1) if "points" in targets else None
    return standardized(x.reshape(len(x), -1), train), found, train, sizes


def logistic(x, y, train, c):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(C=c, max_iter=1000, tol=1e-5).fit(x[train], y[train]).score(x[~train], y[~train])


def claim(text, holds):
    global failed
    failed += not holds
    print(f"{'ok  ' if holds else 'FAIL'} {text}", flush=True)


def age_gender(out):
    result, cache = run(out, "age-gender", MOBILENET, HALF + " --tap pool")
    x, (age, gender), train, _ = read(cache, "pool", "age", "gender")
    mae, accuracy = result["val"]["age"]["mae"], result["val"]["gender"]["accuracy"]
    ridge = min((np.abs(Ridge(a).fit(x[train], age[train]).predict(x[~train]) - age[~train]).mean(), a) for a in ALPHAS)
    best = max((logistic(x, gender, train, c), c) for c in CS)
    claim(f"age, mean absolute error in years: {mae:.3f}; Ridge, best alpha of {len(ALPHAS)} ({ridge[1]}): {ridge[0]:.3f}",
          mae <= ridge[0])
    claim(f"gender, accuracy: {accuracy:.4f}; LogisticRegression, best C of {len(CS)} ({best[1]}): {best[0]:.4f}",
          accuracy >= best[0])


def pixel_error(points, truth, sizes):
    return np.linalg.norm((points - truth) * sizes[:, None], axis=2).mean()


def keypoints(out):
    for tap in ("pool", "conv_pw_11"):
        result, cache = run(out, "keypoints", MOBILENET, HALF + " --tap pool,conv_pw_11", f"--tap {tap}")
        x, (points,), train, sizes = read(cache, tap, "points")
        truth = points.reshape(len(x), -1, 2) / sizes[:, None]  # of the squashed crop
        flat = truth.reshape(len(x), -1)
        mean = np.broadcast_to(truth[train].mean(0), truth[~train].shape)
        predicted = ((Ridge(a).fit(x[train], flat[train]).predict(x[~train]), a) for a in ALPHAS)
        ridge = min((pixel_error(p.reshape(mean.shape), truth[~train], sizes[~train]), a) for p, a in predicted)
        ours, nothing = result["test"]["mean_error_pixels"], pixel_error(mean, truth[~train], sizes[~train])
        claim(f"points from {tap}, mean error in pixels: {ours:.3f}; Ridge, best alpha ({ridge[1]}): {ridge[0]:.3f}; "
              f"the mean face: {nothing:.3f}", ours <= 1.02 * ridge[0] and ours < 0.9 * nothing)


def classes(out, name, backbone, tap, extract_flags, split):
    usual, cache = run(out, name, backbone, extract_flags)
    optimum = subprocess.run([f"{BUILD}/bin/train", cache, "-q", "--json", "-", "--optimizer", "lbfgs",
                              "--weight-decay", str(DECAY), *([] if split == "val" else ["--val", "0"])], stdout=subprocess.PIPE, check=True)
    x, (y,), train, _ = read(cache, tap, "class")
    theirs = logistic(x, y, train, 1 / (DECAY * train.sum()))
    ours = json.loads(optimum.stdout)[split]["accuracy"]
    claim(f"{name}, accuracy: {ours:.4f} by L-BFGS; LogisticRegression with the same decay: {theirs:.4f}; "
          f"{usual[split]['accuracy']:.4f} as the recipe has it", abs(ours - theirs) <= 0.003)


EXPERIMENTS = {
    "hymenoptera": (MOBILENET, lambda out: classes(out, "hymenoptera", MOBILENET, "pool", HALF + " --tap pool", "val")),
    "age-gender": (MOBILENET, age_gender),
    "keypoints": (MOBILENET, keypoints),
    "cifar10": (RESNET20, lambda out: classes(
        out, "cifar10", RESNET20, "output",
        "--resize 0 --crop 32 --mean .485,.456,.406 --std .229,.224,.225", "test")),
}


def main(out, names):
    done = 0
    for name in names or EXPERIMENTS:
        backbone, compare = EXPERIMENTS[name]
        if there(name, backbone):
            compare(out)
            done += 1
    if not done:
        print("SKIP: PERMAFROST_DATA names no folder that holds the archives")
        return 77
    return failed != 0


if __name__ == "__main__":
    if len(sys.argv) > 3:
        sys.exit(main(os.path.abspath(sys.argv[3]), sys.argv[4:]))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(folder, []))
