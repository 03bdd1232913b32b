"""Metrics against scikit-learn's on the same arrays; intervals against scipy's and against the
bootstrap. Also: the size of the blocks and the number of threads change no digit.

usage: metrics_parity.py COMPUTE_METRICS
"""
import subprocess
import sys
import warnings

try:
    import numpy as np
    from scipy import stats
    from sklearn import metrics
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

# Counts and quotients of counts: the last bits of a double.
EXACT = 1e-12
# Sums of exp and log: float32 exp there (6e-8 of a value), float64 here.
CLOSE = 1e-6
# Scores are ranked as float32: pairs whose probabilities agree to seven digits are ties there.
RANKED = 1e-6
# A standard error from B = 400 bootstrap samples has a standard deviation of 1/sqrt(2 B) = 3.5 %
# of itself; four of them, and some per cent for the terms that linearising leaves out.
BOOTSTRAPS, SPREAD = 400, 0.18
BLOCKS = ((10**6, 1), (7, 2), (1, 3))  # rows at a time, threads
failures = 0


def run(program, kind, predictions, truth):
    """The tool's lines as {key: [value, low, high]}."""
    rows, width = predictions.shape
    data = predictions.astype("f4").tobytes() + truth.tobytes()
    outputs = []
    for block, threads in BLOCKS:
        arguments = [program, kind, rows, width, block, threads]
        done = subprocess.run([str(a) for a in arguments], input=data, stdout=subprocess.PIPE, check=True)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] == outputs[2], f"{kind}: blocks or threads change the result"
    found = {}
    for line in outputs[0].decode().splitlines():
        key, *values = line.split()
        found.setdefault(key, []).append([float(v) for v in values])
    return {key: values[0] for key, values in found.items()}


class Comparison:
    def __init__(self, title, found):
        self.title, self.found, self.worst, self.problems = title, found, 0.0, []

    def equal(self, key, expected, tolerance=EXACT, relative=False):
        found = self.found[key][0]
        if np.isnan(expected) or np.isnan(found):
            if not (np.isnan(expected) and np.isnan(found)):
                self.problems.append(f"{key}: {found}, expected {expected}")
            return
        difference = abs(found - expected) / (max(1.0, abs(expected)) if relative else 1.0)
        self.worst = max(self.worst, difference)
        if difference > tolerance:
            self.problems.append(f"{key}: {found}, expected {expected}")

    def interval(self, key, low, high, tolerance=EXACT):
        ends = self.found[key][1:]
        if not np.allclose(ends, [low, high], rtol=0, atol=tolerance, equal_nan=True):
            self.problems.append(f"{key}: interval {ends}, expected {[low, high]}")

    def wilson(self, key, successes, count):
        if count == 0:
            return self.interval(key, np.nan, np.nan)
        expected = stats.binomtest(int(successes), int(count)).proportion_ci(0.95, method="wilson")
        self.interval(key, expected.low, expected.high)

    def done(self):
        global failures
        failures += bool(self.problems)
        print(f"{'FAIL' if self.problems else 'ok  '} {self.title}: largest difference {self.worst:.1e}")
        for problem in self.problems:
            print(f"       {problem}")


# ---- classification ----

def log_softmax(logits):
    z = logits.astype("f4").astype("f8")
    z = z - z.max(1, keepdims=True)
    others = np.exp(z)
    others[np.arange(len(z)), z.argmax(1)] = 0
    return z - np.log1p(others.sum(1, keepdims=True))


def one_against_rest(log_p, labels):
    """Mean AUC of the classes that have one, on scores of seven digits as the tool ranks them."""
    classes = log_p.shape[1]
    columns = [1] if classes == 2 else range(classes)
    scores = log_p.astype("f4")
    if classes == 2:
        scores = np.stack([-scores[:, 1], (log_p[:, 1] - log_p[:, 0]).astype("f4")], 1)
    aucs = [metrics.roc_auc_score(labels == c, scores[:, c]) for c in columns
            if 0 < (labels == c).sum() < len(labels)]
    return np.mean(aucs) if aucs else np.nan


def calibration_error(p, predicted, labels):
    confidence = p.max(1)
    bins = np.clip(np.ceil(confidence * 15) - 1, 0, 14)
    return sum(abs((confidence[bins == b] - (predicted == labels)[bins == b]).sum())
               for b in range(15)) / len(labels)


