#!/usr/bin/env python3
"""The plain `train` beside scikit-learn's cross-validated heads, on feature sets of any caches.

usage: bench_search.py [--build build] [--splits 5] [--json FILE] CACHE.h5:TARGET[:ROWS] ...

Each feature set is split five times into three quarters of its rows to train on and a quarter to test on (classes in
proportion). On the same train rows: `train CACHE`, `train CACHE --no-search`, StandardScaler with LogisticRegressionCV
(its ten Cs, five folds) or RidgeCV (22 alphas, leave-one-out), and the best on the test rows of that peer's grid, which
nobody can know beforehand. Of classes the test accuracy, of numbers the mean absolute error of test.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "build/lib/hdf5-plugins"
os.environ.setdefault("HDF5_PLUGIN_PATH", str(PLUGINS))  # before HDF5 is loaded; caches are compressed with zstd

import h5py  # noqa: E402
import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

ALPHAS = np.logspace(-2, 5, 22)


def read(path, target, rows):
    """Features, the target and whether it is of classes; the last feature set of the file, without rows that lack it."""
    with h5py.File(path) as file:
        tap = [name for name in file["features"] if file["features"][name].ndim == 2][-1]
        x, y = file["features"][tap][:].astype(np.float32), file["targets"][target]
        is_class, y = "class_names" in y.attrs or y.dtype.kind in "iu", y[:]
    known = y >= 0 if is_class else ~np.isnan(y.reshape(len(y), -1)).any(1)
    chosen = np.random.default_rng(1).permutation(np.flatnonzero(known))[:rows or None]
    return x[np.sort(chosen)], y[np.sort(chosen)], is_class


def write(path, x, y, is_class, test):
    """A cache of these rows; test: which of them are tested on."""
    splits = np.zeros(len(x), np.uint8)
    splits[test] = 2
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = "permafrost-cache", 1
        file["features/pooled"] = x
        file["targets/y"] = y.astype(np.int32 if is_class else np.float32)
        file["samples/split"] = splits


def ours(args, cache, is_class, *options):
    result = cache.with_suffix(".json")
    started = time.perf_counter()
    subprocess.run([pathlib.Path(args.build) / "bin/train", cache, "-q", "--val", "0", "--json", result, *options],
                   check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return json.loads(result.read_text())["test"]["accuracy" if is_class else "mae"], seconds


def theirs(x, y, is_class, train, test):
    """The peer's figure and seconds, and the best of its grid on the test rows."""
    scaler = StandardScaler().fit(x[train])
    a, b = scaler.transform(x[train]), scaler.transform(x[test])
    started = time.perf_counter()
    model = LogisticRegressionCV(Cs=10, cv=5, max_iter=1000, n_jobs=1) if is_class else RidgeCV(ALPHAS)
    model.fit(a, y[train])
    seconds = time.perf_counter() - started

    def figure(fitted):
        said = fitted.predict(b)
        return np.mean(said == y[test]) if is_class else np.abs(said - y[test]).mean()

    grid = [LogisticRegression(C=c, max_iter=1000) for c in np.logspace(-4, 4, 10)] if is_class else [Ridge(z) for z in ALPHAS]
    best = (max if is_class else min)(figure(head.fit(a, y[train])) for head in grid)
    return figure(model), seconds, best


def measure(args, what, folder):
    name, target, *rows = what.split(":")
    x, y, is_class = read(name, target, int(rows[0]) if rows else 0)
    found = []
    for seed in range(args.splits):
        train, test = train_test_split(np.arange(len(x)), test_size=0.25, random_state=seed, stratify=y if is_class else None)
        cache = folder / "set.h5"
        write(cache, x, y, is_class, test)
        found.append([*ours(args, cache, is_class), *ours(args, cache, is_class, "--no-search"),
                      *theirs(x, y, is_class, train, test)])
    mean = np.mean(found, 0)
    return {"set": f"{pathlib.Path(name).stem}, {target}", "rows": len(x), "features": x.shape[1], "is_class": is_class,
            "searched": mean[0], "searched_s": mean[1], "defaults": mean[2], "defaults_s": mean[3],
            "peer": mean[4], "peer_s": mean[5], "best": mean[6],
            "difference_error": np.std([f[0] - f[4] for f in found], ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0}


def line(row):
    show = (lambda v: f"{100 * v:.2f} %") if row["is_class"] else (lambda v: f"{v:.3f}")
    return (f"| {row['set']} | {row['rows']} x {row['features']} | {show(row['searched'])} | {row['searched_s']:.2f} s | "
            f"{show(row['defaults'])} | {row['defaults_s']:.2f} s | {show(row['peer'])} | {row['peer_s']:.2f} s | {show(row['best'])} |")


def is_behind(row):
    """By more than 0.3 points, or 1 % of the error."""
    if row["is_class"]:
        return row["searched"] < row["peer"] - 0.003
    return row["searched"] > row["peer"] * 1.01


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("sets", nargs="+")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = []
    print("| feature set | rows x features | `train` | | `--no-search` | | scikit-learn's CV | | best of its grid |\n"
          "|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for what in args.sets:
            rows.append(measure(args, what, pathlib.Path(folder)))
            print(line(rows[-1]), flush=True)
    behind = [row["set"] for row in rows if is_behind(row)]
    classes = [row["searched"] - row["peer"] for row in rows if row["is_class"]]
    numbers = [row["searched"] / row["peer"] - 1 for row in rows if not row["is_class"]]
    print(f"\nmean difference: classes {100 * np.mean(classes or 0):+.2f} points, numbers {100 * np.mean(numbers or 0):+.2f} %"
          f" of the error; behind by more than 0.3 points or 1 %: {', '.join(behind) or 'none'}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1))
    return len(behind) > 0


if __name__ == "__main__":
    sys.exit(main())
