"""Peer for stage three: the seeds' own fine-tuning loop, from image files.

usage: peer_finetune.py IMAGEFOLDER [--arch resnet18|vgg16] [--epochs N] [--batch B] [--lr X] [--workers N]
                        [--batch-norm-frozen]
layer4 and fc of a ResNet, features.24 on and a new Linear of a VGG-16, learn by Adam. Prints seconds of an epoch's loop,
images/s; import and model-load time are left out (in the peer's favour).
"""
import argparse
import os
import time

import torch
import torchvision
from torchvision import transforms


def network(arch, classes):
    net = getattr(torchvision.models, arch)()
    if arch.startswith("resnet"):
        for name, parameter in net.named_parameters():
            parameter.requires_grad = name.startswith("layer4")
        net.fc = torch.nn.Linear(net.fc.in_features, classes)
    else:
        for name, parameter in net.named_parameters():
            parameter.requires_grad = name.startswith("features.") and int(name.split(".")[1]) >= 24
        net.classifier = torch.nn.Linear(512 * 49, classes)
    return net


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-norm-frozen", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    data = torchvision.datasets.ImageFolder(args.folder, prepare)
    net = network(args.arch, len(data.classes))
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=args.lr)
    for _ in range(args.epochs):
        net.train(not args.batch_norm_frozen)
        started = time.perf_counter()
        for images, labels in torch.utils.data.DataLoader(data, args.batch, shuffle=True, num_workers=args.workers):
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - started
        print(f"epoch_seconds {seconds:.3f} images_per_s {len(data) / seconds:.2f}")


if __name__ == "__main__":
    main()
