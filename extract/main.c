/* extract: images through a frozen network, once, into a feature cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/log.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/base/result_stamp.h"
#include "common/base/size_text.h"
#include "common/fetch/fetch.h"
#include "common/file/output.h"
#include "common/onnx/network.h"
#include "common/thread/processors.h"
#include "extract/backbone/listing.h"
#include "extract/backbone/name.h"
#include "extract/backbone/script_summary.h"
#include "extract/backbone/summary.h"
#include "extract/cache_info.h"
#include "extract/cache_info_json.h"
#include "extract/dataset/frozen_list.h"
#include "extract/extraction.h"
#include "extract/merge/merge.h"
#include "extract/options.h"
#include "extract/options_check.h"
#include "extract/plan/work_plan.h"
#include "extract/shard/parts.h"
#include "extract/shard_run.h"
#include "extract/verify/verify.h"

/* Of the images of networks that take any size. */
#define DEFAULT_SIDE 224

/* A new layer goes behind one node. */
static int check_one_output(const char *path, const PfSummaryOptions *summary, PfError *err)
{
    if (!summary->classes || summary->tap || !strchr(summary->outputs, ',')) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--classes: expected one tap, found several outputs of '%s'. Hint: --tap with "
                   "one of %s",
                   path, summary->outputs);
}

/* Of a user's network from a file. */
static int print_onnx_summary(const char *path, const PfSummaryOptions *summary, PfError *err)
{
    PfOnnx *onnx;
    PfSummaryOptions shown = *summary;
    if (pf_onnx_open(path, NULL, &onnx, err)) return -1;
    const int own = pf_onnx_side(onnx) ? pf_onnx_side(onnx) : DEFAULT_SIDE;
    int failed = pf_onnx_build(onnx, shown.input ? shown.input : own, err);
    if (!failed) {
        shown.outputs = pf_onnx_arch(onnx)->default_tap;
        failed = (shown.tap && pf_onnx_find_tap(onnx, shown.tap, &shown.tap, err)) ||
                 check_one_output(path, &shown, err);
        failed = failed || pf_summary_print(pf_onnx_arch(onnx), &shown, stdout, NULL, err);
    }
    pf_onnx_free(&onnx);
    return failed;
}

static int print_script_summary(const PfBackboneOptions *backbone, const PfSummaryOptions *summary,
                                PfError *err)
{
    if (summary->classes)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--classes: expected a built-in network or an ONNX file, found the "
                       "TorchScript file '%s', of which only the taps are known here",
                       backbone->backbone);
    return pf_script_summary_print(backbone, summary->input, stdout, err);
}

static int print_summary(const PfExtractOptions *options, PfError *err)
{
    PfArch *arch;
    PfSummaryOptions summary = {.input = options->summary_input,
                                .classes = options->summary_classes,
                                .tap = options->backbone.taps};
    PfBackboneOptions backbone = options->backbone;
    PfBackboneName name;
    if (pf_backbone_name_read(&backbone, &name, err)) return -1;
    int failed = 0;
    if (name.kind == PF_BACKBONE_TORCHSCRIPT) {
        failed = print_script_summary(&backbone, &summary, err);
    } else if (name.kind == PF_BACKBONE_ONNX) {
        failed = print_onnx_summary(backbone.backbone, &summary, err);
    } else if (!(failed = pf_arch_new(backbone.backbone, &arch, err))) {
        failed = pf_summary_print(arch, &summary, stdout, NULL, err);
        pf_arch_free(&arch);
    }
    pf_backbone_name_free(&name);
    return failed;
}

static int print_backbones(const PfExtractOptions *options, PfError *err)
{
    if (options->json) return pf_listing_write_json(options->operand, options->json, err);
    return pf_listing_print(options->operand, stdout, err);
}

/* Where each lies comes on standard output, a line a name. */
static int fetch(const PfExtractOptions *options, PfError *err)
{
    const volatile sig_atomic_t *interrupted =
        pf_process_catch_interrupts("the same command goes on where it was");
    for (int i = 0; i < options->input_count; i++) {
        char *place;
        if (pf_fetch(options->inputs[i], interrupted, &place, err)) return -1;
        pf_print(stdout, "%s\n", place);
        free(place);
    }
    return 0;
}

static int print_info(const PfExtractOptions *options, PfError *err)
{
    PfCache *cache;
    if (pf_cache_open(options->operand, &cache, err)) return -1;
    int failed = options->json ? pf_cache_info_write_json(cache, options, err)
                               : pf_cache_info_print(cache, stdout, err);
    pf_cache_close(&cache);
    return failed;
}

