/* How many of the images that a run will compute carry an EXIF rotation, found in the first bytes
 * of their files before anything is decoded. */
#ifndef PF_ROTATIONS_H
#define PF_ROTATIONS_H

#include "survey.h"

/* More files than these are not opened twice: of so many, spread evenly, it is told. */
#define PF_ROTATIONS_LOOK_AT 4096

typedef struct PfRotations {
    int64_t to_compute; /* images */
    int64_t looked_at;  /* of them */
    int64_t rotated;    /* of those: lie on their side, or are mirrored */
} PfRotations;

/* threads look at once. Files that cannot be read count as upright. */
int pf_rotations_count(const PfSurvey *survey, int threads,
                       const volatile sig_atomic_t *interrupted, PfRotations *out, PfError *err);

#endif
