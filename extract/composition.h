/* The finished cache: the rows that a survey found, in the dataset's order. */
#ifndef PF_COMPOSITION_H
#define PF_COMPOSITION_H

#include "survey.h"

typedef struct PfComposition {
    const PfSurvey *survey; /* nothing is missing any more */
    const PfKnownRows *known;
    const PfCacheTap *taps;
    int tap_count;
    const char *identity, *provenance; /* JSON */
    PfCompression compression;
    int level, threads;
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfComposition;

/* Writes `output`, of which the old one stays until the new one is whole. */
int pf_composition_write(const PfComposition *composition, const char *output,
                         PfComposeStats *stats, PfError *err);

#endif
