"""predict --evaluate, train --predictions and train --evaluate-all against scikit-learn on the rows
as pandas reads them; and whether pandas finds types in every table, none of them mixed.

The cache is h5py's: class, numbers and labels, several at once, with rows that lack some.

usage: evaluate_parity.py TRAIN PREDICT
"""
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

try:
    import h5py
    import numpy as np
    import pandas as pd
    from sklearn import metrics
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

warnings.simplefilter("ignore")
ROWS, D, CLASSES = 900, 16, 5
# Numbers in tables have seven digits.
WRITTEN = 2e-6


def write_cache(path):
    generator = np.random.default_rng(11)
    labels = generator.integers(0, CLASSES, ROWS).astype("i4")
    features = generator.standard_normal((ROWS, D)).astype("f4")
    features[np.arange(ROWS), labels] += 1.2
    age = (30 + 9 * features[:, :1] + generator.standard_normal((ROWS, 1)) * 4).astype("f4")
    tags = (features[:, 5:8] + generator.standard_normal((ROWS, 3)) > 0.4).astype("f4")
    labels[generator.random(ROWS) < 0.05] = -1
    age[generator.random(ROWS) < 0.1] = np.nan
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = "permafrost-cache", 1
        file["features/pool"] = features
        for name, kind, values in (("class", "class", labels), ("age", "regression", age), ("tags", "multilabel", tags)):
            file[f"targets/{name}"] = values
            file[f"targets/{name}"].attrs["kind"] = kind
        for name, names in (("class", [f"c{i}" for i in range(CLASSES)]), ("tags", ["red", "wet", "old"])):
            file.create_dataset(f"classes/{name}", data=names, dtype=h5py.string_dtype())
        file.create_dataset("samples/path", data=[f"images/{i:04}.jpg" for i in range(ROWS)], dtype=h5py.string_dtype())
        file["samples/split"] = generator.choice([0, 0, 0, 1, 2], ROWS).astype("u1")


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert not done.returncode, done.stderr.decode()
    return done.stdout.decode()


def near(found, wanted, tolerance=WRITTEN):
    assert abs(found - wanted) <= tolerance * max(1, abs(wanted)), (found, wanted)


def check_types(table, texts):
    """Columns are texts or numbers, and no column is of objects of both."""
    for name in table:
        if name in texts:
            kinds = {type(value) for value in table[name].dropna()}
            assert kinds <= {str}, (name, kinds)
        else:
            assert table[name].dtype.kind in "if", (name, table[name].dtype)


def check_split(rows, scores):
    known = rows.dropna(subset=["class_true"])
    names = [f"c{i}" for i in range(CLASSES)]
    found = scores["class"]
    assert found["rows"] == len(known)
    near(found["accuracy"], metrics.accuracy_score(known.class_true, known["class"]), 1e-12)
    near(found["macro_f1"], metrics.f1_score(known.class_true, known["class"], average="macro"), 1e-12)
    near(found["balanced_accuracy"], metrics.balanced_accuracy_score(known.class_true, known["class"]), 1e-12)
    confusion = metrics.confusion_matrix(known.class_true, known["class"], labels=names)
    assert np.array_equal(found["confusion"], confusion)
    off = confusion - np.diag(np.diag(confusion))
    assert found["confused"][0]["rows"] == off.max() and len(found["confused"]) == min(10, np.count_nonzero(off))
    known, found = rows.dropna(subset=["age_true"]), scores["age"]
    assert found["rows"] == len(known)
    near(found["mae"], metrics.mean_absolute_error(known.age_true, known.age))
    near(found["rmse"], metrics.mean_squared_error(known.age_true, known.age) ** 0.5)
    near(found["r2"], metrics.r2_score(known.age_true, known.age), 1e-5)
    found = scores["tags"]
    for number, tag in enumerate(("red", "wet", "old")):
        true, predicted = (rows[name].fillna("").str.split(";").map(lambda labels: tag in labels) for name in ("tags_true", "tags"))
        near(found["labels"][number]["f1"], metrics.f1_score(true, predicted), 1e-12)
    exact = (rows.tags.fillna("") == rows.tags_true.fillna("")).mean()
    near(found["subset_accuracy"], exact, 1e-12)


