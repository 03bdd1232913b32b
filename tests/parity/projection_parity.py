#!/usr/bin/env python3
"""inspect's projections beside scikit-learn's, on rows in clusters: principal components, the
trustworthiness of a map, and that of t-SNE's map.

Components agree to 1e-4 of the first one's spread (float32), trustworthiness to 1e-6 (the ranks are
the same numbers). Two maps by t-SNE are never the same: their trustworthiness is within 0.02.
"""
import os
import subprocess
import sys

# Threads that wait for each other take minutes where others want the processors as well.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

try:
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness
except ImportError as error:
    print("SKIP:", error)
    sys.exit(77)

PROGRAM = sys.argv[1]
ROWS, COLUMNS = 900, 70


def draw_rows():
    random = np.random.default_rng(1)
    hidden = 3 * random.normal(size=(12, 6))[random.integers(0, 12, ROWS)] + random.normal(size=(ROWS, 6))
    return (np.tanh(hidden @ random.normal(size=(6, COLUMNS)) / 3)
            + 0.3 * random.normal(size=(ROWS, COLUMNS))).astype("f4")


def run(rows, *arguments):
    done = subprocess.run([PROGRAM, str(len(rows)), str(rows.shape[1]), *arguments],
                          input=rows.tobytes(), capture_output=True, check=True)
    words = [line.split() for line in done.stderr.decode().splitlines()]
    return np.frombuffer(done.stdout, "f4").reshape(len(rows), -1), words


def main():
    rows = draw_rows()
    ours, words = run(rows, "pca", "8")
    theirs = PCA(8, svd_solver="full").fit(rows)
    scores = theirs.transform(rows)
    scores *= np.sign((ours * scores).sum(0))
    worst = np.abs(ours - scores).max() / scores[:, 0].std()
    shares = np.array([float(word[1]) for word in words if word[0] == "explained"])
    print(f"principal components: largest difference {worst:.2g} of the first one's spread")
    assert worst < 1e-4, worst
    assert np.abs(shares - theirs.explained_variance_ratio_).max() < 1e-6, shares

    # 900 rows are evenly spaced among 900: the whole map.
    ours, words = run(rows, "tsne", "0")
    told = next(float(word[1]) for word in words if word[0] == "trust")
    found = trustworthiness(rows, ours, n_neighbors=15)
    print(f"trustworthiness of our map: {told:.5f}, scikit-learn says {found:.6f}")
    assert abs(told - found) < 2e-5, (told, found)
    theirs = TSNE(init="pca", learning_rate="auto", random_state=0).fit_transform(rows)
    peer = trustworthiness(rows, theirs, n_neighbors=15)
    print(f"trustworthiness of scikit-learn's map: {peer:.5f}")
    assert found > peer - 0.02, (found, peer)


main()