def check_averages(compare, labels, predicted, classes):
    present = sorted(set(labels) | set(predicted))
    scores = metrics.precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=0)
    for key, values in zip(("precision", "recall", "f1", "support"), scores):
        for c in range(classes):
            compare.equal(f"{c}.{key}", values[c])
    for average in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(
            labels, predicted, labels=present, average=average, zero_division=0)
        for key, value in zip(("precision", "recall", "f1"), expected):
            compare.equal(f"{average}_{key}", value)


def check_classification(program, title, logits, labels, ties=False):
    classes = logits.shape[1]
    found = run(program, "class", logits, labels.astype("i4"))
    compare = Comparison(f"class {title} {logits.shape}", found)
    known = labels >= 0
    logits, labels = logits[known].astype("f4"), labels[known]
    rows = len(labels)
    compare.equal("count", rows)
    if not rows:
        compare.equal("accuracy", np.nan)
        compare.equal("roc_auc", np.nan)
        return compare.done()
    log_p, predicted = log_softmax(logits), logits.argmax(1)
    loss = -log_p[np.arange(rows), labels]
    compare.equal("loss", loss.mean(), CLOSE, relative=True)
    if classes > 1 and not ties:
        expected = metrics.log_loss(labels, np.exp(log_p), labels=range(classes))
        compare.equal("loss", expected, CLOSE, relative=True)
    compare.equal("accuracy", metrics.accuracy_score(labels, predicted))
    compare.wilson("accuracy", (labels == predicted).sum(), rows)
    in_top = (np.argsort(-logits, 1, kind="stable")[:, :5] == labels[:, None]).any(1)
    compare.equal("top5_accuracy", in_top.mean() if classes > 5 else np.nan)
    if classes > 5:
        compare.wilson("top5_accuracy", in_top.sum(), rows)
        if not ties:
            compare.equal("top5_accuracy", metrics.top_k_accuracy_score(labels, logits, k=5, labels=range(classes)))
    compare.equal("balanced_accuracy", metrics.balanced_accuracy_score(labels, predicted))
    check_averages(compare, labels, predicted, classes)
    compare.equal("roc_auc", one_against_rest(log_p, labels), RANKED)
    if not ties and classes > 2 and len(set(labels)) == classes:
        p = np.exp(log_p)
        compare.equal("roc_auc", metrics.roc_auc_score(labels, p / p.sum(1, keepdims=True), multi_class="ovr"), RANKED)
    if classes > 1:
        compare.equal("calibration_error", calibration_error(np.exp(log_p), predicted, labels), CLOSE)
    compare.done()


def classification_cases(program, random):
    def logits(rows, classes, labels, scale=1.5):
        z = random.standard_normal((rows, classes))
        z[np.arange(rows), np.maximum(labels, 0)] += scale
        return z

    for rows, classes in ((1000, 2), (1000, 3), (700, 7), (900, 12), (400, 150), (5000, 6), (9001, 9)):
        labels = random.integers(0, classes, rows)
        z = logits(rows, classes, labels)
        check_classification(program, "random", z, labels)
        check_classification(program, "ties", np.round(2 * z) / 2, labels, ties=True)
        missing = np.where(random.random(rows) < 0.2, -1, labels)
        check_classification(program, "missing labels", z, missing)
    labels = random.integers(0, 5, 600)
    check_classification(program, "absent classes", logits(600, 8, labels), labels)
    check_classification(program, "one class of three", logits(50, 3, np.ones(50, int)), np.ones(50, int))
    check_classification(program, "a single class", random.standard_normal((30, 1)), np.zeros(30, int), ties=True)
    check_classification(program, "no labels", logits(30, 4, np.zeros(30, int)), -np.ones(30, int))
    for rows in (1, 2):
        labels = np.arange(rows)
        check_classification(program, "few rows", logits(rows, 3, labels), labels)
        check_classification(program, "few rows", logits(rows, 2, labels), labels)
    labels = random.integers(0, 6, 300)
    check_classification(program, "perfect", logits(300, 6, labels, 30), labels)
    check_classification(program, "constant", np.zeros((300, 6)), labels, ties=True)
    check_classification(program, "always the same", np.tile([0, 3, 1, 0.5, 0, -1], (300, 1)), labels, ties=True)
    check_classification(program, "huge logits", 1e4 * logits(300, 6, labels), labels, ties=True)


