/* Everything that one run of extract holds, for the files that it is made of. */
#ifndef PF_EXTRACTION_STATE_H
#define PF_EXTRACTION_STATE_H

#include <sys/stat.h>

#include "cache_match.h"
#include "extract_options.h"
#include "feature_pass.h"
#include "provenance.h"
#include "rotations.h"

/* In the order in which it is acquired. */
typedef struct PfExtraction {
    const PfExtractOptions *options;
    const char *command;
    const volatile sig_atomic_t *interrupted;
    double started;
    PfListingRules rules;
    PfDataset *dataset;
    PfBackbonePlan *backbone;
    PfBackboneSession session;
    char *journal_path, *journal_identity;
    PfJournal *journal; /* NULL: not (yet) needed; while it is open, nobody else writes */
    struct stat old;    /* the cache that was looked at; st_ino 0 where there is none */
    PfCache *cache;     /* it, unless it is to be replaced; or NULL */
    PfWantedTaps wanted;
    PfKnownRows *known;
    PfSurvey *survey;
    PfSurveyCounts found; /* by the survey */
    PfCacheMatch match;
    PfRotations rotations; /* of images that will be computed, as far as they were looked at */
    PfWorkPlan plan;
    PfPipelineStats stats; /* of all passes */
    double multiply_adds;  /* of all passes; 0: nobody knows what a TorchScript file's are */
    PfComposeStats composed;
    PfEqualImages equal; /* of the finished cache */
} PfExtraction;

#endif
