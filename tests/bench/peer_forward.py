"""Peer for the forward stage alone: decoded images from page-locked memory through torchvision's network on a GPU, features
back in page-locked memory, as an expert writes it: channels last, batch norm fused, copies that do not wait, three batches
under way.

usage: peer_forward.py --arch resnet18 [--weights FILE] [--tap avgpool] [--precision bf16] [--batch B] [--seconds S]
                       [--mode eager|graph|compile|compile-graph]
Prints: "batch B images_per_s R". Opening, compiling and warming up are left out (in the peer's favour).
"""
import argparse
import time

import torch
import torchvision
from torch.fx.experimental.optimization import fuse
from torchvision.models.feature_extraction import create_feature_extractor

DEPTH = 3
TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--weights")
    parser.add_argument("--tap", default="avgpool")
    parser.add_argument("--precision", choices=TYPES, default="bf16")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--mode", choices=("eager", "graph", "compile", "compile-graph"), default="compile")
    return parser.parse_args()


def open_network(args):
    network = getattr(torchvision.models, args.arch)()
    if args.weights:
        network.load_state_dict(torch.load(args.weights))
    network = create_feature_extractor(fuse(network.eval()), {args.tap: "features"}).eval()
    return network.to("cuda", TYPES[args.precision], memory_format=torch.channels_last)


def whole(args, network):
    """From bytes (B, 224, 224, 3) on the device to features (B, d) in f16."""
    mean = torch.tensor([.485, .456, .406], device="cuda").view(1, 3, 1, 1) * 255
    std = torch.tensor([.229, .224, .225], device="cuda").view(1, 3, 1, 1) * 255

    def forward(pixels):
        images = (pixels.permute(0, 3, 1, 2).float() - mean) / std
        images = images.to(TYPES[args.precision], memory_format=torch.channels_last)
        return network(images)["features"].flatten(1).half()

    if args.mode.startswith("compile"):
        return torch.compile(forward, mode="max-autotune-no-cudagraphs" if args.mode == "compile" else "max-autotune")
    return forward


def graphed(forward, example):
    """The same as one graph of CUDA."""
    for _ in range(3):
        forward(example)
    torch.cuda.synchronize()
    graph, inputs = torch.cuda.CUDAGraph(), example.clone()
    with torch.cuda.graph(graph):
        outputs = forward(inputs)

    def replay(pixels):
        inputs.copy_(pixels)
        graph.replay()
        return outputs
    return replay


def main():
    args = parse()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    forward = whole(args, open_network(args))
    pixels = [torch.randint(0, 256, (args.batch, 224, 224, 3), dtype=torch.uint8).pin_memory() for _ in range(DEPTH)]
    with torch.inference_mode():
        example = pixels[0].cuda()
        if args.mode == "graph":
            forward = graphed(forward, example)
        width = forward(example).shape[1]
        features = [torch.empty(args.batch, width, dtype=torch.float16).pin_memory() for _ in range(DEPTH)]
        done = [torch.cuda.Event() for _ in range(DEPTH)]

        def submit(index):
            here = index % DEPTH
            if index >= DEPTH:
                done[here].synchronize()
            features[here].copy_(forward(pixels[here].cuda(non_blocking=True)), non_blocking=True)
            done[here].record()

        for index in range(4 * DEPTH):
            submit(index)
        torch.cuda.synchronize()
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < args.seconds:
            submit(count + DEPTH)
            count += 1
        torch.cuda.synchronize()
        print(f"batch {args.batch} images_per_s {count * args.batch / (time.perf_counter() - started):.1f}")


if __name__ == "__main__":
    main()
