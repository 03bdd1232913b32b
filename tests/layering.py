#!/usr/bin/env python3
"""The layering: which folder may include which. The table below stands nowhere else; CMakeLists.txt
reads from it what each folder's library is linked with.

A line is a folder and the folders that it includes, all of them above it in the table: so no two
folders can include each other. Prints what breaks the rules and fails; a folder that has no line, a
name in a line that nothing needs and a circle of files fail, too.
"""
import collections
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT if ROOT.is_dir() else ROOT.parent.parent

TABLE = """
common/base:
common/manual: common/base
common/simd:
common/thread: common/base
common/file: common/base
common/conv: common/base common/simd
common/arch: common/base
common/pickle: common/base
common/weights: common/base common/thread common/file common/pickle common/arch
common/model: common/base common/arch common/weights
common/cache/codec: common/base common/thread
common/cache/hdf5: common/base common/file common/cache/codec
common/cache: common/base common/thread common/file common/cache/codec common/cache/hdf5
common/cache/journal: common/base common/file common/cache/codec common/cache
common/onnx: common/base common/file common/arch
common/fetch: common/base common/file common/arch common/weights common/onnx
common/engine: common/base common/simd common/thread common/conv common/arch
common/backbone: common/base common/simd common/file common/engine
common/ranks: common/base common/backbone
common/torch: common/base common/simd common/thread common/file common/conv common/arch common/backbone
extract/image/pixels: common/base
extract/image/codecs: common/base extract/image/pixels
extract/image/formats: common/base extract/image/pixels extract/image/codecs
extract/image: common/base common/arch common/model common/cache common/backbone extract/image/pixels extract/image/codecs extract/image/formats
extract/archive: common/base common/file
extract/dataset: common/base common/thread common/file common/pickle common/fetch common/cache extract/image extract/archive
extract/backbone: common/base common/thread common/file common/arch common/weights common/model common/cache common/onnx common/backbone extract/image
extract/pipeline: common/base common/thread common/arch common/cache common/backbone extract/image extract/dataset extract/backbone
extract/plan: common/base common/thread common/file common/cache/codec common/cache common/cache/journal extract/image extract/dataset extract/backbone extract/pipeline
extract/shard: common/base common/ranks extract/dataset
extract/merge: common/base common/thread common/file common/cache common/cache/journal extract/dataset extract/plan
extract/verify: common/base common/thread common/file common/cache common/onnx common/backbone extract/image extract/dataset extract/backbone extract/pipeline extract/plan
train/kernels: common/base common/simd common/thread common/cache
train/metrics: common/base common/thread
train/features: common/base common/thread common/model common/cache train/kernels train/metrics
train/head: common/base common/thread common/weights common/model common/ranks train/kernels train/features
train/fit: common/base train/kernels train/metrics train/features train/head
train/finetune: common/base common/weights common/model common/cache common/onnx common/backbone common/ranks train/kernels train/features train/head train/fit
predict/model: common/base common/file common/model common/cache common/onnx common/backbone extract/backbone train/kernels train/head
predict/evaluate: common/base common/file common/model common/cache extract/dataset train/metrics train/features predict/model
predict/export: common/base common/file common/arch common/model common/backbone extract/backbone train/head predict/model
inspect/rows: common/base common/thread common/cache train/features train/kernels
inspect/neighbours: common/base common/thread train/kernels inspect/rows
inspect/findings: common/base common/thread common/cache train/kernels train/metrics train/features train/head train/fit inspect/rows inspect/neighbours
inspect/projection: common/base common/thread train/kernels
inspect/images: common/base common/thread common/model common/cache extract/image/formats extract/image extract/dataset
inspect/page: common/base common/file common/cache train/kernels train/metrics inspect/rows inspect/findings inspect/projection inspect/images
extract: common/base common/manual common/simd common/thread common/file common/arch common/weights common/fetch common/cache common/onnx common/backbone extract/image extract/dataset extract/backbone extract/pipeline extract/plan extract/shard extract/merge extract/verify inspect/images inspect/page
inspect/export: common/base common/cache common/file inspect/rows inspect/neighbours inspect/page
inspect/model: common/base common/model predict/model predict/evaluate inspect/page
train/settings: common/base common/manual common/thread common/file common/cache common/backbone common/ranks train/metrics train/features train/fit train/finetune
train/sweep: common/base common/thread common/file common/model common/cache common/ranks train/features train/head train/fit train/finetune train/settings
train/report: common/base common/thread common/file common/model common/cache extract/image/formats train/kernels train/metrics train/features train/head train/fit inspect/rows inspect/page train/settings train/sweep
train: common/base common/thread common/file common/model common/backbone train/features train/settings train/sweep train/report
predict: common/base common/manual common/thread common/file common/model common/cache common/backbone extract/image extract/dataset extract/backbone extract/pipeline train/metrics predict/model predict/evaluate predict/export inspect/rows inspect/images inspect/model inspect/page
inspect: common/base common/manual common/thread common/file common/model common/cache extract/image extract/dataset extract/backbone extract/pipeline predict/model predict/evaluate inspect/rows inspect/neighbours inspect/findings inspect/images inspect/export inspect/model inspect/page
command: common/base common/manual
"""

