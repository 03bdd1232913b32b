/* One --sweep: an option, and the values that it is to take. */
#ifndef PF_TRAIN_SETTINGS_SWEEP_AXIS_H
#define PF_TRAIN_SETTINGS_SWEEP_AXIS_H

#include "permafrost/error.h"

/* An option and the values that it is to take.
 *
 *     lr=1e-4..1e-1:log7          seven values, equal factors apart
 *     dropout=0..0.5:lin6         six values, equal steps apart
 *     head=linear,mlp:256x128     these */
typedef struct PfSweepAxis {
    char *name; /* without dashes; owned, as the values */
    char **values;
    int count;
} PfSweepAxis;

/* Of "lr=1e-4..1e-1:log7"; a usage error where it is nothing of the kind. Free with
 * pf_sweep_axis_free. */
int pf_sweep_axis_parse(const char *text, PfSweepAxis *axis, PfError *err);
void pf_sweep_axis_free(PfSweepAxis *axis);

#endif
