"""train --optimizer lbfgs against scikit-learn's optimum of the same objective.

Weights come from the model file and from scikit-learn, converged much further than by default;
what the objective is of either is computed here, in doubles. With PERMAFROST_DATA naming a folder
that holds hymenoptera_data/ and mobilenet_v1_imagenet.pt, on real features too.

usage: optima_parity.py TRAIN EXTRACT
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # products as small as these only wait for threads

try:
    import h5py
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

from train_parity import log_softmax, read_safetensors

D = 24
OBJECTIVE = 1e-4  # relative, of the value at the optimum
COEFFICIENTS = 5e-3  # relative length of the difference: near the optimum the objective is flat
RIDGE = 1e-4


def write_cache(path, features, targets, splits):
    """targets: name -> class labels (n,) or (kind, values (n, k))."""
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file["features/pool"] = features
        file["samples/split"] = splits
        for name, target in targets.items():
            kind, values = target if isinstance(target, tuple) else ("class", target)
            file[f"targets/{name}"] = values
            file[f"targets/{name}"].attrs["kind"] = kind
            if kind == "class":
                names = [f"c{i}" for i in range(values.max() + 1)]
                file.create_dataset(f"classes/{name}", data=names, dtype=h5py.string_dtype())


class Data:
    """Features of unlike scales, and splits; .x and .prepared(normalize) in doubles."""

    def __init__(self, rows, seed):
        self.generator = np.random.default_rng(seed)
        features = self.generator.standard_normal((rows, D)) * np.geomspace(0.2, 4, D) + 0.5
        self.features = features.astype("f4")
        self.splits = self.generator.choice([0, 0, 0, 1], rows).astype("u1")
        self.x = self.features.astype("f8")

    def labels(self, classes, noise, rare=1.0):
        directions = self.generator.standard_normal((D, classes)) / np.geomspace(0.2, 4, D)[:, None]
        scores = self.x @ directions + noise * self.generator.standard_normal((len(self.x), classes))
        scores[:, -1] -= 3 * (1 - rare)
        return scores.argmax(1).astype("i4")

    def prepared(self, normalize, rows):
        """Features as the head sees them, and what each was multiplied with."""
        if normalize == "none":
            return self.x, np.ones(D)
        scale = 1 / self.x[rows].std(0)
        return (self.x - self.x[rows].mean(0)) * scale, scale


def train(program, folder, target, normalize, decay, *more):
    model = folder / "model.safetensors"
    done = subprocess.run(
        [program, folder / "cache.h5", "-o", model, "--target", target, "--optimizer", "lbfgs", "--json", "-", "-q",
         "--normalize", normalize, "--weight-decay", repr(decay), *more],
        stdout=subprocess.PIPE, check=True)
    tensors, _ = read_safetensors(model)
    result = json.loads(done.stdout)
    assert result["lbfgs"]["converged"], result["lbfgs"]
    return {name: tensor.astype("f8") for name, tensor in tensors.items()}, result


def near(ours, theirs, tolerance, what):
    distance = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    assert distance < tolerance, f"{what}: {distance:.2e} apart"
    return distance


def logistic(z, y, c, weights=None):
    """lbfgs ends early whatever its tol; newton-cg goes on until rounding stops it, and then warns."""
    model = LogisticRegression(C=c, solver="newton-cg", tol=1e-10, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(z, y, sample_weight=weights)


# ---- softmax ----


def softmax_objective(weight, bias, z, y, row_weights, decay):
    losses = -log_softmax(z @ weight.T + bias)[np.arange(len(y)), y]
    return np.average(losses, weights=row_weights) + decay / 2 * (weight**2).sum()


def sklearn_softmax(z, y, decay, classes, row_weights):
    """scikit-learn's head with a row for every class. Of two classes it has one row, w1 - w0 of ours: at our
    optimum w1 = -w0, so its penalty is twice ours."""
    c = (2 if classes == 2 else 1) / (decay * len(y))
    model = logistic(z, y, c, row_weights)
    if classes > 2:
        return model, model.coef_, model.intercept_ - model.intercept_.mean()
    return model, np.vstack([-model.coef_, model.coef_]) / 2, np.array([-1, 1]) * model.intercept_ / 2


def check_softmax(program, folder, data, y, normalize, decay, balanced=False):
    write_cache(folder / "cache.h5", data.features, {"class": y}, data.splits)
    rows, val = (data.splits == 0) & (y >= 0), (data.splits == 1) & (y >= 0)
    classes = y.max() + 1
    z, scale = data.prepared(normalize, rows)
    more = ["--class-weights", "balanced"] if balanced else []
    tensors, result = train(program, folder, "class", normalize, decay, *more)
    counts = np.bincount(y[rows], minlength=classes)
    row_weights = (rows.sum() / (classes * counts))[y[rows]] if balanced else np.ones(rows.sum())
    model, weight, bias = sklearn_softmax(z[rows], y[rows], decay, classes, row_weights)

    ours = tensors["head.weight"] / scale  # on prepared features
    logits = data.x @ tensors["head.weight"].T + tensors["head.bias"]
    shift = logits - z @ ours.T
    assert np.ptp(shift, axis=0).max() < 1e-4 * (1 + np.abs(logits).max())
    our_bias = shift.mean(0)
    reached = softmax_objective(ours, our_bias, z[rows], y[rows], row_weights, decay)
    best = softmax_objective(weight, bias, z[rows], y[rows], row_weights, decay)
    assert abs(reached - best) < OBJECTIVE * best, (reached, best)
    assert abs(result["lbfgs"]["objective"] - reached) < OBJECTIVE * best
    near(ours, weight, COEFFICIENTS, "weights")
    near(our_bias - our_bias.mean(), bias, COEFFICIENTS, "biases")
    agree = (logits[val].argmax(1) == model.predict(z[val])).mean()
    assert agree >= 0.999, agree
    print(f"ok   softmax, {classes} classes, {normalize}, decay {decay:g}{', balanced' if balanced else ''}: "
          f"objective {reached / best - 1:+.1e} of scikit-learn's, in {result['lbfgs']['iterations']} iterations")


# ---- ridge ----


def check_ridge(program, folder, data, values, normalize, decay):
    write_cache(folder / "cache.h5", data.features, {"size": ("regression", values)}, data.splits)
    there = ~np.isnan(values)
    rows = (data.splits == 0) & there.any(1)
    z, scale = data.prepared(normalize, rows)
    tensors, _ = train(program, folder, "size", normalize, decay)
    alpha = decay * there[rows].sum() / 2
    worst = 0
    for column in range(values.shape[1]):
        own = rows & there[:, column]
        ridge = Ridge(alpha=alpha).fit(z[own], values[own, column].astype("f8"))
        ours = tensors["head.weight"][column] / scale
        predicted = data.x @ tensors["head.weight"][column] + tensors["head.bias"][column]
        expected = ridge.predict(z)
        worst = max(worst, near(ours, ridge.coef_, RIDGE, "coefficients"),
                    near(predicted - expected.mean(), expected - expected.mean(), RIDGE, "predictions"))
    print(f"ok   ridge, {values.shape[1]} columns, {(~there).mean():.0%} missing, {normalize}, decay {decay:g}: "
          f"coefficients and predictions {worst:.1e} apart at most")


# ---- labels ----


def check_labels(program, folder, data, values, normalize, decay):
    write_cache(folder / "cache.h5", data.features, {"tags": ("multilabel", values)}, data.splits)
    there = ~np.isnan(values)
    rows = (data.splits == 0) & there.any(1)
    z, scale = data.prepared(normalize, rows)
    tensors, _ = train(program, folder, "tags", normalize, decay)
    for column in range(values.shape[1]):
        own, val = rows & there[:, column], data.splits == 1
        model = logistic(z[own], values[own, column], 1 / (decay * there[rows].sum()))
        near(tensors["head.weight"][column] / scale, model.coef_[0], COEFFICIENTS, f"weights of label {column}")
        logits = data.x[val] @ tensors["head.weight"][column] + tensors["head.bias"][column]
        agree = ((logits > 0) == (model.predict(z[val]) > 0)).mean()
        assert agree >= 0.999, agree
    print(f"ok   {values.shape[1]} labels, {(~there).mean():.0%} missing, {normalize}, decay {decay:g}")


# ---- both at once ----


def check_together(program, folder, data, y, values, decay):
    """A linear head's targets share nothing: together as alone."""
    write_cache(folder / "cache.h5", data.features, {"class": y, "size": ("regression", values)}, data.splits)
    together, _ = train(program, folder, "class,size", "none", decay)
    for name in ("class", "size"):
        alone, _ = train(program, folder, name, "none", decay)
        near(together[f"heads.{name}.weight"], alone["head.weight"], COEFFICIENTS, name)
    print("ok   classes and numbers together: as alone")


