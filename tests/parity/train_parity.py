"""What train reports against scikit-learn's metrics, computed from the model file it writes.

The cache is written by h5py, as a user would, and the model file is read by hand: so this
also checks both formats, and that normalisation is folded into plain weights.

usage: train_parity.py TRAIN
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    from sklearn import metrics
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

ROWS, D, CLASSES = 900, 20, 6
# Losses: float32 logits there, float64 here. Everything else counts rows, and is equal.
TOLERANCE = 1e-5


def write_cache(path):
    generator = np.random.default_rng(5)
    labels = generator.integers(0, CLASSES - 1, ROWS).astype("i4")  # the last class has no rows
    features = generator.standard_normal((ROWS, D)) * np.linspace(0.1, 5, D) + 3
    features[np.arange(ROWS), labels] += np.linspace(0.1, 5, D)[labels] * 1.5
    splits = generator.choice([0, 0, 0, 1, 2], ROWS).astype("u1")
    labels[generator.random(ROWS) < 0.05] = -1
    features = features.astype("f2")
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file["features/pool"] = features
        file["targets/class"] = labels
        file["targets/class"].attrs["kind"] = "class"
        file.create_dataset("classes/class", data=[f"c{i}" for i in range(CLASSES)], dtype=h5py.string_dtype())
        file["samples/split"] = splits
    return features.astype("f8"), labels, splits


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        assert entry["dtype"] == "F32", entry
        tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return tensors, json.loads(header["__metadata__"]["permafrost"])


def log_softmax(logits):
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def check_split(result, logits, labels):
    predicted = logits.argmax(1)
    names = list(range(CLASSES))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=names, zero_division=0)
    classes = result["classes"]
    assert abs(result["loss"] + log_softmax(logits)[np.arange(len(labels)), labels].mean()) < TOLERANCE
    assert abs(result["accuracy"] - metrics.accuracy_score(labels, predicted)) < 1e-12
    assert np.array_equal(result["confusion"], metrics.confusion_matrix(labels, predicted, labels=names))
    assert np.array_equal([c["support"] for c in classes], support)
    for key, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert np.allclose([c[key] for c in classes], expected, atol=1e-12), key
    assert abs(result["balanced_accuracy"] - metrics.balanced_accuracy_score(labels, predicted)) < 1e-12
    p = np.exp(log_softmax(logits))
    aucs = [metrics.roc_auc_score(labels == c, p[:, c]) for c in set(labels)]
    assert abs(result["roc_auc"] - np.mean(aucs)) < 1e-3  # close scores may change places
    low, high = result["intervals"]["accuracy"]
    assert low < result["accuracy"] < high < 1
    present = sorted(set(labels) | set(predicted))
    for key, average in (("macro_f1", metrics.f1_score), ("macro_recall", metrics.recall_score),
                         ("macro_precision", metrics.precision_score)):
        expected = average(labels, predicted, labels=present, average="macro", zero_division=0)
        assert abs(result[key] - expected) < 1e-12, key


def check_run(program, folder, data, normalize):
    features, labels, splits = data
    model = folder / "model.safetensors"
    done = subprocess.run(
        [program, folder / "cache.h5", "-o", model, "--json", "-", "-q", "--epochs", "12", "--lr", "0.05",
         "--normalize", normalize],
        stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout)
    tensors, metadata = read_safetensors(model)
    assert metadata["targets"][0]["classes"] == [f"c{i}" for i in range(CLASSES)]
    assert metadata["config"]["normalize"] == normalize and metadata["backbone"] is None
    x = features / np.linalg.norm(features, axis=1, keepdims=True) if normalize == "l2" else features
    logits = x @ tensors["head.weight"].astype("f8").T + tensors["head.bias"]
    for split, name in enumerate(("train", "val", "test")):
        rows = (splits == split) & (labels >= 0)
        assert result[name]["rows"] == rows.sum()
        if name == "train":
            assert abs(result[name]["accuracy"] - (logits[rows].argmax(1) == labels[rows]).mean()) < 1e-12
        else:
            check_split(result[name], logits[rows], labels[rows])
    best = max(result["epochs"], key=lambda e: (e["val_accuracy"], -e["val_loss"], -e["epoch"]))
    assert best == result["best"] and best["val_accuracy"] == result["val"]["accuracy"]
    print(f"ok   {normalize}: test accuracy {result['test']['accuracy']:.4f}, loss {result['test']['loss']:.4f}")


def main(program):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = write_cache(folder / "cache.h5")
        for normalize in ("none", "standardize", "l2"):
            check_run(program, folder, data, normalize)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
