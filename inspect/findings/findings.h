/* What inspect finds in a cache: the results of every search, as plain numbers.
 *
 * Rows are numbers of the cache's rows. Lists come in the order in which a person would look
 * through them: the worst first. Each search has a file of its own beside this one, which names the
 * source of its method; terminal, JSON, CSV and page all read these structs. */
#ifndef PF_INSPECT_FINDINGS_FINDINGS_H
#define PF_INSPECT_FINDINGS_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "inspect/neighbours/neighbours.h"
#include "train/metrics/interval.h"

#define PF_FINDING_REASON_SIZE 240

/* Whether it was looked for. */
typedef struct PfFindingStatus {
    bool done;
    char reason[PF_FINDING_REASON_SIZE]; /* why not, a sentence; "" where nobody asked */
} PfFindingStatus;

/* ---- how neighbours were looked for ---- */

typedef struct PfNeighbourLists {
    PfFindingStatus status;
    PfNeighboursWay way;
    int count; /* lists: 1, or 2: among all rows, and among the train rows with a label */
    int k[2];
    bool of_train_rows[2]; /* with a label; else of all rows */
    PfNeighbours nearest;  /* the first of each row's among all rows, where they are exported and
                              were looked for anyway; index NULL: they are not here; owned */
} PfNeighbourLists;

/* ---- duplicates ---- */

typedef struct PfDuplicateGroup {
    int64_t first, count; /* its rows are members[first] to members[first + count - 1], ascending */
    float similarity;     /* the lowest among the links that hold it together; 1 of equal bytes */
    bool is_exact;        /* all files have the same bytes */
    bool by_pixels;       /* a link that holds it together is of the pixels alone */
    bool crosses_splits;  /* a leak */
    bool has_two_labels;
} PfDuplicateGroup;

typedef struct PfDuplicates {
    PfFindingStatus status;
    double threshold;         /* cosine similarity from which two images are duplicates */
    bool threshold_given;     /* by the user, instead of by the data */
    double typical;           /* median similarity of a row and its nearest other one */
    double dimension;         /* that the spread of those tells; NaN where the user chose */
    PfDuplicateGroup *groups; /* (group_count) leaks first, then two labels, then the largest */
    int64_t group_count;
    int32_t *members; /* (member_count) */
    int64_t member_count;
    int64_t exact_groups, leak_groups, two_label_groups, pixel_groups;
    int64_t hashed_rows; /* whose pixels are compared */
    int hash_bits;       /* in which hashes of copies differ at most */
} PfDuplicates;

/* ---- labels ---- */

typedef struct PfLabelError {
    int32_t row, given, suggested; /* classes */
    float self_confidence;         /* probability of the given class */
    float suggested_probability;
    float knn_agreement; /* share of the weighted votes of its neighbours for the given class; NaN:
                            no neighbours */
    int32_t knn_label;   /* what the neighbours vote for; -1: no neighbours */
} PfLabelError;

typedef struct PfLabelErrors {
    PfFindingStatus status;
    int folds; /* that the probabilities are out of; 0: of a model */
    int classes;
    int64_t rows;         /* with a label, that were judged */
    double accuracy;      /* of those probabilities on the labels as they are */
    double noise;         /* share of rows that are mislabelled, by the joint */
    PfLabelError *errors; /* (count) lowest self-confidence first */
    int64_t count;
    float *probabilities; /* (rows of the cache, classes) NaN where there are none */
    double *thresholds;   /* (classes) mean self-confidence of the rows of a class */
    double *joint;        /* (classes, classes) share of rows with label i that are of class j */
} PfLabelErrors;

/* ---- outliers ---- */

typedef struct PfOutlier {
    int32_t row;
    float distance; /* 1 - cosine similarity to its k-th neighbour */
} PfOutlier;

typedef struct PfOutliers {
    PfFindingStatus status;
    int k;
    double typical, threshold; /* median distance, and the one from which rows are listed */
    PfOutlier *outliers;       /* (count) the farthest first */
    int64_t count;
} PfOutliers;

/* ---- classes ---- */

typedef struct PfClassPair {
    int32_t of, taken_for; /* classes */
    double share;          /* of the neighbours of the rows of the one that are of the other */
} PfClassPair;

typedef struct PfClassFindings {
    PfFindingStatus status;
    int classes;
    int64_t *counts;      /* (classes, PF_SPLIT_COUNT) rows */
    int64_t unlabelled;   /* rows without a class */
    int32_t most, fewest; /* classes, of those that have rows */
    int empty;            /* classes without any row */
    bool has_overlap;     /* the pairs were looked for */
    int k;                /* neighbours that count */
    double *shares;       /* (classes, classes) as PfClassPair.share; rows add up to 1 or 0 */
    PfClassPair *pairs;   /* (pair_count) the most confused first */
    int64_t pair_count;
} PfClassFindings;

/* ---- features ---- */

typedef struct PfFeatureFindings {
    PfFindingStatus status;
    int32_t *constant; /* (constant_count) columns that are the same in every row */
    int64_t constant_count;
    int32_t *broken; /* (broken_count) rows with NaN or infinity */
    int64_t broken_count;
    int32_t *zero; /* (zero_count) rows of zeros alone */
    int64_t zero_count;
} PfFeatureFindings;