# ---- real features ----


def check_photographs(program, extract, folder):
    data = pathlib.Path(os.environ.get("PERMAFROST_DATA", "/nowhere"))
    photographs, network = data / "hymenoptera_data", data / "mobilenet_v1_imagenet.pt"
    plugin = pathlib.Path(extract).parent.parent / "lib/permafrost/permafrost_torch.so"
    if not photographs.exists() or not network.exists():
        print("     no photographs: PERMAFROST_DATA names no folder with hymenoptera_data and mobilenet_v1_imagenet.pt")
        return
    if not pathlib.Path(os.environ.get("PERMAFROST_PLUGIN", plugin)).exists():
        print("     no photographs: built without libtorch")
        return
    (folder / "cache.h5").unlink()
    subprocess.run([extract, photographs, "-o", folder / "cache.h5", "-q", "--backbone", network, "--tap", "pool",
                    "--mean", ".5", "--std", ".5", "--compress", "gzip"], check=True)
    with h5py.File(folder / "cache.h5") as file:
        x = np.array(file["features/pool"], "f8")
        y, splits = np.array(file["targets/class"]), np.array(file["samples/split"])
    rows, val = splits == 0, splits == 1
    z = (x - x[rows].mean(0)) / np.maximum(x[rows].std(0), 1e-12)
    for decay in (1e-3, 1e-2, 1e-1):
        _, result = train(program, folder, "class", "standardize", decay)
        model = LogisticRegression(C=2 / (decay * rows.sum()), max_iter=10000).fit(z[rows], y[rows])
        theirs = model.score(z[val], y[val])
        assert abs(result["val"]["accuracy"] - theirs) < 0.003, (result["val"]["accuracy"], theirs)
        print(f"ok   ants and bees, decay {decay:g}: val accuracy {result['val']['accuracy']:.4f}, "
              f"scikit-learn {theirs:.4f}")


