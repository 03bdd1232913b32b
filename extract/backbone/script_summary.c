#include "extract/backbone/script_summary.h"

#include "common/backbone/loader.h"
#include "common/base/printable.h"

static void print_taps(const PfBackbonePlan *plan, const PfTapInfo *taps, int count, FILE *stream)
{
    char shape[PF_SHAPE_TEXT_SIZE];
    pf_print(stream, "%s: TorchScript, sha256 %.8s; taps at %d x %d pixels:\n\n", plan->name,
             plan->sha256, plan->preprocess.crop, plan->preprocess.crop);
    pf_print(stream, "%-32s %-20s %12s\n", "tap", "shape", "numbers");
    for (int t = 0; t < count; t++)
        pf_print(stream, "%-32s %-20s %12lld\n", taps[t].name, pf_shape_text(&taps[t].shape, shape),
                 (long long)pf_shape_count(&taps[t].shape));
}

static int print_opened(const PfBackbonePlan *plan, FILE *stream, PfError *err)
{
    const PfBackbonePlace place = {.device = "cpu", .threads = 1, .batch = 1, .images = 1};
    const PfBackbonePlugin *plugin;
    PfBackbone *backbone;
    const PfTapInfo *taps;
    if (pf_backbone_plan_open(plan, (const char *const *)plan->taps, plan->tap_count, &place,
                              &plugin, &backbone, err))
        return -1;
    int count = plugin->taps(backbone, &taps);
    print_taps(plan, taps, count, stream);
    plugin->close(&backbone);
    return 0;
}

int pf_script_summary_print(const PfBackboneOptions *options, int input, FILE *stream, PfError *err)
{
    PfBackboneOptions asked = *options;
    PfBackbonePlan *plan;
    asked.device = "cpu";
    if (input) asked.crop = input;
    if (pf_script_file_open(asked.backbone, NULL, &asked.script, err) ||
        pf_backbone_plan_new(&asked, &plan, err))
        return -1;
    int failed = print_opened(plan, stream, err);
    pf_backbone_plan_free(&plan);
    return failed;
}