/* ---- k nearest neighbours as a classifier ---- */

#define PF_KNN_CHOICES 4 /* k = 10, 20, 100, 200 */

typedef struct PfKnnScore {
    int k;
    int64_t right, count;
    double accuracy;
    PfInterval interval;
} PfKnnScore;

typedef struct PfKnnScores {
    PfFindingStatus status;
    double temperature;
    bool leave_one_out; /* train rows, each by the others; else val and test rows by the train rows
                         */
    PfKnnScore scores[PF_KNN_CHOICES]; /* (count) those k that the rows and memory allow */
    int count;
} PfKnnScores;

/* ---- accuracy by the number of images ---- */

typedef struct PfFewShotPoint {
    int shots;              /* images of each class that were learned from */
    double mean, low, high; /* accuracy over the seeds: mean, least, most */
    double deviation;       /* standard deviation over the seeds */
} PfFewShotPoint;

typedef struct PfFewShot {
    PfFindingStatus status;
    int seeds;
    int64_t test_rows;
    PfFewShotPoint *points; /* (count) ascending */
    int count;
} PfFewShot;

/* ---- images odd by their pixels ---- */

#define PF_PIXEL_STATISTICS 5 /* width, height, mean, deviation, Laplacian variance */

typedef enum PfOddity {
    PF_ODD_SMALL = 1,
    PF_ODD_LARGE = 2,
    PF_ODD_SHAPE = 4, /* much longer than wide, or the reverse */
    PF_ODD_DARK = 8,
    PF_ODD_BRIGHT = 16,
    PF_ODD_BLANK = 32,
    PF_ODD_BLURRED = 64,
} PfOddity;
#define PF_ODDITY_COUNT 7
extern const char *const pf_oddity_names[PF_ODDITY_COUNT]; /* by the bit */

typedef struct PfOddImage {
    int32_t row;
    unsigned oddities; /* PfOddity, or-ed */
    float statistics[PF_PIXEL_STATISTICS];
} PfOddImage;

typedef struct PfOddImages {
    PfFindingStatus status;
    bool from_cache;    /* by what extract noted; else the images were read */
    int64_t unreadable; /* images that could not be read now, or have changed; of which the cache
                           has nothing */
    float *statistics;  /* (rows, PF_PIXEL_STATISTICS) NaN where not known */
    uint64_t *perceptual_hashes; /* (rows) 0 where there is none; NULL: the images were not read */
    PfOddImage *images;          /* (count) */
    int64_t count;
    int64_t counts[PF_ODDITY_COUNT];
} PfOddImages;

/* ---- what to label next ---- */

typedef struct PfNextLabel {
    int32_t row;
    float uncertainty; /* entropy of the probabilities, 0 to 1 */
    float distance;    /* 1 - cosine similarity to the nearest row that is labelled or listed */
} PfNextLabel;

typedef struct PfNextLabels {
    PfFindingStatus status;
    int64_t unlabelled;
    PfNextLabel *rows; /* (count) in the order in which to label them */
    int64_t count;
} PfNextLabels;

/* ---- several models on one set ---- */

typedef struct PfComparedModel {
    const char *path; /* lent by the command line */
    int64_t right;
    double accuracy, macro_recall, log_loss;
    PfInterval interval;
    int32_t *predictions; /* (rows of the cache) class, their number for one that the cache does not
                             have; -1 where it was not asked */
} PfComparedModel;

typedef struct PfComparedPair {
    int a, b;               /* models */
    int64_t only_a, only_b; /* rows that only the one has right */
    double p;               /* McNemar's exact test */
    double difference;      /* accuracy of a minus that of b */
    PfInterval interval;    /* of the difference */
} PfComparedPair;

typedef struct PfModelComparison {
    PfFindingStatus status;
    const char *split;   /* whose rows these are; static */
    bool may_be_learned; /* a model may have learned from some of them */
    int64_t rows;
    PfComparedModel *models; /* (model_count) */
    int model_count;
    PfComparedPair *pairs; /* (pair_count) */
    int pair_count;
} PfModelComparison;

/* ---- images near to one ---- */

typedef struct PfNearImage {
    int32_t row;
    float similarity;
} PfNearImage;

typedef struct PfNearImages {
    PfFindingStatus status;
    const char *image;   /* lent by the command line */
    PfNearImage *images; /* (count) the nearest first */
    int64_t count;
} PfNearImages;

/* ---- all ---- */

/* Start from {0}. */
typedef struct PfFindings {
    PfNeighbourLists neighbours;
    PfDuplicates duplicates;
    PfLabelErrors labels;
    PfOutliers outliers;
    PfClassFindings classes;
    PfFeatureFindings features;
    PfKnnScores knn, knn_held_out; /* of the train rows, and of the others */
    PfFewShot few_shot;
    PfOddImages odd;
    PfNextLabels next;
    PfModelComparison models;
    PfNearImages near;
} PfFindings;

void pf_findings_free(PfFindings *findings);

#endif
