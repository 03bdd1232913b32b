"""Networks alone on the processor, and with decoding: ours beside PyTorch, torch.compile, ONNX Runtime and OpenVINO."""
import os
import pathlib
import sys

import numpy as np

from datasets import photographs
from measure import HERE, alternate, extract, medians, number, report, run, table

# Our tap behind the whole network, and what is asked of the ratio to the best peer: more where convolutions of 3 x 3 rule.
NETWORKS = {
    "resnet18": ("fc", 1.3), "resnet50": ("fc", 1.1), "vgg16": ("classifier.6", 1.3), "densenet121": ("classifier", 1.1),
    "mobilenet_v3_large": ("classifier.3", 1.1), "efficientnet_b0": ("classifier.1", 1.1),
    "convnext_tiny": ("classifier.2", 1.1), "vit_s_16": ("head", 1.1), "dinov2_vits14": ("cls", 1.1),
}
# Each is the fastest of as many forward passes as fit into so many seconds, of ours and of peers about as long: 16 images a
# thread here, 16 in all there. A machine whose speed changes flatters whoever is measured in smaller pieces.
IMAGES, SECONDS = 16 * len(os.sched_getaffinity(0)), 3
# What keeps each from using more than AVX2, where it has a setting; peers see no more of the processor besides.
AVX2_ALONE = {"PF_KERNELS": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def has_avx512():
    return "avx512f" in pathlib.Path("/proc/cpuinfo").read_text()


def without_avx512(args):
    """What is preloaded into a peer; absolute, as the peer may run elsewhere."""
    path = (pathlib.Path(args.build) / "tests" / "without_avx512.so").resolve()
    if not path.exists():
        sys.exit(f"{path} is missing: build the target without_avx512")
    return path


def compiler_for_avx2(out):
    """torch.compile's compiler: for AVX2 alone, where it would take the processor that it runs on, and
    without what is preloaded into a peer, which compilers do not survive."""
    path = (out / "avx2-g++").resolve()
    path.write_text("""#!/bin/sh
unset LD_PRELOAD
for word; do
  shift
  [ "$word" != -march=native ] || word=-march=haswell
  set -- "$@" "$word"
done
exec g++ "$@"
""", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def threads():
    return len(os.sched_getaffinity(0))


def pixels(out):
    """So many images of noise, as the engine takes them."""
    path = out / f"pixels{IMAGES}.u8"
    if not path.exists():
        np.random.default_rng(0).integers(0, 256, (IMAGES, 224, 224, 3), dtype=np.uint8).tofile(path)
    return path


def onnx_file(args, out, network):
    path = out / f"{network}.onnx"
    if not path.exists():
        run([args.peers, HERE / "peer_network.py", "export", network, "--onnx", path.with_suffix(".part")])
        path.with_suffix(".part").rename(path)
    return path


def contenders(args, out, network, environment):
    """{name: function that returns images/s}."""
    folder = photographs(args, out)
    tool = pathlib.Path(args.build) / "tests" / "run_backbone"

    def alone():
        _, text = run([tool, "--weights", "random:0", "--passes", "1", "--seconds", str(SECONDS), "--threads", str(threads()),
                       network, pixels(out), "224", NETWORKS[network][0]], environment)
        return number(r"([0-9.]+) images/s", text)

    def whole():
        return extract(args, folder, out / "networks.h5", "--backbone", network, "--weights", "random:0", "--resize", "256",
                       "--crop", "224", environment=environment)["rate"]

    def peer(python, way, *flags):
        def once():
            hidden = {"LD_PRELOAD": str(without_avx512(args)), "CXX": compiler_for_avx2(out)} if environment else {}
            asked = ["--threads", str(threads()), "--seconds", str(SECONDS), *map(str, flags)]
            _, text = run([python, HERE / "peer_network.py", way, network, *asked],
                          {**environment, **hidden, "TORCHINDUCTOR_CACHE_DIR": str(out / f"inductor{len(environment)}")})
            return number(r"images_per_s ([0-9.]+)", text)
        return once

    found = {"engine": alone, "extract": whole, "PyTorch of the system": peer(sys.executable, "eager")}
    if args.peers:
        found["PyTorch of PyPI, compiled"] = peer(args.peers, "compile")
        exported = onnx_file(args, out, network)
        found["ONNX Runtime"] = peer(args.peers, "onnxruntime", "--onnx", exported)
        found["OpenVINO"] = peer(args.peers, "openvino", "--onnx", exported)
    return found


def ratios(median):
    """Ours over the best peer."""
    best = max((name for name in median if name not in ("engine", "extract")), key=median.get)
    return {f"engine / {best}": median["engine"] / median[best], f"extract / {best}": median["extract"] / median[best]}


def summary(title, entries):
    names = list(next(iter(entries.values()))["figures"])
    columns = ["", *names, "engine / best peer", "asked"]
    rows = [[network, *(row[1] for row in entry["rows"]), next(iter(entry["ratios"].values())), NETWORKS[network][1]]
            for network, entry in entries.items()]
    return table(title, columns, rows)


def versions(args):
    def of(package):
        return run([args.peers, HERE / "peer_network.py", "version", package])[1].strip()
    return ", ".join(f"{package} {of(package)}" for package in ("torch", "onnxruntime", "openvino"))


def notes(args, environment):
    return ["engine: the network alone, as the peers; extract: photographs to a cache.",
            f"PyPI's peers: {versions(args)}." if args.peers else
            "PyPI's peers were left out: `make -f Makefile.data peer-torch` installs them.",
            *(["Peers were told of no more than AVX2 by the processor (tests/tools/without_avx512.c)."] if environment else [])]


def bench_networks(args, out):
    tables = []
    for isa, environment in [("", {})] + ([(", AVX2 alone", AVX2_ALONE)] if has_avx512() else []):
        entries = {}
        for network in NETWORKS:
            figures = alternate(contenders(args, out, network, environment), args.rounds)
            entries[network] = report(f"{network}{isa}, images/s", figures, ratios(medians(figures)))
        entry = summary(f"images/s of 224 pixels{isa}, {threads()} threads, medians of {args.rounds}", entries)
        tables += [{**entry, "notes": notes(args, environment)}, *entries.values()]
    return tables
