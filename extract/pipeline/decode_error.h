/* What fast decoding does to features: those of a few images, decoded so and exactly. */
#ifndef PF_EXTRACT_PIPELINE_DECODE_ERROR_H
#define PF_EXTRACT_PIPELINE_DECODE_ERROR_H

#include "extract/backbone/session.h"
#include "extract/dataset/dataset.h"
#include "extract/image/image.h"

typedef struct PfDecodeError {
    int looked_at; /* images that were decoded */
    int images;    /* of them, those that fast decoding makes smaller; what follows is theirs */
    double exact_seconds, fast_seconds; /* of decoding and resizing */
    double mean_cosine;                 /* over images and taps */
    double largest_error; /* largest difference over largest value of a row, the worst row's */
} PfDecodeError;

/* Looks at the first of the samples until a few have been decoded smaller; those that cannot be
 * used are passed over. The session is open, and nobody else uses it meanwhile. */
int pf_decode_error_measure(const PfDataset *dataset, const int64_t *samples, int64_t count,
                            const PfBackboneSession *session, const PfImageLimits *limits,
                            PfDecodeError *found, PfError *err);

/* The line that says it. */
void pf_decode_error_print(const PfDecodeError *found);

#endif