def main(program, extract):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = Data(3000, 1)
        two, five = data.labels(2, 2), data.labels(5, 4, rare=0.3)
        some = np.where(data.generator.random(len(five)) < 0.1, -1, five).astype("i4")
        for normalize in ("none", "standardize"):
            for decay in (1e-4, 1e-2, 1.0):
                check_softmax(program, folder, data, two, normalize, decay)
                check_softmax(program, folder, data, five, normalize, decay)
            check_softmax(program, folder, data, some, normalize, 1e-3)
            check_softmax(program, folder, data, some, normalize, 1e-3, balanced=True)
            check_softmax(program, folder, data, two, normalize, 1e-3, balanced=True)

        slopes = data.generator.standard_normal((D, 3)) / np.geomspace(0.2, 4, D)[:, None]
        values = data.x @ slopes + 3 * data.generator.standard_normal((len(data.x), 3)) + [40, -7, 0]
        values = (values * [1, 20, 0.01]).astype("f4")
        holes = np.where(data.generator.random(values.shape) < 0.2, np.nan, values).astype("f4")
        for normalize in ("none", "standardize"):
            for decay in (1e-6, 1e-3, 0.3):
                check_ridge(program, folder, data, values[:, :1], normalize, decay)
                check_ridge(program, folder, data, values, normalize, decay)
                check_ridge(program, folder, data, holes, normalize, decay)

        tags = (data.x @ slopes + data.generator.standard_normal(values.shape) > 1).astype("f4")
        torn = np.where(data.generator.random(tags.shape) < 0.2, np.nan, tags).astype("f4")
        for normalize in ("none", "standardize"):
            check_labels(program, folder, data, tags, normalize, 1e-2)
            check_labels(program, folder, data, torn, normalize, 1e-3)

        check_together(program, folder, data, five, holes, 1e-2)
        check_photographs(program, extract, folder)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
