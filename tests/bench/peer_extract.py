"""Peer for stage one: the seed's own way of getting features (torchvision + DataLoader), timed end to end.

usage: peer_extract.py IMAGEFOLDER OUT.h5 [--weights FILE] [--arch resnet18] [--workers N] [--batch B]
                              [--bf16] [--channels-last] [--fuse] [--tap avgpool|layer3] [--device cuda]
Prints: images, seconds in the loop, images/s. Import and model-load time are left out (in the peer's favour).
"""
import argparse, os, time
import torch, torchvision
import torchvision.transforms as T
import h5py, numpy as np

p = argparse.ArgumentParser()
p.add_argument("root"); p.add_argument("out"); p.add_argument("--weights"); p.add_argument("--arch", default="resnet18")
p.add_argument("--workers", type=int, default=0); p.add_argument("--batch", type=int, default=32)
p.add_argument("--bf16", action="store_true"); p.add_argument("--channels-last", action="store_true")
p.add_argument("--fuse", action="store_true"); p.add_argument("--tap", default="avgpool")
p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0))); p.add_argument("--device", default="cpu")
a = p.parse_args()
torch.set_num_threads(a.threads)
m = getattr(torchvision.models, a.arch)()
if a.weights: m.load_state_dict(torch.load(a.weights))
m.eval()
if a.fuse:
    from torch.fx.experimental.optimization import fuse
    m = fuse(m)
from torchvision.models.feature_extraction import create_feature_extractor
m = create_feature_extractor(m, {a.tap: "f"}).eval()
if a.bf16: m = m.to(torch.bfloat16)
if a.channels_last: m = m.to(memory_format=torch.channels_last)
m = m.to(a.device)
tf = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize([.485, .456, .406], [.229, .224, .225])])
ds = torchvision.datasets.ImageFolder(a.root, tf)
dl = torch.utils.data.DataLoader(ds, a.batch, num_workers=a.workers, pin_memory=a.device != "cpu")
t = time.time(); F = []; Y = []
with torch.inference_mode():
    for x, y in dl:
        x = x.to(a.device, non_blocking=True)
        if a.bf16: x = x.to(torch.bfloat16)
        if a.channels_last: x = x.contiguous(memory_format=torch.channels_last)
        F.append(m(x)["f"].flatten(1).float().cpu().numpy()); Y.append(y.numpy())
F = np.concatenate(F); Y = np.concatenate(Y)
with h5py.File(a.out, "w") as h:
    h.create_dataset("features", data=F, chunks=True, compression="gzip", compression_opts=1); h["labels"] = Y
dt = time.time() - t
print(f"images {len(F)} seconds {dt:.3f} images_per_s {len(F)/dt:.2f}")
