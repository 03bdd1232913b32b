"""Peer for networks alone on a processor: the forward pass of one network over tensors that are ready, with random weights,
as an expert runs it.

usage: peer_network.py WAY NETWORK [--threads 2] [--batch 16] [--seconds 3] [--onnx FILE]
WAY is one of
  eager        PyTorch, channels last, batch norms fused into convolutions where torch.fx finds them
  compile      torch.compile with its weights frozen
  onnxruntime  ONNX Runtime, fp32
  openvino     OpenVINO, fp32 asked for, one stream
  export       writes FILE for the last two
  version      prints the version of the package NETWORK
Prints: "images_per_s R", of the fastest pass; opening, compiling and one pass before are left out (in the peer's favour).
"""
import argparse
import time


def build(name):
    """torchvision's network; of vision transformers that it lacks, its VisionTransformer of the same sizes."""
    import torchvision
    if name in ("vit_s_16", "dinov2_vits14"):
        patch = 16 if name == "vit_s_16" else 14
        network = torchvision.models.VisionTransformer(224, patch, 12, 6, 384, 1536)
    else:
        network = getattr(torchvision.models, name)(weights=None)
    return network.eval()


def example(args):
    import torch
    return torch.rand(args.batch, 3, 224, 224)


def eager(args):
    import torch
    from torch.fx.experimental.optimization import fuse
    network = build(args.network)
    try:
        network = fuse(network)
    except Exception:  # torch.fx cannot follow it: there are no batch norms in transformers
        pass
    network = network.to(memory_format=torch.channels_last)
    pixels = example(args).to(memory_format=torch.channels_last)
    return lambda: network(pixels)


def compiled(args):
    import torch
    import torch._inductor.config as inductor
    inductor.freezing = True
    network = build(args.network).to(memory_format=torch.channels_last)
    pixels = example(args).to(memory_format=torch.channels_last)
    network = torch.compile(network)
    return lambda: network(pixels)


def onnxruntime(args):
    import numpy
    import onnxruntime as runtime
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    session = runtime.InferenceSession(args.onnx, options, providers=["CPUExecutionProvider"])
    pixels = {session.get_inputs()[0].name: numpy.random.rand(args.batch, 3, 224, 224).astype("f4")}
    return lambda: session.run(None, pixels)


def openvino(args):
    import numpy
    import openvino as runtime
    core = runtime.Core()
    network = core.compile_model(core.read_model(args.onnx), "CPU", {
        "INFERENCE_NUM_THREADS": args.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32"})
    pixels = numpy.random.rand(args.batch, 3, 224, 224).astype("f4")
    return lambda: network([pixels])


def export(args):
    import torch
    torch.onnx.export(build(args.network), (example(args),), args.onnx, opset_version=17, dynamo=False)


WAYS = {"eager": eager, "compile": compiled, "onnxruntime": onnxruntime, "openvino": openvino}


def fastest(forward, seconds):
    forward()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        started = time.perf_counter()
        forward()
        best = min(best, time.perf_counter() - started)
    return best


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=[*WAYS, "export", "version"])
    parser.add_argument("network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--onnx", metavar="FILE")
    return parser.parse_args()


def main():
    args = parse()
    if args.way == "export":
        return export(args)
    if args.way == "version":
        import importlib.metadata
        return print(importlib.metadata.version(args.network))
    if args.way not in ("eager", "compile"):
        return print(f"images_per_s {args.batch / fastest(WAYS[args.way](args), args.seconds):.3f}")
    import torch
    torch.set_num_threads(args.threads)
    with torch.inference_mode():
        print(f"images_per_s {args.batch / fastest(WAYS[args.way](args), args.seconds):.3f}")


if __name__ == "__main__":
    main()
