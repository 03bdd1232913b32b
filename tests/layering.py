#!/usr/bin/env python3
"""The layering: who may include whom. This table stands nowhere else.

Rows, ground first. A file includes lower rows, or names to its left in its own
row. extract/ and train/ never include each other. Some headers belong to few,
and so do the functions that print a text as it is.
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
    ["include/permafrost/error", "include/permafrost/tensor", "common/printable", "common/error", "common/tensor",
     "common/memory", "common/clock", "common/random", "common/digest", "common/hash_index", "common/json", "common/queue",
     "common/parallel", "common/processor", "common/thread_pool", "common/interrupt", "common/log", "common/progress", "common/options", "common/size_text", "common/standard_streams", "common/file_lock", "common/output_path", "common/temporary_file", "common/atomic_file",
     "common/file_content", "common/output_check",
     "common/relative_path", "common/input_file", "common/mapped_file",
     "common/record_file", "common/text_store", "common/text_index", "common/text_encoding", "common/csv_reader", "common/csv_field",
     "common/crop_geometry", "common/batch_choice", "common/window_outputs", "common/lanes_*", "common/convolution_kernels", "common/winograd_lanes", "common/product_lanes", "common/max_lanes", "common/convolution_plain",
     "common/convolution_avx*", "common/convolution_config", "common/packed_convolution", "common/winograd", "common/direct_convolution", "common/convolution", "common/max_pool"],
    # 1: what two programs share
    ["include/permafrost/script", "include/permafrost/arch", "include/permafrost/suffix", "include/permafrost/backbone", "include/permafrost/feature_cache",
     "common/split", "common/equal_images", "common/file_stamp", "common/image_file", "common/script_file", "common/trusted_scripts", "common/arch*", "common/safetensors*", "common/weights*",
     "common/backbone_loader", "common/h5_zstd_filter", "common/feature_cache*", "common/cached_views",
     "common/model_file*", "common/preprocess_json", "common/torch/*"],
    # 2: parts of the programs
    ["extract/image*", "extract/dataset*", "extract/resize*", "extract/preprocess", "extract/color_jitter", "extract/view", "extract/pixel_tap", "extract/device_list", "extract/sample_reader",
     "train/kernels", "train/gemm", "train/vector_math", "train/loss",
     "train/optimizer_steps", "train/*_lanes", "train/kernels_*",
     "train/metrics_interval", "train/metrics", "train/metrics_ranking", "train/metrics_*", "train/target_kind",
     "train/task", "train/feature_memory", "train/feature_table*", "train/optimizer", "train/step_columns", "train/normalize", "train/assertion",
     "train/head_spec", "train/checkpoint", "train/head_layer", "train/head_network", "train/row_feeder", "train/view_draw", "train/trunk", "train/suffix_feeder",
     "train/memory_feeder", "train/stream_plan", "train/read_ahead", "train/stream_feeder",
     "train/stream_normalize", "train/row_choice", "train/lbfgs", "train/sweep_axis"],
    # 3: putting them together
    ["extract/backbone_plan", "extract/extract_options", "extract/provenance", "extract/summary", "extract/cache_info",
     "extract/verify_internal", "extract/verify_findings", "extract/verify_features", "extract/verify_images", "extract/cache_verify",
     "extract/identity", "extract/backbone_session", "extract/known_rows",
     "extract/wanted_taps", "extract/survey", "extract/work_plan",
     "extract/pipeline*", "extract/decode_drift", "extract/feature_pass", "extract/composition",
     "extract/bottleneck", "extract/bare_convolution",
     "extract/extraction_internal", "extract/extraction_look", "extract/extraction_report", "extract/extraction", "extract/merge*",
     "train/group", "train/group_optimizer", "train/suffix_optimizer", "train/finetune_network", "train/finetune", "train/group_trainer", "train/curvature", "train/convex_head",
     "train/experiment", "train/warm_head", "train/model_head", "train/init_head", "train/train_options", "train/checkpoint_run", "train/group_run", "train/evaluation", "train/sweep*",
     "train/train_run", "train/report*", "train/result",
     "train/head_tensors", "train/head_model"],
    # 4: the programs
    ["extract/extract_main", "train/train_main", "predict/*"],
]

# Headers that only some files may include.
RESERVED = {
    r"hdf5\.h|H5.*\.h": ["common/feature_cache*", "common/h5_zstd_filter*"],
    r"jpeglib\.h|turbojpeg\.h|stb/.*": ["extract/image*"],
    r"torch/.*|ATen/.*|c10/.*|caffe2/.*": ["common/torch/*"],
    r"onnx\.pb-c\.h|protobuf-c/.*": ["predict/onnx_graph"],
    r"cblas.*\.h": [],
}

# Who may write to a stream other than by pf_print, pf_say and their kind, which make names from
# outside fit to be printed (common/printable.h): formats with "%s", or a text that is no literal.
RAW_PRINT = re.compile(r'\b(?:(?:v?f?printf|v?dprintf|perror)\s*\(|f?puts\s*\((?!\s*"))')
RAW_PRINTERS = {
    "common/options": "--help, from tables of ours",
    "common/csv_field": "quotes",
    "common/standard_streams": "what others have made",
    "common/safetensors": "a header of JSON, into the file",
    "extract/extract_main": "the command line, for JSON",
    "train/train_main": "JSON and CSV",
    "train/result": "numbers",
    "predict/prediction_writer": "numbers, JSON",
    "predict/export_torchscript": "source code, into memory",
    "common/progress": "erases the bar",
    "extract/summary": "the tree's lines",
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
            if room != "common/torch" and RAW_PRINT.search(line) and name not in RAW_PRINTERS:
                problems.append(f"{name} prints past pf_print: {line.strip()}")
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
