"""Every loss, its value and its slopes, against torch in double precision; focal loss of labels
against torchvision where that is installed, of classes against its definition through autograd.

usage: loss_parity.py COMPUTE_LOSS
"""
import subprocess
import sys

try:
    import numpy as np
    import torch
    from torch.nn import functional as F
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)
try:
    from torchvision.ops import sigmoid_focal_loss
except (ImportError, RuntimeError):
    sigmoid_focal_loss = None

# Rounding to float32 of values near 1, and of sums of that many.
ROWS, TOLERANCE = 257, 1e-5


def focal_of_labels(z, t, gamma):
    if sigmoid_focal_loss:
        return sigmoid_focal_loss(z, t, alpha=-1, gamma=gamma)
    miss = torch.sigmoid(z) * (1 - t) + torch.sigmoid(-z) * t
    return F.binary_cross_entropy_with_logits(z, t, reduction="none") * miss**gamma


def focal_of_classes(z, label, weight, gamma):
    log_p = torch.log_softmax(z, 1).gather(1, label[:, None])[:, 0]
    return weight[label] * (-torch.expm1(log_p))**gamma * -log_p


CLASS = {"cross-entropy": lambda z, y, w: F.cross_entropy(z, y, w, reduction="none")}
VALUES = {
    ("regression", "mse"): lambda z, t: (z - t)**2,
    ("regression", "l1"): lambda z, t: (z - t).abs(),
    ("regression", "huber:0.7"): lambda z, t: F.huber_loss(z, t, reduction="none", delta=0.7),
    ("multilabel", "binary-cross-entropy"):
        lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="none"),
}
for gamma in (0, 0.5, 1, 2, 5):
    CLASS[f"focal:{gamma}"] = lambda z, y, w, gamma=gamma: focal_of_classes(z, y, w, gamma)
    VALUES["multilabel", f"focal:{gamma}"] = lambda z, t, gamma=gamma: focal_of_labels(z, t, gamma)
CLASS["focal"] = lambda z, y, w: focal_of_classes(z, y, w, 2)
VALUES["multilabel", "focal"] = lambda z, t: focal_of_labels(z, t, 2)


def ours(program, kind, loss, outputs, *arrays):
    arguments = [program, kind, loss, str(len(outputs)), str(outputs.shape[1])]
    data = b"".join(a.tobytes() for a in (outputs, *arrays))
    done = subprocess.run(arguments, input=data, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(done[:8], "f8")[0], np.frombuffer(done[16:], "f4").reshape(outputs.shape)


def compare(what, found, outputs, loss):
    z = torch.from_numpy(outputs).double().requires_grad_()
    total = loss(z).sum()
    total.backward()
    value = abs(found[0] - total.item()) / max(1, abs(total.item()))
    slope = np.abs(found[1] - z.grad.numpy()).max()
    good = value < TOLERANCE and slope < TOLERANCE and np.abs(found[1]).max() > 1e-3
    print(f"{'ok  ' if good else 'FAIL'} {what}: value off by {value:.1e}, slopes by {slope:.1e}")
    return not good


def main(program):
    generator = np.random.default_rng(0)
    failed = 0
    for classes in (2, 5, 32, 33, 100):
        z = (4 * generator.standard_normal((ROWS, classes))).astype("f4")
        y = generator.integers(0, classes, ROWS).astype("i4")
        w = generator.uniform(0.2, 2, classes).astype("f4")
        labels, weights = torch.from_numpy(y).long(), torch.from_numpy(w).double()
        for loss, reference in CLASS.items():
            found = ours(program, "class", loss, z, y, w)
            failed += compare(f"{loss} of {classes} classes", found, z, lambda z: reference(z, labels, weights))
    z = (4 * generator.standard_normal((ROWS, 7))).astype("f4")
    t = generator.uniform(0, 1, (ROWS, 7)).astype("f4")
    t[: ROWS // 2] = t[: ROWS // 2] > 0.5  # and the rest in between
    truth = torch.from_numpy(t).double()
    for (kind, loss), reference in VALUES.items():
        found = ours(program, kind, loss, z, t)
        failed += compare(f"{loss} of {kind}", found, z, lambda z: reference(z, truth))
    print("focal loss of labels is", "torchvision's" if sigmoid_focal_loss else "that of its definition")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
