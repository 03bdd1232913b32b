"""Fine-tuning against torch's own loop: the same start, the same batches, the same weights after two epochs.

finetune_parity.py EXTRACT TRAIN PREDICT

Weights may differ by 1e-3 of a tensor's largest, and moves, in the mean, by 2 % of their size: an Adam step is of one size however
small the gradient, so rounding errors of a gradient near zero turn it round; and a ReLU near zero may open on one side only.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import h5py
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
except ImportError as error:
    print(f"SKIP: {error.name} is missing")
    sys.exit(77)
from backbone_tool import IS_LONG, check, finish, normalised, pixels

EXTRACT, TRAIN, PREDICT = sys.argv[1:4]
SIZE, COUNT, BATCH, EPOCHS, SEED = 64, 52, 8, 2, 3
MASK = (1 << 64) - 1


# ---- the order of the batches, as common/base/random.c draws it ----

def mix(value):
    value = ((value ^ (value >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    value = ((value ^ (value >> 27)) * 0x94d049bb133111eb) & MASK
    return value ^ (value >> 31)


class Random:
    def __init__(self, seed, stream):
        self.state = mix(mix((seed + 0x9e3779b97f4a7c15) & MASK) ^ mix((stream + 0xd1b54a32d192ed03) & MASK))

    def below(self, bound):
        limit = MASK - MASK % bound
        while True:
            self.state = (self.state + 0x9e3779b97f4a7c15) & MASK
            value = mix(self.state)
            if value < limit:
                return value % bound


def epoch_order(count, epoch):
    random, order = Random(SEED, 0x73687566 << 32 | epoch), list(range(count))
    for i in range(count, 1, -1):
        other = random.below(i)
        order[i - 1], order[other] = order[other], order[i - 1]
    return order


# ---- the two sides ----

def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stderr}")
    return done.stdout


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "I64": "<i8"}
    return {name: np.frombuffer(data, types[entry["dtype"]], int(np.prod(entry["shape"])), 8 + size + entry["data_offsets"][0])
            .reshape(entry["shape"]) for name, entry in header.items()}


def draw(folder):
    generator = np.random.default_rng(1)
    for index in range(COUNT):
        path = folder / f"class{index % 3}" / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE), Image.BICUBIC).save(path)


def backbone():
    """ResNet-18 whose running statistics are those of something."""
    torch.manual_seed(7)
    net = torchvision.models.resnet18().train()
    with torch.no_grad():
        for _ in range(12):
            net(torch.randn(8, 3, SIZE, SIZE))
    return net.eval()


OPTIMIZERS = {
    "adam": (["--optimizer", "adam", "--lr", "1e-5"], lambda groups: torch.optim.Adam(groups, 1e-5)),
    "adamw": (["--optimizer", "adamw", "--lr", "1e-5", "--weight-decay", "0.3", "--clip", "0.5"],
              lambda groups: torch.optim.AdamW(groups, 1e-5, weight_decay=0.3)),
    "sgd": (["--optimizer", "sgd", "--lr", "0.0005", "--nesterov", "--momentum", "0.8", "--weight-decay", "0.01",
             "--backbone-lr", "0.0001"],
            lambda groups: torch.optim.SGD(groups, 0.0005, momentum=0.8, nesterov=True, weight_decay=0.01)),
}


def torch_loop(net, head, maps, labels, make_optimizer, norms_learn, clip, backbone_rate):
    """What ours is to do: weight decay for weights alone, but of the head for its bias too."""
    layer4 = net.layer4
    plain = [p for name, p in layer4.named_parameters() if p.dim() == 1]
    decaying = [p for p in layer4.parameters() if p.dim() > 1]
    rate = {} if backbone_rate is None else {"lr": backbone_rate}
    optimizer = make_optimizer([{"params": list(head.parameters())}, {"params": decaying, **rate},
                                {"params": plain, "weight_decay": 0.0, **rate}])
    parameters = [*head.parameters(), *layer4.parameters()]
    layer4.train()
    if not norms_learn:
        for module in layer4.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    for epoch in range(1, EPOCHS + 1):
        order = epoch_order(len(maps), epoch)
        for first in range(0, len(order), BATCH):
            rows = order[first:first + BATCH]
            optimizer.zero_grad()
            features = net.avgpool(layer4(maps[rows])).flatten(1)
            torch.nn.functional.cross_entropy(head(features), labels[rows]).backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()


def compare(scratch, cache, maps, labels, name, norms_learn):
    flags, make_optimizer = OPTIMIZERS[name]
    tuned = scratch / "tuned.safetensors"
    run(TRAIN, cache, "--finetune", "layer4", "--init", scratch / "head.safetensors", "--batch", BATCH, "--epochs", EPOCHS,
        "--seed", SEED, "--val", "0", "--batch-norm", "learn" if norms_learn else "frozen", "-o", tuned, "-q", *flags)
    start, found = read_safetensors(scratch / "head.safetensors"), read_safetensors(tuned)
    net, head = backbone(), torch.nn.Linear(512, 3)
    head.load_state_dict({"weight": torch.tensor(start["fc.weight"]), "bias": torch.tensor(start["fc.bias"])})
    before = {key: value.clone() for key, value in net.state_dict().items()}
    clip = 0.5 if "--clip" in flags else None
    rate = float(flags[flags.index("--backbone-lr") + 1]) if "--backbone-lr" in flags else None
    torch_loop(net, head, maps, labels, make_optimizer, norms_learn, clip, rate)
    worst, worst_move, changed = 0, 0, 0
    expected = {**net.state_dict(), "fc.weight": head.weight.detach(), "fc.bias": head.bias.detach()}
    before.update({key: torch.tensor(start[key]) for key in ("fc.weight", "fc.bias")})
    for key, value in found.items():
        move, difference = (expected[key] - before[key]).abs(), (torch.tensor(value) - expected[key]).abs()
        worst = max(worst, (difference.max() / max(expected[key].abs().max(), 1e-2)).item())  # biases begin at 0
        if move.max() > 0:
            changed += 1
            worst_move = max(worst_move, (difference.mean() / move.mean()).item())
    label = f"{name}, batch norm {'learns' if norms_learn else 'frozen'}"
    check(f"{label}: {changed} of {len(found)} tensors moved", changed == (27 if norms_learn else 17))
    check(f"{label}: weights, moves", worst < 1e-3 and worst_move < 0.02, f"{worst:.1e} {worst_move:.1e}")
    check(f"{label}: running statistics", (expected["layer4.0.bn1.running_mean"] != before["layer4.0.bn1.running_mean"])
          .any().item() == norms_learn)
    return net, head, tuned


def predicted_by(what, net, model, scratch, tolerance):
    """predict's probabilities of the images beside those of a network of torch's."""
    lines = run(PREDICT, model, scratch / "images", "--top", "1", "-q").splitlines()[1:]
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    worst, found = 0, []
    for line in lines:
        path, label, probability = line.rsplit(",", 2)
        found.append(float(probability))
        image = torch.tensor(np.asarray(Image.open(path).convert("RGB"))).permute(2, 0, 1) / 255
        with torch.no_grad():
            expected = torch.softmax(net(((image - mean) / std)[None]), 1)[0]
        worst = max(worst, abs(expected[int(label[-1])].item() - float(probability)))
    check(f"{what} on {len(lines)} images", len(lines) == COUNT and worst < tolerance and np.std(found) > 1e-3,
          f"{worst:.1e}, from {min(found)} to {max(found)}")


# Of networks that a peer has to be asked about: node that is trained, tap that is kept for it, tap of the head.
OTHERS = {"mobilenet_v3_small": ("features.12", "features.11", "classifier.1")}
if IS_LONG:
    OTHERS.update({"convnext_tiny": ("features.7", "features.6", "classifier.1"), "efficientnet_v2_s": ("features.7", "features.6", "avgpool"),
                   "densenet121": ("features.norm5", "features.denseblock4", "adaptive_avg_pool2d")})


def whole_way(scratch, name, node, kept, tap):
    """extract, train, train --finetune, predict --export: torchvision's network with that file predicts what predict does."""
    torch.manual_seed(5)
    model, weights, cache = getattr(torchvision.models, name)(), scratch / f"{name}.pth", scratch / f"{name}.h5"
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1  # the statistics are those of these pixels
    with torch.no_grad():
        model.train()(normalised(pixels(16, SIZE)))
    torch.save(model.state_dict(), weights)
    run(EXTRACT, scratch / "images", "-o", cache, "--backbone", name, "--weights", weights, "--tap", f"{tap},{kept}",
        "--store", "f32", "--resize", SIZE, "--crop", SIZE, "-q")
    head, tuned, exported = (scratch / f"{name}{end}.safetensors" for end in ("-head", "-tuned", "-exported"))
    run(TRAIN, cache, "--tap", tap, "--epochs", "3", "--val", "0", "-o", head, "-q")
    run(TRAIN, cache, "--finetune", node, "--init", head, "--batch", BATCH, "--epochs", EPOCHS, "--lr", "1e-3", "--val", "0",
        "-o", tuned, "-q")
    run(PREDICT, tuned, "--export", exported, "-q")
    state, before = read_safetensors(exported), model.state_dict()
    changed = {key.rsplit(".", 1)[0] for key, value in state.items()
               if before[key].shape == value.shape and np.abs(value - before[key].numpy()).max() > 1e-5}
    others = [key for key in changed if not key.startswith((node, tap.split(".")[0]))]
    check(f"{name}: {len(changed)} modules are tuned, no others", any(key.startswith(node) for key in changed) and not others, others)
    fresh = getattr(torchvision.models, name)(num_classes=3)
    missing, unexpected = fresh.load_state_dict({key: torch.tensor(value) for key, value in state.items()}, strict=False)
    check(f"{name}: loads", not unexpected and not missing, f"{missing} {unexpected}")
    predicted_by(f"{name}: predict, and torchvision with the exported state", fresh.eval(), tuned, scratch, 1e-4)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        draw(scratch / "images")
        torch.save(backbone().state_dict(), scratch / "net.pth")
        cache = scratch / "c.h5"
        run(EXTRACT, scratch / "images", "-o", cache, "--backbone", "resnet18", "--weights", scratch / "net.pth", "--tap",
            "avgpool,layer3", "--store", "f32", "--resize", SIZE, "--crop", SIZE, "--compress", "gzip", "-q")
        run(TRAIN, cache, "--tap", "avgpool", "--epochs", "3", "--val", "0", "-o", scratch / "head.safetensors", "-q")
        with h5py.File(cache) as file:
            maps = torch.tensor(file["features/layer3"][:])
            labels = torch.tensor(file["targets/class"][:].astype(np.int64))
        for name in OPTIMIZERS:
            for norms_learn in (False, True):
                net, head, tuned = compare(scratch, cache, maps, labels, name, norms_learn)
        # The last model, on images: the whole network with its new tensors, in Python and by predict.
        net.fc = head
        predicted_by("predict", net.eval(), tuned, scratch, 1e-3)
        for name, (node, kept, tap) in OTHERS.items():
            whole_way(scratch, name, node, kept, tap)
    finish()


if __name__ == "__main__":
    main()