# ---- regression ----

def uniform_average(values):
    values = [v for v in values if not np.isnan(v)]
    return np.mean(values) if values else np.nan


def median_interval(values):
    """Exact ranks of the binomial distribution."""
    low = int(stats.binom.ppf(0.025, len(values), 0.5)) - 1
    while low + 1 < len(values) / 2 and stats.binom.cdf(low + 1, len(values), 0.5) <= 0.025:
        low += 1
    ordered = np.sort(values)
    return (ordered[low], ordered[-1 - low]) if low >= 0 and len(values) > 5 else (np.nan, np.nan)


def column_scores(truth, predicted):
    known = ~np.isnan(truth)
    truth, predicted = truth[known], predicted[known]
    if not len(truth):
        return dict.fromkeys(("mae", "rmse", "r2", "median_absolute_error"), np.nan)
    varies = np.ptp(truth) > 0
    return {"mae": metrics.mean_absolute_error(truth, predicted),
            "rmse": metrics.mean_squared_error(truth, predicted, squared=False),
            "r2": metrics.r2_score(truth, predicted) if varies else np.nan,
            "median_absolute_error": metrics.median_absolute_error(truth, predicted)}


def check_regression(program, title, predicted, truth):
    found = run(program, "regression", predicted, truth.astype("f4"))
    compare = Comparison(f"regression {title} {truth.shape}", found)
    predicted, truth = predicted.astype("f4").astype("f8"), truth.astype("f4").astype("f8")
    compare.equal("count", (~np.isnan(truth)).any(1).sum())
    columns = [column_scores(truth[:, c], predicted[:, c]) for c in range(truth.shape[1])]
    for c, scores in enumerate(columns):
        known = ~np.isnan(truth[:, c])
        compare.equal(f"{c}.count", known.sum())
        for key, value in scores.items():
            # The median is one of the errors, rounded to float32.
            compare.equal(f"{c}.{key}", value, 1e-7 if key.startswith("median") else 1e-11, relative=True)
        errors = np.abs(predicted[known, c] - truth[known, c]).astype("f4")
        if len(errors):
            compare.interval(f"{c}.median_absolute_error", *median_interval(errors))
    for key in columns[0]:
        compare.equal(key, uniform_average([scores[key] for scores in columns]), 1e-7, relative=True)
    compare.done()


def regression_cases(program, random):
    for rows, columns in ((1000, 1), (501, 3), (2, 1), (5, 2), (6, 1), (37, 4)):
        truth = 40 + 20 * random.standard_normal((rows, columns))
        predicted = truth + 8 * random.standard_normal((rows, columns))
        check_regression(program, "random", predicted, truth)
        check_regression(program, "ties", np.round(predicted), np.round(truth))
        missing = np.where(random.random(truth.shape) < 0.3, np.nan, truth)
        check_regression(program, "missing values", predicted, missing)
    check_regression(program, "far from zero", 1e6 + predicted, 1e6 + truth)
    check_regression(program, "perfect", truth, truth)
    check_regression(program, "the mean", np.tile(truth.mean(0), (len(truth), 1)), truth)
    check_regression(program, "constant truth", predicted, np.full_like(truth, 3))
    check_regression(program, "a column unknown", predicted, np.where(np.arange(4) == 2, np.nan, truth))
    check_regression(program, "one row", predicted[:1], truth[:1])
    check_regression(program, "nothing known", predicted, np.full_like(truth, np.nan))
    assert metrics.r2_score(truth, predicted) == metrics.r2_score(truth, predicted, multioutput="uniform_average")


# ---- several labels ----

def label_scores(z, truth):
    """Of the known rows of one label: precision, recall, f1, average precision, AUC."""
    predicted = z > 0
    scores = metrics.precision_recall_fscore_support(
        truth, predicted, labels=[1], average=None, zero_division=0) if len(z) else [[0], [0], [0]]
    positives = int(truth.sum())
    precision = metrics.average_precision_score(truth, z) if positives else np.nan
    auc = metrics.roc_auc_score(truth, z) if 0 < positives < len(z) else np.nan
    return [scores[0][0], scores[1][0], scores[2][0], precision, auc]