def check_probabilities(result, truths):
    """Of the JSON, which has every label's: mean average precision and the AUC."""
    for split in ("val", "test"):
        rows = [row for row in result["predictions"] if row["split"] == split]
        scores = np.array([[row["tags"]["probabilities"][tag] for tag in ("red", "wet", "old")] for row in rows])
        true = np.array([[tag in row["true"]["tags"] for tag in ("red", "wet", "old")] for row in rows])
        wanted = metrics.average_precision_score(true, scores, average="macro")
        near(result["evaluation"][split]["tags"]["mean_average_precision"], wanted, 1e-4)  # six digits tie
        near(result["evaluation"][split]["tags"]["roc_auc"], metrics.roc_auc_score(true, scores), 1e-4)


def check_evaluation(train, predict, folder):
    cache, model = folder / "c.h5", folder / "m.safetensors"
    run(train, cache, "--target", "class,age,tags", "--epochs", 20, "-o", model, "-q",
        "--predictions", folder / "p.csv", "--json", folder / "t.json")
    rows = pd.read_csv(io.StringIO(run(predict, model, cache, "--evaluate", "-q")))
    result = json.loads(run(predict, model, cache, "--evaluate", "--json", "-", "-q"))
    check_types(rows, {"path", "class", "class_true", "tags", "tags_true", "split"})
    assert rows.split.isin(["train", "val", "test"]).all() and len(rows) == ROWS
    for split, own in rows.groupby("split"):
        check_split(own, result["evaluation"][split])
    check_probabilities(result, rows)
    mine = pd.read_csv(folder / "p.csv")
    check_types(mine, {"path", "split", "class_true", "class_predicted", "tags_true", "tags_predicted"})
    both = mine.merge(rows, on="path", suffixes=("", "_there"))
    # Rows without any value are no rows of train; here every row has its labels.
    assert len(both) == len(mine) == (rows.split != "train").sum()
    for left, right in (("class_true", "class_true_there"), ("class_predicted", "class"), ("tags_predicted", "tags"), ("split", "split_there")):
        assert (both[left].fillna("") == both[right].fillna("")).all(), left
    assert np.allclose(both.age_predicted, both.age, atol=1e-4)
    assert np.allclose(both.age_true, both.age_true_there, equal_nan=True, rtol=0, atol=0)
    assert np.allclose(both.class_probability, both.class_probability_there, atol=3e-6)


def check_sweep(train, folder):
    """A curve of few shots, with test scores as scikit-learn has them of the same head alone."""
    cache = folder / "c.h5"
    run(train, cache, "--target", "class", "--epochs", 4, "--sweep", "per-class=1,5,20", "--sweep", "head=linear,mlp:8",
        "--seeds", 3, "--evaluate-all", "--csv", folder / "curve.csv", "-q")
    curve = pd.read_csv(folder / "curve.csv")
    check_types(curve, {"tap", "head"})
    assert len(curve) == 18 and curve.fold.isna().all() and curve["per-class"].dtype.kind == "i"
    means = curve[curve["head"] == "linear"].groupby("per-class").test_accuracy.mean()
    assert means[1] < means[20], means
    run(train, cache, "--target", "class", "--no-search", "--epochs", 4, "--per-class", 5, "--seed", 2, "--predictions", folder / "one.csv", "-q")
    rows = pd.read_csv(folder / "one.csv")
    test = rows[rows.split == "test"]
    line = curve[(curve["per-class"] == 5) & (curve["head"] == "linear") & (curve.seed == 2)].iloc[0]
    near(line.test_accuracy, metrics.accuracy_score(test.true, test.predicted), 1e-8)
    # A head that diverges leaves fields empty, and the columns numbers.
    run(train, cache, "--target", "age", "--epochs", 3, "--optimizer", "sgd", "--sweep", "lr=1e-3,1e6", "--evaluate-all", "--csv", folder / "bad.csv", "-q")
    bad = pd.read_csv(folder / "bad.csv")
    check_types(bad, {"tap"})
    assert bad.diverged.tolist() == [0, 1] and np.isnan(bad.test_score[1]) and np.isfinite(bad.test_score[0])


def main():
    train, predict = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_cache(folder / "c.h5")
        check_evaluation(train, predict, folder)
        check_sweep(train, folder)
    print("evaluations agree with scikit-learn, and tables load with types")


if __name__ == "__main__":
    main()
