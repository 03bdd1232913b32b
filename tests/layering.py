#!/usr/bin/env python3
"""The layering of the house, as CONTRIBUTING.md draws it: who may include whom.

Rows, ground first. A file includes lower rows, or names to its left in its own
row. extract/ and train/ never include each other. Some headers belong to few.
Prints what breaks the rules and fails; a file that no row names fails too.
"""
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# room/pattern, left to right; a row may hold several rooms.
ROWS = [
    # 0: the ground
    ["include/permafrost/error", "include/permafrost/tensor", "common/error", "common/tensor",
     "common/memory", "common/clock", "common/random", "common/digest", "common/queue",
     "common/parallel", "common/interrupt", "common/log", "common/progress", "common/options", "common/atomic_file"],
    # 1: what two programs share
    ["include/permafrost/arch", "include/permafrost/backbone", "include/permafrost/feature_cache",
     "common/split", "common/arch*", "common/safetensors*", "common/weights*",
     "common/backbone_loader", "common/h5_zstd_filter", "common/feature_cache*",
     "common/model_file*", "common/torch/*"],
    # 2: parts of the programs
    ["extract/dataset*", "extract/image*", "extract/resize*", "extract/preprocess",
     "train/feature_table*", "train/head", "train/optimizer", "train/metrics", "train/normalize",
     "train/assertion"],
    # 3: putting them together
    ["extract/backbone_plan", "extract/extract_options", "extract/summary", "extract/cache_info",
     "extract/cache_freshness", "extract/pipeline", "extract/extraction",
     "train/head_trainer", "train/train_run", "train/train_options", "train/report",
     "train/head_model"],
    # 4: the programs
    ["extract/extract_main", "train/train_main", "predict/*"],
]

# Headers that only some files may include.
RESERVED = {
    r"hdf5\.h|H5.*\.h": ["common/feature_cache*", "common/h5_zstd_filter*"],
    r"jpeglib\.h|turbojpeg\.h|stb/.*": ["extract/image*"],
    r"torch/.*|ATen/.*|c10/.*|caffe2/.*": ["common/torch/*"],
    r"cblas.*\.h": ["train/*"],
}


def place(name):
    """(row, column) of room/stem."""
    for row, patterns in enumerate(ROWS):
        for column, pattern in enumerate(patterns):
            if fnmatch.fnmatch(name, pattern):
                return row, column
    return None


def sources():
    for room in ("include/permafrost", "common", "common/torch", "extract", "train", "predict"):
        for path in sorted((ROOT / room).iterdir()):
            if path.suffix in (".c", ".h", ".cpp", ".hpp"):
                yield room, path


def main():
    files = list(sources())
    by_include = {}
    for room, path in files:
        key = f"permafrost/{path.name}" if room.startswith("include") else path.name
        by_include.setdefault(key, []).append((room, path))
    problems = []
    includes = 0
    for room, path in files:
        name = f"{room}/{path.stem}"
        here = place(name)
        if here is None:
            problems.append(f"{name}: no row of the layering names this file")
            continue
        for line in path.read_text().splitlines():
            match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            includes += 1
            target = match.group(1)
            for pattern, allowed in RESERVED.items():
                if re.fullmatch(pattern, target) and not any(fnmatch.fnmatch(name, a) for a in allowed):
                    problems.append(f"{name}: {target} is reserved for {', '.join(allowed)}")
            for other_room, other in by_include.get(target, []):
                other_name = f"{other_room}/{other.stem}"
                there = place(other_name)
                if there is None or other_name == name:
                    continue
                if there[0] > here[0] or (there[0] == here[0] and there[1] > here[1]):
                    problems.append(f"{name} includes {other_name}, which lies above it")
                if {room, other_room} == {"extract", "train"}:
                    problems.append(f"{name} includes {other_name}: the rooms never meet")
    for problem in sorted(set(problems)):
        print(problem)
    print(f"{len(files)} files, {includes} includes, {len(set(problems))} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
