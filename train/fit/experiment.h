/* Everything about one head that a sweep may vary, and what a sweep is made of. */
#ifndef PF_TRAIN_FIT_EXPERIMENT_H
#define PF_TRAIN_FIT_EXPERIMENT_H

#include <stdbool.h>

#include "train/features/normalize.h"
#include "train/fit/head_trainer.h"

typedef enum PfSampling {
    PF_SAMPLING_SHUFFLE,  /* every row once an epoch */
    PF_SAMPLING_BALANCED, /* rows drawn so that each class comes equally often */
} PfSampling;

/* As they are called on the command line and in files; by the enum. */
#define PF_SAMPLING_COUNT 2
extern const char *const pf_sampling_names[PF_SAMPLING_COUNT];

#define PF_DEFAULT_BATCH 64

typedef struct PfExperiment {
    PfNormalize normalize;
    PfHeadSpec spec;
    PfOptimizerKind optimizer;
    int nesterov;
    PfHeadSetting setting; /* learning_rate, weight_decay, momentum: negative = the
                              optimiser's default */
    int epochs;            /* 0: pf_experiment_finish chooses */
    int batch, patience;
    int balanced_loss; /* --class-weights balanced */
    PfSampling sampling;
    int per_class;        /* train rows of each class; 0: all */
    bool finetunes;       /* a suffix of the network learns with the head */
    double backbone_rate; /* its learning rate; negative: the head's */
    bool searches;        /* nothing was said of optimiser, rate and decay: search_plan.h */
    int64_t seed;
} PfExperiment;

PfExperiment pf_experiment_default(void);

/* Fills in what depends on other settings, and refuses what contradicts itself. */
int pf_experiment_finish(PfExperiment *experiment, PfError *err);

/* The epochs of a head that learns from so many rows: those asked for, else, as few rows need many
 * passes, as many as make 4,000 steps, at least 10 and at most 200; of L-BFGS at most 1,000
 * iterations. */
int pf_experiment_epochs(const PfExperiment *experiment, int64_t rows);

/* Whether the two can be heads of one head batch. */
bool pf_experiment_same_batch(const PfExperiment *a, const PfExperiment *b);

#endif