def check_multilabel(program, title, z, truth):
    found = run(program, "multilabel", z, truth.astype("f4"))
    compare = Comparison(f"multilabel {title} {truth.shape}", found)
    z, known = z.astype("f4").astype("f8"), ~np.isnan(truth)
    predicted, rows = z > 0, known.any(1)
    compare.equal("count", rows.sum())
    labels = []
    for label in range(z.shape[1]):
        use = known[:, label]
        labels.append(label_scores(z[use, label], truth[use, label] > 0))
        compare.equal(f"{label}.support", (truth[:, label] == 1).sum())
        for key, value in zip(("precision", "recall", "f1", "average_precision", "roc_auc"), labels[-1]):
            compare.equal(f"{label}.{key}", value)
    labels = np.array(labels)
    occurs = ((truth == 1) | (predicted & known)).any(0)
    compare.equal("macro_f1", labels[occurs, 2].mean() if occurs.any() else np.nan)
    compare.equal("mean_average_precision", uniform_average(labels[:, 3]))
    compare.equal("roc_auc", uniform_average(labels[:, 4]))
    exact = ((predicted == (truth == 1)) | ~known).all(1)[rows]
    if rows.any():
        compare.equal("subset_accuracy", exact.mean())
        compare.wilson("subset_accuracy", exact.sum(), rows.sum())
        flat_truth, flat_predicted = truth[known] > 0, predicted[known]
        if flat_truth.any() or flat_predicted.any():
            compare.equal("micro_f1", metrics.f1_score(flat_truth, flat_predicted))
        compare.equal("hamming_loss", metrics.hamming_loss(flat_truth, flat_predicted))
        losses = np.logaddexp(0, -np.where(flat_truth, z[known], -z[known]))
        compare.equal("loss", losses.mean(), relative=True)
    if known.all() and occurs.all() and z.shape[1] > 1:
        compare.equal("macro_f1", metrics.f1_score(truth, predicted, average="macro"))
        compare.equal("micro_f1", metrics.f1_score(truth, predicted, average="micro"))
        compare.equal("subset_accuracy", metrics.accuracy_score(truth, predicted))
        compare.equal("hamming_loss", metrics.hamming_loss(truth, predicted))
        if not np.isnan(labels[:, 3:]).any():
            compare.equal("mean_average_precision", metrics.average_precision_score(truth, z))
            compare.equal("roc_auc", metrics.roc_auc_score(truth, z))
    compare.done()


def multilabel_cases(program, random):
    for rows, labels in ((800, 5), (800, 1), (300, 20)):
        truth = (random.random((rows, labels)) < np.linspace(0.1, 0.7, labels)).astype("f8")
        z = 3 * truth - 1.5 + 1.5 * random.standard_normal((rows, labels))
        check_multilabel(program, "random", z, truth)
        check_multilabel(program, "ties", np.round(z), truth)
        check_multilabel(program, "missing", z, np.where(random.random(truth.shape) < 0.4, np.nan, truth))
    check_multilabel(program, "absent labels", z, truth * (np.arange(labels) % 3 > 0))
    check_multilabel(program, "full labels", z, np.maximum(truth, np.arange(labels) % 3 == 0))
    check_multilabel(program, "a label unknown", z, np.where(np.arange(labels) == 2, np.nan, truth))
    check_multilabel(program, "perfect", 2 * truth - 1, truth)
    check_multilabel(program, "constant", np.zeros_like(z), truth)
    check_multilabel(program, "all predicted", np.ones_like(z), truth)
    check_multilabel(program, "two rows", z[:2], truth[:2])
    check_multilabel(program, "huge logits", 1e4 * z, truth)
    check_multilabel(program, "nothing known", z, np.full_like(z, np.nan))


# ---- keypoints ----

