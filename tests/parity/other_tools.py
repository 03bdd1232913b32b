#!/usr/bin/env python3
"""What train and inspect write for other people's tools, read by these: TensorBoard's own reader, NumPy,
pandas, pyarrow, DuckDB. Every number must be the one that was written; nothing is compared with a
tolerance.

usage: other_tools.py BUILD
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1]).resolve()

try:
    import numpy as np
    import pandas as pd
except ImportError as missing:
    print("SKIP:", missing)
    sys.exit(77)


def run(program, *arguments):
    path = BUILD / ("tests" if program == "make_cache" else "bin") / program
    done = subprocess.run([path, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def module(name):
    try:
        return __import__(name)
    except ImportError:
        print(f"{name} is not there: left out")
        return None


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def check_records(path):
    """The framing, by its definition; returns how many records there are."""
    data, at, count = path.read_bytes(), 0, 0
    assert crc32c(b"123456789") == 0xE3069283
    while at < len(data):
        length = int.from_bytes(data[at:at + 8], "little")
        body = data[at + 12:at + 12 + length]
        assert int.from_bytes(data[at + 8:at + 12], "little") == masked(data[at:at + 8])
        assert int.from_bytes(data[at + 12 + length:at + 16 + length], "little") == masked(body)
        at += 16 + length
        count += 1
    assert at == len(data)
    return count


def check_tensorboard():
    run("train", "rows.h5", "--sweep", "lr=1e-3,1e-2", "--sweep", "head=linear,mlp:8", "--epochs", "6", "--json", "result.json",
        "--tensorboard", "events")
    result = json.load(open("result.json"))
    assert check_records(pathlib.Path("events/best/events.out.tfevents.0.permafrost")) > 20
    widths = [len(line.split("\t")) for line in open("events/best/features.tsv")]
    assert len(set(widths)) == 1 and widths[0] > 1 and len(widths) == len(open("events/best/metadata.tsv").readlines()) - 1
    if not module("tensorboard"):
        return
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import backend_context
    events = event_accumulator.EventAccumulator("events/best", size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    for tag, key in [("loss/val", "val_loss"), ("loss/train", "train_loss"), ("accuracy/val", "val_accuracy")]:
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        assert found == [(epoch["epoch"], float(np.float32(epoch[key]))) for epoch in result["epochs"]], tag
    found = events.Scalars("val/class/accuracy")[0]
    assert found.value == np.float32(result["val"]["accuracy"]) and found.step == result["best"]["epoch"]
    image = events.Images("confusion/val/class")[0]
    assert image.encoded_image_string[:2] == b"\xff\xd8" and image.width == image.height > 50
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory("events")
    multiplexer.Reload()
    backend = backend_context.Context(base_plugin.TBContext(data_provider=data_provider.MultiplexerDataProvider(multiplexer, "events")))
    request = context.RequestContext()
    infos = backend.experiment_from_metadata(request, "", False, backend.hparams_metadata(request, ""), [])
    assert {info.name for info in infos.hparam_infos} == {"lr", "head"}, infos
    print("TensorBoard reads scalars, image and hparams")


def check_export():
    run("inspect", "rows.h5", "--features", "--export", "files")
    features = np.load("files/features.npy")
    labels, splits, places = (np.load(f"files/{name}.npy") for name in ("labels", "splits", "map"))
    neighbours, similarities = np.load("files/neighbours.npy"), np.load("files/similarities.npy")
    unit = features.astype("f8") / np.linalg.norm(features.astype("f8"), axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    assert np.abs(np.take_along_axis(cosines, neighbours.astype("i8"), 1) - similarities).max() < 1e-5
    assert np.abs(np.sort(cosines, 1)[:, ::-1][:, :neighbours.shape[1]] - similarities).max() < 1e-5
    fvecs = np.fromfile("files/features.fvecs", "<i4").reshape(len(features), -1)
    assert (fvecs[:, 0] == features.shape[1]).all() and (fvecs[:, 1:].view("<f4") == features).all()
    table = pd.read_csv("files/rows.csv")
    assert (table["row"] == np.arange(len(features))).all()
    assert (table[["x", "y"]].to_numpy("f4") == places).all()
    assert [("train", "val", "test")[split] for split in splits] == list(table["split"])
    if module("pyarrow"):
        import pyarrow.parquet
        parquet = pyarrow.parquet.read_table("files/rows.parquet")
        assert (np.array(parquet["features"].to_pylist(), "f4") == features).all()
        assert (np.array(parquet["neighbours"].to_pylist()) == neighbours).all()
        assert parquet["label"].to_pylist() == list(table["label"].fillna(""))
        assert (parquet["x"].to_numpy() == places[:, 0]).all()
        print("pyarrow reads the Parquet file")
    duckdb = module("duckdb")
    if duckdb:
        rows = duckdb.sql("select row, label, features, neighbours from 'files/rows.parquet' order by row").fetchall()
        assert (np.array([row[2] for row in rows], "f4") == features).all()
        assert (np.array([row[3] for row in rows]) == neighbours).all()
        assert [row[1] for row in rows] == list(table["label"].fillna(""))
        print("DuckDB reads the Parquet file")
    assert labels.min() >= -1


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run("make_cache", "rows.h5", "val", "hard", "unlabelled")
        check_tensorboard()
        check_export()


main()
