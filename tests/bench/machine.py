"""What a benchmark ran on: processor, memory, versions."""
import os
import pathlib
import platform
import re
import subprocess
import sys

from measure import program, run

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", text)
    flags = re.search(r"flags\s*:\s*(.*)", text)
    has = set(flags.group(1).split()) if flags else set()
    return {"cpu": model.group(1) if model else platform.processor(), "flags": [flag for flag in FLAGS if flag in has],
            "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)}


def compiler(build):
    cache = (pathlib.Path(build) / "CMakeCache.txt").read_text()
    found = re.search(r"CMAKE_C_COMPILER:\w+=(.*)", cache)
    return first_line(found.group(1), "--version") if found else None


def our_runtime(args, folder):
    """"C engine, avx2, 2 threads": what extract says of what it runs on."""
    _, text = run([program(args, "extract"), folder, "-o", pathlib.Path(args.out) / "none.h5", "--dry-run", "-v", "--sample", "2",
                   "--backbone", "resnet18_w16", "--weights", "random:0"])
    return re.search(r"^runs on (.*)$", text, re.MULTILINE).group(1)


def peers():
    import h5py
    import numpy
    import PIL
    import sklearn
    import torch
    import torchvision
    onednn = re.search(r"MKL-DNN v([0-9.]+)", torch.__config__.show())
    return {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__,
            "oneDNN": onednn.group(1) if onednn else None, "Pillow": PIL.__version__, "numpy": numpy.__version__,
            "h5py": h5py.__version__, "scikit-learn": sklearn.__version__,
            "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None}


def describe(args, folder):
    here = str(pathlib.Path(__file__).resolve().parent)
    system = pathlib.Path("/etc/os-release").read_text()
    return {**processor(), "kernel": platform.release(), "system": re.search(r'PRETTY_NAME="(.*)"', system).group(1),
            "compiler": compiler(args.build), "commit": first_line("git", "-C", here, "rev-parse", "--short", "HEAD"),
            "version": first_line(str(program(args, "extract")), "--version"), "extract": our_runtime(args, folder),
            "peers": peers(), "command": " ".join(sys.argv)}