def keypoint_scores(predicted, truth):
    """distances (n, P) with NaN, NME (n) with NaN."""
    predicted, truth = (a.reshape(len(a), -1, 2) for a in (predicted, truth))
    visible = ~np.isnan(truth).any(2)
    distances = np.where(visible, np.sqrt(((predicted - truth) ** 2).sum(2)), np.nan)
    truth = np.where(visible[:, :, None], truth, np.nan)
    area = np.prod(np.nanmax(truth, 1) - np.nanmin(truth, 1), 1)
    nme = np.nanmean(distances, 1) / np.sqrt(np.where(area > 0, area, np.nan))
    return distances, nme


def check_keypoints(program, title, predicted, truth):
    found = run(program, "keypoints", predicted, truth.astype("f4"))
    compare = Comparison(f"keypoints {title} {truth.shape}", found)
    distances, nme = keypoint_scores(predicted.astype("f4").astype("f8"), truth.astype("f4").astype("f8"))
    sized = nme[~np.isnan(nme)]
    compare.equal("count", (~np.isnan(distances)).any(1).sum())
    compare.equal("visible_points", (~np.isnan(distances)).sum())
    compare.equal("sized_images", len(sized))
    compare.equal("mean_error_pixels", np.nanmean(distances), relative=True)
    compare.equal("nme", sized.mean() if len(sized) else np.nan)
    for key, bound in (("within_8_percent", 0.08), ("within_10_percent", 0.1)):
        compare.equal(key, (sized < bound).mean() if len(sized) else np.nan)
        compare.wilson(key, (sized < bound).sum(), len(sized))
    for point in range(distances.shape[1]):
        compare.equal(f"{point}.count", (~np.isnan(distances[:, point])).sum())
        compare.equal(f"{point}.mean_error", np.nanmean(distances[:, point]), relative=True)
    compare.done()


def keypoint_cases(program, random):
    for images, points in ((400, 68), (300, 5), (2, 2)):
        truth = 200 * random.random((images, 2 * points)) + 50
        predicted = truth + 15 * random.standard_normal(truth.shape) * random.random((images, 1))
        check_keypoints(program, "random", predicted, truth)
        missing = np.where(random.random(truth.shape) < 0.2, np.nan, truth)
        check_keypoints(program, "missing", predicted, missing)
        check_keypoints(program, "perfect", truth, truth)
    check_keypoints(program, "one point", np.ones((40, 2)), np.zeros((40, 2)))
    check_keypoints(program, "on a line", predicted, np.tile([1, 2, 3, 2], (2, 1)))


# ---- intervals against the bootstrap ----

def standard_error(value, low, high, scale):
    """The standard error that an interval was made of."""
    z = stats.norm.ppf(0.975)
    if scale == "logit":
        return np.diff(np.log([low / (1 - low), high / (1 - high)]))[0] / 2 / z * value * (1 - value)
    return (high - low) / 2 / z


def check_bootstrap(title, found, statistic, rows, scales, random):
    compare = Comparison(f"bootstrap {title}", found)
    samples = [statistic(random.integers(0, rows, rows)) for _ in range(BOOTSTRAPS)]
    for key, scale in scales.items():
        expected = np.std([sample[key] for sample in samples], ddof=1)
        ours = standard_error(*found[key], scale)
        compare.worst = max(compare.worst, abs(ours / expected - 1))
        if not abs(ours / expected - 1) < SPREAD:
            compare.problems.append(f"{key}: standard error {ours}, bootstrap {expected}")
    compare.done()


