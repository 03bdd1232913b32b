#include "train/fit/experiment.h"

#include <string.h>

#include "train/fit/convex_head.h"
#include "train/fit/convex_problem.h"

const char *const pf_sampling_names[] = {
    [PF_SAMPLING_SHUFFLE] = "shuffle", [PF_SAMPLING_BALANCED] = "balanced"};

PfExperiment pf_experiment_default(void)
{
    return (PfExperiment){
        .normalize = PF_NORMALIZE_DEFAULT,
        .optimizer = PF_ADAMW,
        .setting = {.learning_rate = -1,
                    .weight_decay = -1,
                    .momentum = -1,
                    .schedule = {.kind = PF_SCHEDULE_CONSTANT}},
        .batch = PF_DEFAULT_BATCH,
        .backbone_rate = -1,
    };
}

static int check_momentum(const PfExperiment *experiment, PfError *err)
{
    if (experiment->optimizer == PF_SGD) return 0;
    if (experiment->setting.momentum < 0 && !experiment->nesterov) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "--%s belongs to --optimizer sgd",
                   experiment->nesterov ? "nesterov" : "momentum");
}

/* L-BFGS has neither steps nor batches. */
static int check_lbfgs(const PfExperiment *experiment, PfError *err)
{
    const PfHeadSetting *setting = &experiment->setting;
    const char *wrong = setting->learning_rate >= 0                      ? "lr"
                        : setting->schedule.kind != PF_SCHEDULE_CONSTANT ? "schedule"
                        : setting->warmup_epochs > 0                     ? "warmup"
                        : setting->clip_norm > 0                         ? "clip"
                        : experiment->patience                           ? "patience"
                        : experiment->batch != PF_DEFAULT_BATCH          ? "batch"
                        : experiment->sampling == PF_SAMPLING_BALANCED   ? "sampling"
                                                                         : NULL;
    if (experiment->optimizer != PF_LBFGS) return 0;
    if (!wrong) return pf_convex_head_check(NULL, 0, &experiment->spec, err);
    return pf_fail(err, PF_EXIT_USAGE,
                   "--%s has no meaning with --optimizer lbfgs, which finds the optimum of all "
                   "rows at once",
                   wrong);
}

/* Features of a network that learns do not keep their scale, and L-BFGS needs constants. */
static int check_finetune(const PfExperiment *experiment, PfError *err)
{
    if (!experiment->finetunes && experiment->backbone_rate >= 0)
        return pf_fail(err, PF_EXIT_USAGE, "--backbone-lr belongs to --finetune");
    if (!experiment->finetunes) return 0;
    if (experiment->optimizer == PF_LBFGS)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--optimizer lbfgs trains heads on constant features; with --finetune "
                       "choose adamw, adam or sgd");
    if (experiment->normalize > PF_NORMALIZE_NONE)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--normalize has no meaning with --finetune: the features change while "
                       "they are learned; --warm-head brings the head to their scale");
    return 0;
}

static double default_rate(const PfExperiment *experiment)
{
    double rate = experiment->optimizer == PF_SGD ? 1e-2 : 1e-3;
    return experiment->finetunes ? rate / 10 : rate;
}

static double default_decay(const PfExperiment *experiment)
{
    switch (experiment->optimizer) {
    case PF_ADAMW: return experiment->finetunes ? 0.01 : 0.1;
    case PF_LBFGS: return PF_LBFGS_DECAY;
    default: return 0;
    }
}

/* The defaults are torch's own for adam and sgd, a tenth of their rates where a trained network is
 * to change but little, and for adamw a decay that suits small sets. */
int pf_experiment_finish(PfExperiment *experiment, PfError *err)
{
    PfHeadSetting *setting = &experiment->setting;
    PfOptimizerKind kind = experiment->optimizer;
    if (check_momentum(experiment, err) || check_lbfgs(experiment, err) ||
        check_finetune(experiment, err))
        return -1;
    if (experiment->spec.norm == PF_HEAD_NORM_BATCH && experiment->spec.hidden_count &&
        experiment->batch < 2)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--head-norm batch takes means over a batch: --batch 1 is too small for it");
    if (setting->momentum < 0) setting->momentum = kind == PF_SGD ? 0.9 : 0;
    if (setting->learning_rate < 0) setting->learning_rate = default_rate(experiment);
    if (setting->weight_decay < 0) setting->weight_decay = default_decay(experiment);
    if (experiment->backbone_rate < 0) experiment->backbone_rate = setting->learning_rate;
    if (experiment->normalize == PF_NORMALIZE_DEFAULT)
        experiment->normalize =
            experiment->finetunes ? PF_NORMALIZE_NONE : PF_NORMALIZE_STANDARDIZE;
    if (experiment->nesterov && !(setting->momentum > 0))
        return pf_fail(err, PF_EXIT_USAGE, "--nesterov needs a --momentum above 0");
    return 0;
}

int pf_experiment_epochs(const PfExperiment *experiment, int64_t rows)
{
    if (experiment->epochs) return experiment->epochs;
    int64_t steps = (rows + experiment->batch - 1) / experiment->batch;
    int64_t epochs = steps > 0 ? (4000 + steps - 1) / steps : 10;
    if (experiment->optimizer == PF_LBFGS) return 1000;
    if (experiment->finetunes) return 10;
    return (int)(epochs < 10 ? 10 : epochs > 200 ? 200 : epochs);
}

static bool same_spec(const PfHeadSpec *a, const PfHeadSpec *b)
{
    return a->hidden_count == b->hidden_count &&
           !memcmp(a->hidden, b->hidden, (size_t)a->hidden_count * sizeof *a->hidden) &&
           a->activation == b->activation && a->norm == b->norm && a->dropout == b->dropout;
}

bool pf_experiment_same_batch(const PfExperiment *a, const PfExperiment *b)
{
    return !a->finetunes && a->normalize == b->normalize && same_spec(&a->spec, &b->spec) &&
           a->optimizer == b->optimizer && a->nesterov == b->nesterov && a->epochs == b->epochs &&
           a->batch == b->batch && a->patience == b->patience &&
           a->balanced_loss == b->balanced_loss && a->sampling == b->sampling &&
           a->per_class == b->per_class && a->seed == b->seed;
}
