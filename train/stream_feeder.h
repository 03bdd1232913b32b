/* Rows of a table that is in memory, or streamed from its cache. */
#ifndef PF_STREAM_FEEDER_H
#define PF_STREAM_FEEDER_H

#include "row_feeder.h"

/* Rows of the table, which must outlive the feeder, wherever they are. Of a table that is streamed,
 * rows in order are dealt out as from memory, to the last bit; a shuffled pass takes runs of rows
 * in random order, as many at a time as a window holds, and shuffles the rows of each window, while
 * a thread reads the next window. pool may be NULL. */
int pf_row_feeder_new(const PfFeatureTable *table, PfThreadPool *pool, PfRowFeeder *out,
                      PfError *err);

#endif
