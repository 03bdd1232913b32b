/* A training's state between two epochs, in a file: arrays that lie in memory are
 * registered once, then written, or read back into the same places. */
#ifndef PF_TRAIN_HEAD_CHECKPOINT_H
#define PF_TRAIN_HEAD_CHECKPOINT_H

#include <stddef.h>

#include "common/ranks/rank_group.h"
#include "permafrost/error.h"

#define PF_CHECKPOINT_BEFORE 3

typedef struct PfCheckpoint PfCheckpoint;

/* run: what the state belongs to, in words; a file of another run is refused. */
int pf_checkpoint_new(const char *path, const char *run, PfCheckpoint **out, PfError *err);
void pf_checkpoint_free(PfCheckpoint **checkpoint);
/* Files that say this of their run are read as well: older versions wrote it of the same run. Up to
 * PF_CHECKPOINT_BEFORE of them. */
int pf_checkpoint_take_also(PfCheckpoint *checkpoint, const char *run, PfError *err);

/* Several ranks train: rank 0 alone looks for the file, reads, writes and removes it, and the
 * others get what it has read. How many they are is written; a file of another number is read as
 * well. group: lent. All ranks read at the same time, once they have registered the same arrays. */
int pf_checkpoint_share(PfCheckpoint *checkpoint, PfRankGroup *group, PfError *err);
/* How many ranks wrote the file that was read. */
int pf_checkpoint_ranks_before(const PfCheckpoint *checkpoint);

/* A file of the same run with fewer epochs is read as well. */
void pf_checkpoint_let_epochs_grow(PfCheckpoint *checkpoint);

/* bytes at data are part of the state; both are lent. name: distinct; copied. */
int pf_checkpoint_add(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
                      PfError *err);
/* The same for weights: reading refuses numbers that are not finite, by the array's name. */
int pf_checkpoint_add_weights(PfCheckpoint *checkpoint, const char *name, float *weights,
                              size_t count, PfError *err);

/* The same for a list that a run of fewer epochs has less of: its beginning is filled. */
int pf_checkpoint_add_list(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
                           PfError *err);

/* What was registered is about to be freed: from now on there is nothing to read or write. */
void pf_checkpoint_forget(PfCheckpoint *checkpoint);

/* Whole file or none; synced. */
int pf_checkpoint_write(const PfCheckpoint *checkpoint, PfError *err);
/* Into the arrays. *found: 0 where there is no file. One of another run is refused with
 * PF_EXIT_IDENTITY and the settings that differ. */
int pf_checkpoint_read(PfCheckpoint *checkpoint, int *found, PfError *err);
/* The training is over: the file goes. */
void pf_checkpoint_remove(const PfCheckpoint *checkpoint);

/* Whether a file is there that pf_checkpoint_read would read from, by its name alone. */
int pf_checkpoint_is_there(const PfCheckpoint *checkpoint);

const char *pf_checkpoint_path(const PfCheckpoint *checkpoint); /* lent */

#endif
