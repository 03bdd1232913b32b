/* Which rows a head learns from: folds, few of each class, classes equally often.
 * Every choice follows from the rows, the task and the seed alone. Lists are ascending. */
#ifndef PF_TRAIN_FEATURES_ROW_CHOICE_H
#define PF_TRAIN_FEATURES_ROW_CHOICE_H

#include "common/base/random.h"
#include "train/features/task.h"

/* The fold, 0 to folds - 1, of each of these rows: as many of each class in every fold as
 * can be (rows without a class, or all where task is not of classes, are dealt out likewise).
 * Rows that are alike go together, and count as one: alike, by row of the table, is the first row
 * that is like it, at most that row itself; NULL: none are. */
int pf_row_choice_fold(const PfTask *task, const int32_t *rows, const uint32_t *alike,
                       int64_t count, int folds, uint64_t seed, uint8_t *fold, PfError *err);

/* At most per_class rows of each class; rows without a class are left out. *out: malloc'ed. */
int pf_row_choice_per_class(const PfTask *task, const int32_t *rows, int64_t count, int per_class,
                            uint64_t seed, int32_t **out, int64_t *out_count, PfError *err);

/* How many of the task's classes have fewer of the rows than that, and how many rows the smallest
 * of them has. */
int pf_row_choice_count_few(const PfTask *task, const int32_t *rows, int64_t count, int64_t wanted,
                            int *few, int64_t *least, PfError *err);

/* count rows drawn with replacement, of every class that is there equally many (rows
 * without a class are not drawn). out: (count), with repetitions. stream: of the epoch. */
int pf_row_choice_draw_balanced(const PfTask *task, const int32_t *rows, int64_t count,
                                PfRandom *stream, int32_t *out, PfError *err);

#endif
