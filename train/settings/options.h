/* The command line of train. */
#ifndef PF_TRAIN_SETTINGS_OPTIONS_H
#define PF_TRAIN_SETTINGS_OPTIONS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "common/manual/manual.h"
#include "common/ranks/rank_group.h"
#include "train/features/feature_table.h"
#include "train/finetune/finetune_network.h"
#include "train/fit/experiment.h"
#include "train/metrics/assertion.h"
#include "train/settings/sweep_axis.h"

#define PF_MAX_ASSERTIONS 32
#define PF_MAX_AXES 16
#define PF_MAX_TASK_SETTINGS 64

/* --loss and --task-weight: what was said of one target, or of all. */
typedef struct PfTaskSetting {
    char target[PF_CACHE_NAME_SIZE]; /* "": all */
    bool has_loss;
    PfLossKind loss;
    double loss_parameter; /* "huber:DELTA", "focal:GAMMA"; 1 where the loss has none */
    double weight;         /* negative: not said */
} PfTaskSetting;

typedef struct PfTrainOptions {
    const char *cache;        /* the operand */
    const char *sources_from; /* NULL: a virtual cache's own folder only */
    const char *tap;          /* NULL: choose; "all": every tap of the cache */
    PfFeatureTableConfig table;
    PfExperiment experiment;
    PfTaskSetting tasks[PF_MAX_TASK_SETTINGS];
    int task_count;
    PfFinetuneOptions finetune; /* output is `tap` */
    int warm_head;              /* --warm-head: the head learns alone first */
    int resume;                 /* --resume: it must be one that a checkpoint can be of */
    int force;                  /* --force: from the beginning, whatever is there */
    int keep_checkpoint;        /* --keep-checkpoint: for more epochs later */
    int argc;                   /* the command line; lent */
    char **argv;
    PfSweepAxis axes[PF_MAX_AXES];
    int axis_count;
    int folds, seeds;                /* folds 0: none */
    bool names_optimizer;            /* --optimizer was given */
    int novelty;                     /* --novelty: what the images are like goes into the model */
    int calibrate;                   /* --calibrate: temperatures of the logits */
    int no_search;                   /* --no-search: the defaults, not searched */
    int threads;                     /* 0 = all processors */
    const char *output, *json, *csv; /* NULL: none; json, csv "-": stdout */
    const char *predictions;         /* --predictions; NULL: none; "-": stdout */
    int csv_safe;                    /* texts of both are kept from being formulas */
    int evaluate_all;                /* every head is evaluated on test rows, too */
    char *command;                   /* the command line, as a shell takes it; owned */
    const char *report;              /* a page; NULL: none */
    const char *tensorboard;         /* a folder of event files; NULL: none */
    const char *images;              /* of the page: where they are now; NULL: where they were */
    int no_thumbnails, anonymous;    /* of the page */
    char *targets;                   /* every --target, joined by commas; owned; table.targets */
    PfAssertion assertions[PF_MAX_ASSERTIONS];
    int assertion_count;
    const char *trust;  /* TorchScript file to note as trusted, instead of all else; or NULL */
    int alone;          /* --alone: no other process has to do with this one */
    PfRankGroup *group; /* those that have; NULL: none. Lent, set by whoever joined them */
    int quiet, verbose, help, version;
} PfTrainOptions;

/* Parses the command line; what contradicts itself is refused here. --help and
 * --version leave the rest unchecked. Free with pf_train_options_free, on
 * failure too. */
int pf_train_options_parse(int argc, char **argv, PfTrainOptions *options, PfError *err);
void pf_train_options_free(PfTrainOptions *options);
void pf_train_options_help(void);
/* The same for man and for shells. */
extern const PfManual pf_train_manual;

/* What the command line says of the training: pf_options_given without what does not change the
 * model. The caller deletes it; NULL where memory is short. */
cJSON *pf_train_options_given(const PfTrainOptions *options);

#endif