# Headers of libraries, and who alone may include them.
RESERVED = {
    r"hdf5\.h|H5.*\.h": "common/cache/hdf5/*",
    r"jpeglib\.h|jerror\.h|turbojpeg\.h|spng\.h|stb/.*": "extract/image/formats/*",
    r"webp/.*|avif/.*|libheif/.*|tiff.*\.h|openjpeg\.h|lcms2\.h": "extract/image/codecs/*",
    r"torch/.*|ATen/.*|c10/.*|caffe2/.*": "common/torch/*",
    r"curl/.*": "common/fetch/*",
    r"onnx\.pb-c\.h|protobuf-c/.*": "predict/export/onnx*",
    r"cblas.*\.h": "",
}

# Who may write to a stream other than by pf_print, pf_say and their kind, which make names from
# outside fit to be printed (common/base/printable.h): formats with "%s", or a text that is no literal.
RAW_PRINT = re.compile(r'\b(?:(?:v?f?printf|v?dprintf|perror)\s*\(|f?puts\s*\((?!\s*"))')
RAW_PRINTERS = {
    "common/arch/script.c": "source code, into memory",
    "common/base/log.c": "erases the bar",
    "common/base/options.c": "--help, from tables of ours",
    "common/base/process.c": "what others have made",
    "command/main.c": "--help",
    "common/file/csv.c": "quotes",
    "common/manual/completion.c": "tables of ours, and words that need no escape",
    "common/manual/man_page.c": "roff, from tables of ours",
    "common/onnx/network.c": "lines that are hashed",
    "common/weights/safetensors.c": "a header of JSON, into the file",
    "extract/backbone/summary.c": "the tree's lines",
    "common/base/result_stamp.c": "the command line, for JSON",
    "extract/options.c": "--help",
    "inspect/page/html.c": "escapes for HTML",
    "inspect/options.c": "--help",
    "predict/export/torchscript.c": "source code, into memory",
    "predict/options.c": "--help",
    "predict/truth_columns.c": "numbers, quotes",
    "predict/writer.c": "numbers, JSON",
    "train/report/predictions.c": "numbers",
    "train/settings/options.c": "--help",
    "train/report/result.c": "numbers",
}

# Installed headers are included as "permafrost/x.h" by any folder. For a folder that stands below the
# one that has the functions in the table, this counts as including that folder; above it, a folder
# takes types alone.
IMPLEMENTED = {"error": "common/base", "tensor": "common/base", "arch": "common/arch", "feature_cache": "common/cache",
               "backbone": "common/backbone", "suffix": "common/backbone", "script": "common/backbone", "ranks": "common/backbone"}

SUFFIXES = (".c", ".h", ".cpp")
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')


