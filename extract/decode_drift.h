/* What fast decoding does to features: those of a few images, decoded so and exactly. */
#ifndef PF_DECODE_DRIFT_H
#define PF_DECODE_DRIFT_H

#include "backbone_session.h"
#include "dataset.h"
#include "image.h"

typedef struct PfDecodeDrift {
    int looked_at; /* images that were decoded */
    int images;    /* of them, those that fast decoding makes smaller; what follows is theirs */
    double exact_seconds, fast_seconds; /* of decoding and resizing */
    double mean_cosine;                 /* over images and taps */
    double largest_error; /* largest difference over largest value of a row, the worst row's */
} PfDecodeDrift;

/* Looks at the first of the samples until a few have been decoded smaller; those that cannot be
 * used are passed over. The session is open, and nobody else uses it meanwhile. */
int pf_decode_drift_measure(const PfDataset *dataset, const int64_t *samples, int64_t count,
                            const PfBackboneSession *session, const PfImageLimits *limits,
                            PfDecodeDrift *drift, PfError *err);

/* The line that says it. */
void pf_decode_drift_say(const PfDecodeDrift *drift);

#endif
