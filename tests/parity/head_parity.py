"""The trainer's steps against torch.optim: same start, same batches, same weights.

usage: head_parity.py TRAIN_STEPS
"""
import subprocess
import sys

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

N, D, C, EPOCHS, BATCH = 300, 24, 5, 6, 64  # the last batch of an epoch has 44 rows

# Both sides round to float32 after every operation, in another order: 6e-8 a step at
# values near 1, and 30 steps.
TOLERANCE = 1e-6

CASES = [
    # optimizer, lr, weight decay, momentum, schedule
    ("adam", 1e-2, 0.0, 0.0, "constant"),
    ("adam", 1e-2, 0.1, 0.0, "cosine"),
    ("adam", 1e-2, 0.0, 0.0, "2"),
    ("adamw", 1e-2, 0.0, 0.0, "constant"),
    ("adamw", 1e-2, 0.5, 0.0, "cosine"),
    ("sgd", 1e-1, 0.0, 0.0, "constant"),
    ("sgd", 1e-1, 0.01, 0.9, "cosine"),
    ("sgd", 1e-1, 0.01, 0.9, "2"),
]


def torch_steps(case, weight, bias, x, labels):
    name, rate, decay, momentum, schedule = case
    layer = torch.nn.Linear(D, C)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    extra = {"momentum": momentum} if name == "sgd" else {}
    optimizer = kind(layer.parameters(), lr=rate, weight_decay=decay, **extra)
    if schedule == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
    else:
        step = EPOCHS + 1 if schedule == "constant" else int(schedule)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=step, gamma=0.1)
    for _ in range(EPOCHS):
        for first in range(0, N, BATCH):
            optimizer.zero_grad()
            batch = torch.from_numpy(x[first:first + BATCH])
            target = torch.from_numpy(labels[first:first + BATCH]).long()
            torch.nn.functional.cross_entropy(layer(batch), target).backward()
            optimizer.step()
        scheduler.step()
    return np.concatenate([p.detach().numpy().ravel() for p in (layer.weight, layer.bias)])


def our_steps(program, case, weight, bias, x, labels):
    name, rate, decay, momentum, schedule = case
    arguments = [program, name, rate, decay, momentum, schedule, EPOCHS, BATCH, N, D, C]
    data = b"".join(a.tobytes() for a in (weight, bias, x, labels))
    done = subprocess.run([str(a) for a in arguments], input=data, stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, "f4")


def main(program):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((N, D)).astype("f4")
    labels = generator.integers(0, C, N).astype("i4")
    x[np.arange(N), labels] += 1.5
    weight = (0.2 * generator.standard_normal((C, D))).astype("f4")
    bias = (0.2 * generator.standard_normal(C)).astype("f4")
    failed = 0
    for case in CASES:
        expected = torch_steps(case, weight, bias, x, labels)
        found = our_steps(program, case, weight, bias, x, labels)
        moved = np.abs(expected - np.concatenate([weight.ravel(), bias])).max()
        worst = np.abs(expected - found).max()
        good = worst <= TOLERANCE and moved > 1e4 * TOLERANCE
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {case}: largest difference {worst:.2e} after moving {moved:.2e}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
