/* A thread that reads rows of a cache while others are worked on. */
#ifndef PF_READ_AHEAD_H
#define PF_READ_AHEAD_H

#include "feature_table.h"
#include "stream_plan.h"
#include "view_draw.h"

typedef struct PfReadAhead PfReadAhead;

/* table: streamed; lent until free. */
int pf_read_ahead_new(const PfFeatureTable *table, PfReadAhead **out, PfError *err);
void pf_read_ahead_free(PfReadAhead **reader);

/* Begins to read the distinct rows of these parts, of each the view that is drawn, one after the
 * other in the stored dtype, into out. Nothing else is being read; parts and out are lent until
 * wait or cancel. */
int pf_read_ahead_start(PfReadAhead *reader, const PfStreamPart *parts, int64_t count, void *out,
                        const PfViewDraw *draw, PfError *err);
/* Until all is read. Fails where something could not be, or with PF_EXIT_INTERRUPTED. */
int pf_read_ahead_wait(PfReadAhead *reader, PfError *err);
/* Gives up what is being read, if anything. */
void pf_read_ahead_cancel(PfReadAhead *reader);

#endif