def read_table():
    """{folder: folders that it may include}, in the table's order."""
    table = {}
    for line in TABLE.strip().splitlines():
        folder, _, below = line.partition(":")
        table[folder] = below.split()
    return table


def check_table(table):
    """Whatever a folder includes has its line above."""
    seen = set()
    for folder, below in table.items():
        seen.add(folder)
        yield from (f"the table: {folder} stands above {other}, which it includes"
                    for other in below if other not in seen)


def sources():
    for top in ("include", "common", "extract", "train", "predict", "inspect", "command"):
        yield from (path for path in sorted((ROOT / top).rglob("*")) if path.suffix in SUFFIXES)


def includes(path):
    return [match.group(1) for match in map(INCLUDE.match, path.read_text().splitlines()) if match]


def folder_of(target, folder, order):
    """The folder that an include of `folder` depends on; None: of another project, or types alone."""
    match = re.fullmatch(r"permafrost/(\w+)\.h", target)
    if not match:
        return str(pathlib.PurePath(target).parent) if (ROOT / target).exists() else None
    other = IMPLEMENTED[match.group(1)]
    return other if folder in order and order.index(other) < order.index(folder) else None


def check_file(path, table, used):
    """What is wrong with one file; which folders it includes goes to `used`."""
    name = str(path.relative_to(ROOT))
    folder = str(path.parent.relative_to(ROOT))
    if folder not in table and not name.startswith("include/"):
        yield f"{name}: {folder} has no line in the table"
        return
    for target in includes(path):
        for pattern, allowed in RESERVED.items():
            if re.fullmatch(pattern, target) and not fnmatch.fnmatch(name, allowed):
                yield f"{name} includes {target}, which is reserved for {allowed or 'nobody'}"
        other = folder_of(target, folder, list(table))
        if other in (None, folder):
            continue
        used[folder].add(other)
        if other not in table.get(folder, []):
            yield f"{name} includes {target}: {folder} may not include {other}"
    raw = [line.strip() for line in path.read_text().splitlines() if RAW_PRINT.search(line)]
    if name in RAW_PRINTERS and not raw:
        yield f"RAW_PRINTERS: {name} needs no leave"
    if not name.startswith("common/torch/") and name not in RAW_PRINTERS:
        yield from (f"{name} prints past pf_print: {line}" for line in raw)


def file_circles(paths):
    """Circles of files, a file being a source and its header. Headers without a source of their name
    are what several sources of a folder share, and no part of it."""
    whole = {str(path.relative_to(ROOT).with_suffix("")) for path in paths if path.suffix != ".h"}
    edges = collections.defaultdict(set)
    for path in paths:
        name = str(path.relative_to(ROOT).with_suffix(""))
        if name not in whole:
            continue
        for target in includes(path):
            other = "include/" + target if target.startswith("permafrost/") else target
            if other.endswith(".h") and other[:-2] in whole:
                edges[name].add(other[:-2])
        edges[name].discard(name)
    done, trail = set(), []

    def follow(name):
        if name in trail:
            yield " -> ".join(trail[trail.index(name):] + [name])
            return
        if name in done:
            return
        trail.append(name)
        for other in sorted(edges[name]):
            yield from follow(other)
        trail.pop()
        done.add(name)

    for name in sorted(edges):
        yield from (f"a circle of files: {circle}" for circle in follow(name))


def main():
    table = read_table()
    paths = list(sources())
    used = collections.defaultdict(set)
    problems = list(check_table(table))
    for path in paths:
        problems += check_file(path, table, used)
    problems += [f"the table: {folder} does not include {other}"
                 for folder, below in table.items() for other in below if other not in used[folder]]
    problems += [f"RAW_PRINTERS: there is no {name}" for name in RAW_PRINTERS if not (ROOT / name).exists()]
    problems += file_circles(paths)
    for problem in sorted(set(problems)):
        print(problem)
    print(f"{len(paths)} files in {len(table)} folders, {len(set(problems))} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
