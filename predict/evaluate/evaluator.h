/* How a model does on labelled rows: predictions and truths go in row by row, and out come the
 * metrics of each target, split by split, as train has them (train/metrics). */
#ifndef PF_PREDICT_EVALUATE_EVALUATOR_H
#define PF_PREDICT_EVALUATE_EVALUATOR_H

#include <cjson/cJSON.h>

#include "predict/evaluate/truth.h"
#include "train/metrics/metrics.h"

/* The part of rows whose data name no splits; others are PfSplit. */
#define PF_EVALUATOR_ALL PF_SPLIT_COUNT
#define PF_EVALUATOR_PARTS (PF_SPLIT_COUNT + 1)

/* "train", "val", "test", "all" */
const char *pf_evaluator_part_name(int part);

/* Of one target in one part. */
typedef struct PfEvaluatorScore {
    const PfMetrics *metrics; /* those of the target's kind; lent */
    int64_t rows;             /* that have a label which the model knows */
    int64_t unlabelled;       /* rows without a label */
    int64_t unknown;          /* rows of a class that the model does not know */
    void *meter;              /* until finish */
    void *values;             /* metrics->size bytes, after finish, where there are rows; owned */
} PfEvaluatorScore;

typedef struct PfEvaluator {
    const PfScorer *scorer; /* lent, as truth */
    const PfTruth *truth;
    PfEvaluatorScore *scores; /* (PF_EVALUATOR_PARTS, target_count) owned */
    int threads;
    float label_threshold; /* logit above which a label is predicted; 0 from new on */
    float *values;         /* (outputs) scratch, owned */
} PfEvaluator;

/* threads: 0 = all processors. */
int pf_evaluator_new(const PfTruth *truth, int threads, PfEvaluator **out, PfError *err);
void pf_evaluator_free(PfEvaluator **evaluator);
/* Before the rows: labels are predicted where their probability is above this, not above 0.5. */
void pf_evaluator_set_threshold(PfEvaluator *evaluator, double probability);

/* A row. logits: (outputs of all targets) as the scorer keeps them, for classes and labels;
 * outputs: likewise, numbers in the target's units, points in pixels of the image, as the truth's
 * are. */
int pf_evaluator_add(PfEvaluator *evaluator, int part, const PfTruthRow *row, const float *logits,
                     const float *outputs, PfError *err);

/* Before the rows: whether what pf_evaluator_json gives will have a number at the path of an
 * assertion, "val.accuracy", as far as that is known; else PF_EXIT_USAGE, with what it will have.
 * parts: which have rows. */
int pf_evaluator_check_path(const PfEvaluator *evaluator, const bool parts[PF_EVALUATOR_PARTS],
                            const char *path, PfError *err);

/* Once all rows were added. Fails (PF_EXIT_FAILED) where none of them had a label that the model
 * knows. */
int pf_evaluator_finish(PfEvaluator *evaluator, PfError *err);

/* Lent. */
const PfEvaluatorScore *pf_evaluator_score(const PfEvaluator *evaluator, int part, int target);

/* For people, on stderr: part by part the numbers with their 95 % intervals, then the details of
 * the last part: classes and confusion, columns, labels or points. */
void pf_evaluator_print(const PfEvaluator *evaluator);

/* {"val": {"rows", "accuracy", ..., "intervals", "classes", "confusion"}, ...}, of a model of
 * several targets with an object for each between; as train's result has it, and "unlabelled" and,
 * of classes, "unknown_class": how many rows were left out for that, also where it is none. */
cJSON *pf_evaluator_json(const PfEvaluator *evaluator);

#endif