static int freeze(const PfExtractOptions *options, PfError *err)
{
    PfDataset *dataset;
    PfFrozenListSummary summary;
    char size[PF_SIZE_TEXT];
    const PfOutput output = {"-o", options->output, PF_CONTENT_LIST};
    if (pf_output_check_input(&output, options->operand, "the dataset", err) ||
        pf_output_check_content(&output, err) ||
        pf_dataset_open(options->operand, &options->dataset, &dataset, err))
        return -1;
    pf_work_plan_print_dataset(dataset, options->operand, (PfShard){0});
    int failed = pf_frozen_list_write(dataset, options->output, &summary, err);
    pf_dataset_close(&dataset);
    if (failed) return -1;
    pf_say("%s: %lld images, %s", options->output, (long long)summary.images,
           pf_size_text(summary.file_bytes, size));
    return 0;
}

static int verify(const PfExtractOptions *options, PfError *err)
{
    PfVerifyOptions what = {.cache = options->operand,
                            .signature = options->signature,
                            .dataset = options->verified_dataset,
                            .listing = options->dataset,
                            .recompute_all = options->recompute_all,
                            .weights = options->backbone.weights,
                            .device = options->backbone.device,
                            .threads = options->workers,
                            .interrupted = pf_process_catch_interrupts("nothing was changed")};
    return pf_verify_cache(&what, stdout, err);
}

static int merge(const PfExtractOptions *options, const char *command, PfError *err)
{
    char **paths;
    int count;
    if (pf_parts_expand(options->inputs, options->input_count, stdin, &paths, &count, err))
        return -1;
    const PfMergeOptions merged = {
        .inputs = (const char *const *)paths,
        .input_count = count,
        .output = options->output,
        .is_virtual = options->is_virtual,
        .force = options->force,
        .has_compression = options->has_compression,
        .compression = options->compression,
        .level = options->level,
    };
    int failed =
        pf_merge_run(&merged, command, pf_process_catch_interrupts("nothing was written"), err);
    pf_parts_free_paths(&paths, &count);
    return failed;
}

/* The run of a shard that batch systems number, or of all that is left, or of what was named. */
static int run_extraction(const PfExtractOptions *options, const char *command, PfError *err)
{
    const volatile sig_atomic_t *interrupted =
        pf_process_catch_interrupts("the same command goes on where this run was");
    if (options->shard_source == PF_SHARD_AUTO)
        return pf_shard_run_auto(options, command, interrupted, err);
    if (options->shard_source == PF_SHARD_ANY)
        return pf_shard_run_any(options, command, interrupted, err);
    return pf_extraction_run(options, command, interrupted, err);
}

static int run(const PfExtractOptions *options, int argc, char **argv, PfError *err)
{
    if (options->sources_from && pf_cache_allow_sources(options->sources_from, err)) return -1;
    if (options->trust) return pf_script_file_trust(options->trust, err);
    if (options->mode == PF_EXTRACT_SUMMARY) return print_summary(options, err);
    if (options->mode == PF_EXTRACT_BACKBONES) return print_backbones(options, err);
    if (options->mode == PF_EXTRACT_INFO) return print_info(options, err);
    if (options->mode == PF_EXTRACT_FETCH) return fetch(options, err);
    if (options->mode == PF_EXTRACT_VERIFY) return verify(options, err);
    if (options->mode == PF_EXTRACT_LIST) return freeze(options, err);
    if (options->mode == PF_EXTRACT_MISSING)
        return pf_parts_print_missing(options->operand, stdout, err);
    char *command = pf_result_stamp_command(argc, argv);
    const char *text = command ? command : argv[0];
    int failed = options->mode == PF_EXTRACT_MERGE ? merge(options, text, err)
                                                   : run_extraction(options, text, err);
    free(command);
    return failed;
}

static int start(int argc, char **argv, PfExtractOptions *options, PfError *err)
{
    if (pf_extract_options_parse(argc, argv, options, err)) return -1;
    pf_log_setup("extract", options->quiet ? PF_QUIET : options->verbose ? PF_VERBOSE : PF_NORMAL);
    pf_processors_set(options->threads);
    if (options->help) {
        pf_extract_options_help();
    } else if (options->version) {
        puts("extract (permafrost) " PF_VERSION);
    } else {
        return pf_options_check(options, err) || run(options, argc, argv, err) ? -1 : 0;
    }
    return 0;
}

int main(int argc, char **argv)
{
    PfExtractOptions options;
    PfError err = {0};
    pf_process_begin_streams();
    pf_log_setup("extract", PF_NORMAL);
    if (pf_manual_answer(&pf_extract_manual, argc, argv))
        return pf_process_finish_output(&err) ? pf_log_error(&err) : PF_EXIT_DONE;
    int failed = start(argc, argv, &options, &err) || pf_process_finish_output(&err);
    pf_extract_options_free(&options);
    return failed ? pf_process_exit_code(pf_log_error(&err)) : PF_EXIT_DONE;
}
