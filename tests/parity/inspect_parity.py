"""inspect against scikit-learn, SciPy and cleanlab on the same features and probabilities.

Nearest neighbours, their votes, distances of outliers and groups of duplicates come from
scikit-learn's brute force and NumPy; label errors from a NumPy twin of confident learning that is
written from the paper, and, where cleanlab can be imported (make check-peers), from
cleanlab.filter.find_label_issues on the same probabilities.

usage: inspect_parity.py BUILD_DIR
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

try:
    import h5py
    import numpy as np
    from scipy.stats import binomtest
    from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

try:
    from cleanlab.filter import find_label_issues
except ImportError:
    find_label_issues = None

BUILD = pathlib.Path(sys.argv[1]).resolve()
FLOATS = 2e-6  # of a cosine: sums of 96 float32 products in another order
failures = []


def check(what, holds, found=""):
    print(f"{'ok' if holds else 'FAILED'}: {what} {found}")
    if not holds:
        failures.append(what)


def write_cache(path, features, labels, splits, classes):
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "permafrost-cache"
        file.attrs["format_version"] = 1
        file["features/pool"] = features
        file["samples/split"] = splits
        file["targets/class"] = labels
        file["targets/class"].attrs["kind"] = "class"
        names = [f"c{i}" for i in range(classes)]
        file.create_dataset("classes/class", data=names, dtype=h5py.string_dtype())
        paths = [f"{i}.jpg" for i in range(len(features))]
        file.create_dataset("samples/path", data=paths, dtype=h5py.string_dtype())


def inspect(*arguments):
    """The findings of a run, without the two fields that tell one run from another."""
    out = subprocess.run([BUILD / "bin/inspect", *map(str, arguments), "-q", "--json", "-"],
                         check=True, stdout=subprocess.PIPE)
    findings = json.loads(out.stdout)
    del findings["created"], findings["command"]
    return findings


def make_data(rows, classes, width, seed):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((classes, width))
    labels = generator.integers(0, classes, rows).astype("i4")
    x = centres[labels] * 0.5 + generator.standard_normal((rows, width)) + 0.4
    return x.astype("f4"), labels, generator


def near_and_votes(folder):
    x, labels, generator = make_data(3000, 7, 96, 1)
    splits = generator.choice([0, 0, 0, 1, 2], 3000).astype("u1")
    x[100:110] = x[200:210] * 2 + 1e-3  # copies, nearly: length is no matter
    x[300] = x[301]
    x[7, 3] = np.nan
    x[8] = 0
    x[20:25] = -abs(generator.standard_normal((5, 96))) ** 3  # unlike all others
    path = folder / "near.h5"
    write_cache(path, x, labels, splits, 7)
    found = inspect(path, "--duplicates", "--outliers", "--knn", "--features", "--threads", 2)
    alone = inspect(path, "--duplicates", "--outliers", "--knn", "--features", "--threads", 1)
    check("one thread says what two say", found == alone)
    check("broken rows are named", found["features"]["not_finite"] == ["7.jpg"]
          and found["features"]["zero"] == ["8.jpg"])
    sound = np.ones(3000, bool)
    sound[[7, 8]] = False
    numbers = np.flatnonzero(sound)
    unit = (x[sound] / np.linalg.norm(x[sound].astype("f8"), axis=1, keepdims=True)).astype("f4")
    outliers(found["outliers"], unit, numbers)
    duplicates(found["duplicates"], unit, numbers)
    votes(found, unit, labels[sound], splits[sound])


def outliers(found, unit, numbers):
    distance = NearestNeighbors(n_neighbors=11, metric="cosine", algorithm="brute").fit(unit)
    tenth = distance.kneighbors(unit)[0][:, 10]
    low, high = np.quantile(tenth, [0.25, 0.75])
    check("the fence is Tukey's", abs(found["threshold"] - (high + 3 * (high - low))) < 1e-3,
          f"{found['threshold']:.5f} {high + 3 * (high - low):.5f}")
    named = {image["row"]: image["distance"] for image in found["images"]}
    expected = {int(n): d for n, d in zip(numbers, tenth) if d > found["threshold"]}
    check("outliers are the same", named.keys() == expected.keys() and named, f"{len(named)}")
    check("their distances are", all(abs(named[n] - expected[n]) < FLOATS for n in named))


def duplicates(found, unit, numbers):
    similarity = unit.astype("f8") @ unit.T.astype("f8")
    np.fill_diagonal(similarity, 0)
    pairs = {frozenset((int(numbers[a]), int(numbers[b])))
             for a, b in zip(*np.where(similarity >= found["threshold"]))}
    groups = {frozenset(group["rows"]) for group in found["groups"]}
    check("pairs are the groups", groups == pairs, f"{len(groups)} at {found['threshold']:.4f}")
    check("every copy that was planted is in", len(groups) == 11)
    nearest = np.sort(similarity.max(axis=1))
    check("the typical similarity is the median",
          abs(found["typical_similarity"] - np.median(nearest)) < 1e-3)


def votes(found, unit, labels, splits):
    train = splits == 0
    weights = lambda distance: np.exp((1 - distance) / 0.07)
    for score in found["knn_held_out"]["scores"]:
        peer = KNeighborsClassifier(score["k"], weights=weights, metric="cosine",
                                    algorithm="brute").fit(unit[train], labels[train])
        accuracy = peer.score(unit[~train], labels[~train])
        check(f"k = {score['k']} of held-out rows", abs(accuracy - score["accuracy"]) < 1e-9,
              f"{accuracy:.4f}")
    similarity = (unit[train] @ unit[train].T).astype("f8")
    np.fill_diagonal(similarity, -1)
    order = np.argsort(-similarity, axis=1, kind="stable")
    for score in found["knn"]["scores"]:
        near = order[:, :score["k"]]
        strength = np.exp(np.take_along_axis(similarity, near, 1) / 0.07)
        ballot = np.stack([(strength * (labels[train][near] == c)).sum(1) for c in range(7)], 1)
        accuracy = (ballot.argmax(1) == labels[train]).mean()
        check(f"k = {score['k']} of train rows without themselves",
              abs(accuracy - score["accuracy"]) < 1e-3, f"{accuracy:.4f}")


# ---- label errors ----

def judge(labels, p):
    data = labels.astype("i4").tobytes() + p.astype("f4").tobytes()
    out = subprocess.run([BUILD / "tests/judge_labels", str(len(p)), str(p.shape[1])], input=data,
                         check=True, stdout=subprocess.PIPE).stdout
    return [int(line) for line in out.split()]


def round_row(row):
    whole = np.round(row)
    while whole.sum() != np.round(row.sum()):
        if np.round(row.sum()) > whole.sum():  # of equal ones the last
            whole[len(row) - 1 - np.argmax((row - whole)[::-1])] += 1
        else:
            whole[np.argmin(row - whole)] -= 1
    return whole


def twin(labels, p):
    """Northcutt and others (2021), sections 3.1 and 3.2: joint, and pruning by noise rate."""
    k, own = p.shape[1], p[np.arange(len(p)), labels]
    reached = p >= np.array([own[labels == c].mean() for c in range(k)]) - 1e-6
    best = np.where(reached.sum(1) > 1, p.argmax(1), reached.argmax(1))
    joint = np.zeros((k, k))
    np.add.at(joint, (labels[reached.any(1)], best[reached.any(1)]), 1)
    joint[range(k), range(k)] = np.maximum(1, joint.diagonal())
    counts = np.bincount(labels, minlength=k)
    joint = joint / joint.sum(1, keepdims=True) * counts[:, None]
    joint = np.array([round_row(row) for row in joint / joint.sum() * len(labels)])
    named = set()
    for given in range(k):
        rows = np.flatnonzero(labels == given)
        for other in range(k):
            margin = p[rows, other] - p[rows, given]
            if other != given:
                named |= set(rows[np.argsort(-margin, kind="stable")[:int(joint[given, other])]])
    return [i for i in sorted(named, key=lambda i: (own[i], i)) if p[i].argmax() != labels[i]]


def label_errors():
    for seed, (rows, k, flips) in enumerate([(2000, 3, .1), (5000, 10, .03), (600, 20, .2)]):
        generator = np.random.default_rng(seed)
        true = generator.integers(0, k, rows)
        labels = np.where(generator.random(rows) < flips, generator.integers(0, k, rows), true)
        logits = generator.standard_normal((rows, k)) + 3 * np.eye(k)[true]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p = (p / p.sum(1, keepdims=True)).astype("f4")
        ours, expected = judge(labels, p), twin(labels, p)
        check(f"{rows} rows, {k} classes: errors and their order", ours == expected,
              f"{len(ours)} {len(expected)}")
        if find_label_issues:
            peer = find_label_issues(labels, p, return_indices_ranked_by="self_confidence",
                                     n_jobs=1).tolist()
            # How the joint's fractions are rounded where several are equal is open there.
            check("cleanlab names the same rows", len(set(ours) ^ set(peer)) <= 0.06 * len(peer),
                  f"{len(ours)} {len(peer)}, {len(set(ours) ^ set(peer))} differ")


def flipped_labels(folder):
    """What inspect finds by itself among labels of which some were changed."""
    x, labels, generator = make_data(2000, 5, 96, 5)
    x += np.eye(5, 96, dtype="f4")[labels] * 4
    wrong = generator.random(2000) < 0.05
    given = np.where(wrong, (labels + generator.integers(1, 5, 2000)) % 5, labels).astype("i4")
    path = folder / "flipped.h5"
    write_cache(path, x, given, np.zeros(2000, "u1"), 5)
    found = inspect(path, "--labels")
    named = {error["row"] for error in found["label_errors"]}
    right = {error["row"] for error in found["label_errors"]
             if error["suggested"] == f"c{labels[error['row']]}"}
    hits = len(named & set(np.flatnonzero(wrong)))
    precision, recall = hits / len(named), hits / wrong.sum()
    check("flipped labels are found", precision > 0.9 and recall > 0.9,
          f"precision {precision:.3f}, recall {recall:.3f}")
    check("the right class is suggested", len(right & set(np.flatnonzero(wrong))) > 0.9 * hits)


def models(folder):
    x, labels, generator = make_data(1500, 4, 96, 9)
    splits = generator.choice([0, 1], 1500).astype("u1")
    path = folder / "models.h5"
    write_cache(path, x, labels, splits, 4)
    for name, rate in (("a", "0.0001"), ("b", "0.01")):
        subprocess.run([BUILD / "bin/train", path, "-o", folder / f"{name}.safetensors", "-q",
                        "--epochs", "2", "--lr", rate], check=True)
    found = inspect(path, "--model", folder / "a.safetensors", "--model", folder / "b.safetensors")
    pair, = found["models"]["pairs"]
    a, b, n = pair["only_a_right"], pair["only_b_right"], found["models"]["rows"]
    first, second = (model["accuracy"] for model in found["models"]["models"])
    check("models are scored on val", n == (splits == 1).sum() and found["models"]["split"] == "val")
    check("the difference is that of accuracies", abs(first - second - (a - b) / n) < 1e-12
          and abs(pair["difference"] - (a - b) / n) < 1e-12, f"{a} {b}")
    check("McNemar's p is SciPy's", abs(binomtest(a, a + b).pvalue - pair["mcnemar_p"]) < 1e-9,
          f"{pair['mcnemar_p']:.3g}")
    p, q = (a + 1) / (n + 2), (b + 1) / (n + 2)
    half = 1.959964 * np.sqrt((p + q - (p - q) ** 2) / (n + 2))
    check("the paired interval is Bonett and Price's",
          np.allclose(pair["interval"], [p - q - half, p - q + half], atol=1e-6))


def statistics_twin(pixels):
    grey = pixels.astype("f8") @ [.299, .587, .114]
    f = max(1, min(grey.shape) // 256)
    rows, columns = grey.shape[0] // f, grey.shape[1] // f
    grey = grey[:rows * f, :columns * f].reshape(rows, f, columns, f).mean((1, 3))
    laplacian = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
                 - 4 * grey[1:-1, 1:-1])[::8]
    grey = grey[np.arange(rows) % 8 < 3]
    variance = laplacian.var() if laplacian.size else 0
    return [pixels.shape[1], pixels.shape[0], grey.mean(), grey.std(), variance]


FREQUENCIES = sorted(((v, u) for v in range(11) for u in range(11) if v + u), key=lambda pair: (sum(pair), pair))[:64]


def hash_twin(pixels):
    """By the definition in common/cache/perceptual_hash.h."""
    rows, columns = pixels.shape[:2]
    grey = pixels[(2 * np.arange(128) + 1) * rows // 256].astype("f8") @ [299, 587, 114] / 1000
    ends = np.arange(33) * columns // 32
    cells = np.stack([grey[:, a:max(a + 1, b)].mean(1) for a, b in zip(ends, ends[1:])], 1).reshape(32, 4, 32).mean(1)
    cosines = np.cos(np.pi * np.outer(np.arange(11), 2 * np.arange(32) + 1) / 64) / 32
    amplitudes = cosines @ cells @ cosines.T
    found = np.array([amplitudes[pair] for pair in FREQUENCIES])
    return 0 if abs(found).max() < .5 else sum(1 << i for i, amplitude in enumerate(found) if amplitude > 1e-6)


def extract(dataset, cache):
    subprocess.run([BUILD / "bin/extract", dataset, "-o", cache, "--backbone", "resnet18_w16", "--weights", "random:0",
                    "--compress", "none", "-q"], check=True)


def rows_of(cache):
    with h5py.File(cache) as file:
        return (list(file["samples/path"].asstr()), file["features/avgpool"][:],
                file["samples/statistics"][:] if "samples/statistics" in file else None,
                file["samples/perceptual_hash"][:] if "samples/perceptual_hash" in file else None)


def noted(folder, images, expected):
    """What extract notes of the pixels: of new images, of images that were there, and in a merged cache."""
    cache, grown, old = folder / "noted.h5", folder / "grown.h5", folder / "old.h5"
    extract(folder / "images", cache)
    paths, features, statistics, hashes = rows_of(cache)
    order = [int(path.split(".")[0]) for path in paths]
    twin = np.array([statistics_twin(images[i].astype("u1")) for i in order])
    check("noted statistics", statistics.dtype == np.float32 and np.allclose(statistics, twin, rtol=1e-5, atol=1e-4),
          np.abs(statistics - twin).max())
    check("noted hashes", hashes.tolist() == [hash_twin(images[i].astype("u1")) for i in order] and (hashes != 0).sum() > 3,
          [f"{value:016x}" for value in hashes[:3]])
    found = inspect(cache)["pixels"]
    check("odd images by the cache alone", found["by"] == "cache" and found["unreadable"] == 0
          and {order[image["row"]]: image["odd"] for image in found["images"]} == expected)
    last = folder / "images" / f"{len(images) - 1}.jpg"
    last.rename(folder / "aside")
    for name in (grown, old):
        extract(folder / "images", name)
    with h5py.File(old, "r+") as file:  # as programs of before made it
        del file["samples/statistics"], file["samples/perceptual_hash"]
        del file.attrs["sealed"]
    check("an old cache says that it does not know", not inspect(old)["pixels"]["done"])
    (folder / "aside").rename(last)
    for name in (grown, old):
        extract(folder / "images", name)
    same, other = rows_of(grown), rows_of(old)
    check("a grown cache is as a new one", same[0] == paths and (same[1] == features).all() and (same[2] == statistics).all()
          and (same[3] == hashes).all())
    new = np.array([i == len(images) - 1 for i in order])
    check("a grown old one knows the new image", (other[1] == features).all() and np.isnan(other[2][~new]).all()
          and (other[2][new] == statistics[new]).all() and (other[3] == np.where(new, hashes, 0)).all() and inspect(old)["pixels"]["unreadable"] == len(images) - 1)
    subprocess.run([BUILD / "bin/extract", "--merge", cache, "-o", folder / "merged.h5", "-q"], check=True)
    merged = rows_of(folder / "merged.h5")
    check("a merged one keeps them", (merged[2] == statistics).all() and (merged[3] == hashes).all())
    subprocess.run([BUILD / "bin/extract", "--verify", cache, "-q"], check=True)


def cells(folder):
    """An inverted file against all pairs, on rows in clusters with planted copies, some of which are broken."""
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 40, 6000).astype("i4")
    x = (generator.standard_normal((40, 64))[labels] + 0.35 * generator.standard_normal((6000, 64))).astype("f4")
    x[3000:3050] = x[:50] * (1 + 1e-3 * generator.standard_normal((50, 64)))
    x[77], x[78, 3] = 0, np.nan
    path = folder / "cells.h5"
    write_cache(path, x, labels, generator.choice([0, 0, 1], 6000).astype("u1"), 40)
    what = ["--duplicates", "--outliers", "--knn", "--classes", "--threshold", ".999"]
    exact, found, alone = (inspect(path, *what, *options) for options in
                           (["--exact"], ["--approximate", "--threads", 2], ["--approximate", "--threads", 1]))
    check("cells do not depend on threads", found == alone)
    streamed = inspect(path, *what, "--approximate", "--memory", "3M")
    check("from a stream, group by group, the same copies", found["duplicates"]["groups"] == streamed["duplicates"]["groups"]
          and streamed["neighbours"]["by"] == "cells", streamed["neighbours"]["lists"])
    check("all pairs by default", exact == inspect(path, *what) and exact["neighbours"]["by"] == "all pairs")
    way = found["neighbours"]
    check("cells were used", way["by"] == "cells" and way["share_of_pairs"] < .2 and way["sampled"] == 512, way)
    check("copies are found as by all pairs", len(exact["duplicates"]["groups"]) == 50
          and exact["duplicates"]["groups"] == found["duplicates"]["groups"])
    subprocess.run([BUILD / "bin/inspect", path, "--features", "--approximate", "--no-map", "--export", folder / "cells", "-q"],
                   check=True)
    listed = np.load(folder / "cells/neighbours.npy")
    unit = np.nan_to_num(x.astype("f8"))
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
    sound = np.setdiff1d(np.arange(6000), [77, 78])
    looked = sound[::10]
    cosines = unit[looked] @ unit.T
    cosines[np.arange(len(looked)), looked] = cosines[:, 77] = cosines[:, 78] = -2
    truth = np.argpartition(-cosines, 10, 1)[:, :10]
    recall = np.mean([len(set(near) & set(listed[i])) / 10 for i, near in zip(looked, truth)])
    check("recall of ten neighbours", recall > .9, f"{recall:.4f}")
    told = {one["among"]: one for one in way["lists"]}
    check("recall that is told", abs(told["all"]["recall"] - recall) < .06, told)
    check("nobody is the neighbour of a broken row", not np.isin(listed[sound], [77, 78]).any() and (listed[77] == -1).all())


def pixels(folder):
    generator = np.random.default_rng(3)
    coarse = [np.kron(generator.integers(0, 40, (6, 8, 3)), np.ones((52, 89, 1), "i8")) for i in range(12)]
    images = [(generator.integers(0, 216, (300 + i, 700 + i, 3)) + coarse[i][:300 + i, :700 + i]).astype("u1") for i in range(12)]
    images += [images[0] // 16, 255 - images[1] // 16, np.full((300, 700, 3), 90, "u1"),
               images[2][:40, :93], images[3][:60], np.kron(images[4][:6, :14], np.ones((50, 50, 1)))]
    expected = {12: ["dark", "blank"], 13: ["bright", "blank"], 14: ["blank"], 15: ["small"],
                16: ["odd shape"], 17: ["blurred"]}
    x, labels, _ = make_data(len(images) + 1, 2, 8, 4)
    path = folder / "pixels.h5"
    write_cache(path, x, labels, np.zeros(len(x), "u1"), 2)
    (folder / "images").mkdir()
    for i, image in enumerate(images):  # told by what is in them, not by their names
        height, width = image.shape[:2]
        (folder / f"images/{i}.jpg").write_bytes(
            b"P6 %d %d 255\n" % (width, height) + image.astype("u1").tobytes())
    found = inspect(path, "--pixels")["pixels"]
    check("without a folder it says so", not found["done"] and found["reason"], found.get("reason"))
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = json.dumps({"dataset": str(folder / "images")})
    found = inspect(path, "--pixels")["pixels"]
    check("odd images and why", {image["row"]: image["odd"] for image in found["images"]} == expected,
          {image["row"]: image["odd"] for image in found["images"]})
    check("one is gone", found["unreadable"] == 1)
    noted(folder, images, expected)
    for image in found["images"]:
        numbers = [image[name] for name in ("width", "height", "mean", "deviation",
                                            "laplacian_variance")]
        check(f"statistics of image {image['row']}",
              np.allclose(numbers, statistics_twin(images[image["row"]].astype("u1")), rtol=1e-5,
                          atol=1e-4))


def copies_by_pixels(folder):
    """Copies whose features say nothing: by the hashes of images that are read, which nothing else is."""
    from PIL import Image, ImageOps
    generator = np.random.default_rng(11)
    kinds = {"quality 20": lambda image: (image, 20), "a quarter": lambda image: (image.resize((80, 60), Image.LANCZOS), 95),
             "brighter": lambda image: (image.point(lambda level: min(255, int(1.2 * level))), 95),
             "mirrored": lambda image: (ImageOps.mirror(image), 95)}
    (folder / "copied").mkdir()
    for i in range(60):
        coarse = Image.fromarray(generator.integers(0, 256, (9, 12, 3)).astype("u1")).resize((320, 240), Image.BICUBIC)
        noise = generator.integers(-12, 13, (240, 320, 3))
        image = Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype("u1"))
        image.save(folder / f"copied/{i}.jpg", quality=90)
        if i < 40:
            copy, quality = list(kinds.values())[i % 4](image)
            copy.save(folder / f"copied/{60 + i}.jpg", quality=quality)
    path = folder / "copied.h5"
    write_cache(path, generator.standard_normal((100, 32)).astype("f4"), np.zeros(100, "i4"), (np.arange(100) // 60).astype("u1"), 1)
    without = inspect(path, "--duplicates")["duplicates"]
    check("without hashes no pixels are compared", without["pixels_compared"] == 0 and not without["groups"])
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = json.dumps({"dataset": str(folder / "copied")})
    found = inspect(path, "--duplicates", "--pixels")["duplicates"]
    rows = {tuple(group["rows"]): group for group in found["groups"]}
    check("every copy is found by its pixels", set(rows) == {(i, 60 + i) for i in range(40)} and found["pixels_compared"] == 100,
          sorted(set((i, 60 + i) for i in range(40)) ^ set(rows)))
    check("which is said of them", all(group["by_pixels"] and group["crosses_splits"] and group["similarity"] < .9
                                       for group in found["groups"]))


with tempfile.TemporaryDirectory() as name:
    work = pathlib.Path(name)
    near_and_votes(work)
    label_errors()
    flipped_labels(work)
    models(work)
    cells(work)
    pixels(work)
    copies_by_pixels(work)
print("cleanlab was asked" if find_label_issues else "cleanlab is not there: the twin alone")
sys.exit(1 if failures else 0)
