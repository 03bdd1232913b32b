"""Peers for stage two, on one feature file: a PyTorch loop as in the seeds (Adam, batch 64, 5 epochs) and scikit-learn.

usage: peer_heads.py FEATURES.npz|FEATURES.h5 [--epochs 5] [--batch 64] [--heads 1] [--sklearn] [--loader]
Times are whole-loop seconds, imports left out (in the peer's favour); 'process' adds them.
"""
import time; T0 = time.time()
import argparse, os, numpy as np, torch
p = argparse.ArgumentParser(); p.add_argument("file"); p.add_argument("--epochs", type=int, default=5)
p.add_argument("--batch", type=int, default=64); p.add_argument("--heads", type=int, default=1)
p.add_argument("--sklearn", action="store_true"); p.add_argument("--loader", action="store_true")
a = p.parse_args(); torch.set_num_threads(len(os.sched_getaffinity(0)))
z = np.load(a.file); X, y, Xv, yv = z["X"].astype("f4"), z["Y"], z["Xt"].astype("f4"), z["Yt"]
C = int(y.max()) + 1
if a.sklearn:
    from sklearn.linear_model import LogisticRegression
    t = time.time(); m = LogisticRegression(max_iter=1000, C=1.0).fit(X, y)
    seconds = time.time() - t
    p = m.predict_proba(X)[np.arange(len(y)), y].astype("f8")
    objective = -np.log(p).mean() + (m.coef_.astype("f8") ** 2).sum() / (2 * len(y))
    print(f"sklearn seconds {seconds:.3f} val_acc {m.score(Xv, yv):.4f} objective {objective:.8f}")
    raise SystemExit
X, y, Xv, yv = map(torch.from_numpy, (X, y, Xv, yv))
t = time.time(); ce = torch.nn.CrossEntropyLoss()
for h in range(a.heads):
    torch.manual_seed(h); lin = torch.nn.Linear(X.shape[1], C); opt = torch.optim.Adam(lin.parameters(), 1e-3)
    for e in range(a.epochs):
        if a.loader:
            it = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), a.batch, shuffle=True)
        else:
            pm = torch.randperm(len(X)); it = ((X[pm[i:i+a.batch]], y[pm[i:i+a.batch]]) for i in range(0, len(X), a.batch))
        for xb, yb in it:
            opt.zero_grad(); l = ce(lin(xb), yb); l.backward(); opt.step()
        with torch.no_grad(): acc = (lin(Xv).argmax(1) == yv).float().mean().item()
print(f"torch loop heads {a.heads} seconds {time.time()-t:.3f} val_acc {acc:.4f} process {time.time()-T0:.3f}")