def bootstrap_classification(program, random, classes):
    rows = 1500
    labels = random.choice(classes, rows, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    z = random.standard_normal((rows, classes))
    z[np.arange(rows), labels] += 1.2
    z = z.astype("f4")
    p, predicted = np.exp(log_softmax(z)), z.argmax(1)
    found = run(program, "class", z, labels.astype("i4"))

    def statistic(use):
        y, q = labels[use], predicted[use]
        auc = np.mean([metrics.roc_auc_score(y == c, p[use, c]) for c in range(classes == 2, classes)])
        return {"loss": -np.log(p[use, y]).mean(), "accuracy": (y == q).mean(),
                "balanced_accuracy": np.mean([(q[y == c] == c).mean() for c in range(classes)]),
                "macro_f1": metrics.f1_score(y, q, average="macro"), "roc_auc": auc}

    check_bootstrap(f"class ({rows}, {classes})", found, statistic, rows,
                    {"loss": "plain", "accuracy": "plain", "balanced_accuracy": "plain", "macro_f1": "logit",
                     "roc_auc": "logit"}, random)


def bootstrap_regression(program, random):
    rows = 1500
    truth = (40 + 20 * random.standard_normal((rows, 2)) ** 2).astype("f4")
    shared = random.standard_normal((rows, 1))  # errors of a row go together
    predicted = (truth + 6 * shared + 3 * random.standard_normal((rows, 2))).astype("f4")
    truth[random.random(truth.shape) < 0.1] = np.nan
    found = run(program, "regression", predicted, truth)
    known, error = ~np.isnan(truth), predicted.astype("f8") - truth

    def statistic(use):
        result = {}
        for c in range(2):
            e, y = error[use, c][known[use, c]], truth[use, c][known[use, c]]
            result.update({f"{c}.mae": np.abs(e).mean(), f"{c}.rmse": np.sqrt((e ** 2).mean()),
                           f"{c}.r2": 1 - (e ** 2).sum() / ((y - y.mean()) ** 2).sum()})
        for key in ("mae", "rmse", "r2"):
            result[key] = (result[f"0.{key}"] + result[f"1.{key}"]) / 2
        return result

    check_bootstrap(f"regression ({rows}, 2)", found, statistic, rows,
                    {key: "plain" for key in statistic(np.arange(rows))}, random)


def bootstrap_multilabel(program, random):
    rows, labels = 1500, 4
    truth = (random.random((rows, labels)) + 0.4 * random.random((rows, 1)) < [0.3, 0.5, 0.7, 0.9]).astype("f4")
    shared = random.standard_normal((rows, 1))
    z = (2 * truth - 1 + shared + random.standard_normal((rows, labels))).astype("f4")
    truth[random.random(truth.shape) < 0.1] = np.nan
    found = run(program, "multilabel", z, truth)
    known, positive, predicted = ~np.isnan(truth), truth == 1, z > 0
    losses = np.logaddexp(0, np.where(positive, -z, z).astype("f8"))

    def statistic(use):
        k, y, q = known[use], positive[use], predicted[use]
        f1 = [metrics.f1_score(y[k[:, l], l], q[k[:, l], l]) for l in range(labels)]
        auc = [metrics.roc_auc_score(y[k[:, l], l], z[use][k[:, l], l]) for l in range(labels)]
        return {"loss": losses[use][k].mean(), "hamming_loss": (y != q)[k].mean(), "macro_f1": np.mean(f1),
                "micro_f1": metrics.f1_score(y[k], q[k]), "roc_auc": np.mean(auc),
                "subset_accuracy": ((y == q) | ~k).all(1).mean()}

    check_bootstrap(f"multilabel ({rows}, {labels})", found, statistic, rows,
                    {"loss": "plain", "hamming_loss": "logit", "macro_f1": "logit", "micro_f1": "logit",
                     "roc_auc": "logit", "subset_accuracy": "plain"}, random)


def bootstrap_keypoints(program, random):
    images = 1000
    truth = (200 * random.random((images, 20))).astype("f4")
    predicted = (truth + 10 * random.random((images, 1)) * random.standard_normal(truth.shape)).astype("f4")
    truth[random.random(truth.shape) < 0.2] = np.nan
    found = run(program, "keypoints", predicted, truth)
    distances, nme = keypoint_scores(predicted.astype("f8"), truth.astype("f8"))

    def statistic(use):
        return {"mean_error_pixels": np.nanmean(distances[use]), "nme": np.nanmean(nme[use])}

    check_bootstrap(f"keypoints ({images}, 20)", found, statistic, images,
                    {"mean_error_pixels": "plain", "nme": "plain"}, random)


def main(program):
    warnings.filterwarnings("ignore")  # scikit-learn's, about classes that are not there
    random = np.random.default_rng(7)
    classification_cases(program, random)
    regression_cases(program, random)
    multilabel_cases(program, random)
    keypoint_cases(program, random)
    bootstrap_classification(program, random, 2)
    bootstrap_classification(program, random, 4)
    bootstrap_regression(program, random)
    bootstrap_multilabel(program, random)
    bootstrap_keypoints(program, random)
    return failures != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
