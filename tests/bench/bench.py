#!/usr/bin/env python3
"""Our commands and their peers, alternating in one run: medians, spread and ratios, as text, JSON and Markdown.

Absolute times of a busy machine mean little: every claim is a ratio of two medians from one run. What was measured is in
WORK_DIR/bench.json and bench.md, together with the machine and the versions of everything; README and docs/ quote those.
"""
import argparse
import json
import os
import pathlib
import sys

from bench_convolutions import bench_convolutions
from bench_extract import bench_extract, bench_maps
from bench_finetune import bench_finetune, bench_streamed_maps
from bench_gain import bench_gain
from bench_gpu import bench_gpu
from bench_growth import bench_growth
from bench_heads import bench_heads, bench_optimum, bench_streaming
from bench_networks import bench_networks
from bench_pixels import bench_pixels
from bench_precision import bench_precision
from bench_scale import bench_scale
from datasets import photographs
from machine import describe
from measure import markdown

# Name: what it measures, and the function (args, folder to work in) that returns a list of tables.
SECTIONS = {
    "extract": ("stage one: image files to features", bench_extract),
    "maps": ("stage one: image files to feature maps", bench_maps),
    "pixels": ("decoding and resizing beside Pillow's; a disk that answers late", bench_pixels),
    "precision": ("what a precision costs in features and accuracy, and brings in speed", bench_precision),
    "convolutions": ("each kind of convolution of ResNet-50 and VGG-16 on one thread", bench_convolutions),
    "networks": ("networks beside PyTorch, ONNX Runtime and OpenVINO", bench_networks),
    "growth": ("how the cost of an extraction grows", bench_growth),
    "gpu": ("stage one on a GPU, where there is one", bench_gpu),
    "heads": ("stage two: heads on 50,000 x 512 features", bench_heads),
    "optimum": ("stage two: heads to their optimum", bench_optimum),
    "streaming": ("stage two: features larger than memory", bench_streaming),
    "finetune": ("stage three: fine-tuning", bench_finetune),
    "streamed-maps": ("stage three: maps larger than memory", bench_streamed_maps),
    "scale": ("millions of rows, thousands of caches: what docs/scale.md computes with", bench_scale),
    "gain": ("what fine-tuning and views bring", bench_gain),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=os.path.abspath, help="folder of the build")
    parser.add_argument("--out", required=True, metavar="WORK_DIR", help="for caches and results")
    parser.add_argument("--data", default=os.environ.get("PERMAFROST_DATA"),
                        help="folder with real images and backbones (datasets.py lists them; default $PERMAFROST_DATA); "
                             "or any folder of class folders. Without it, images are made up")
    parser.add_argument("--peers", metavar="PYTHON", help="that has PyPI's torch, onnxruntime and openvino; without it, those "
                                                          "peers are left out, which the tables say")
    parser.add_argument("--rounds", type=int, default=3, help="of each contender (default 3)")
    parser.add_argument("--only", metavar="A,B", help="some of: " + ", ".join(SECTIONS))
    args = parser.parse_args()
    args.sections = args.only.split(",") if args.only else list(SECTIONS)
    unknown = [name for name in args.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"--only: there is no {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    return args


def machine_text(machine):
    peers = machine["peers"]
    return (f"{machine['cores']} cores of {machine['cpu']} ({' '.join(machine['flags'])}), {machine['memory_gb']} GB, "
            f"{peers['gpu'] or 'no GPU'}; {machine['system']}, Linux {machine['kernel']}, {machine['compiler']}; "
            f"extract: {machine['extract']}; peers: torch {peers['torch']} (oneDNN {peers['oneDNN']}), "
            f"torchvision {peers['torchvision']}, Pillow {peers['Pillow']}, scikit-learn {peers['scikit-learn']}.")


def write(out, results):
    """After every section, so that an interrupted run has shown something."""
    (out / "bench.json").write_text(json.dumps(results, indent=1))
    with open(out / "bench.md", "w", encoding="utf-8") as file:
        print(machine_text(results["machine"]), file=file)
        for name, entries in results["sections"].items():
            print(f"\n## {name}: {SECTIONS[name][0]}\n", file=file)
            print("\n".join(markdown(entry) for entry in entries), file=file)


def main():
    args = parse()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    results = {"machine": describe(args, photographs(args, out)), "rounds": args.rounds, "sections": {}}
    print(machine_text(results["machine"]))
    for name in args.sections:
        print(f"\n== {name}: {SECTIONS[name][0]}", flush=True)
        results["sections"][name] = SECTIONS[name][1](args, out)
        write(out, results)
    print(f"\nall figures: {out / 'bench.json'}, {out / 'bench.md'}")


if __name__ == "__main__":
    sys.exit(main())
