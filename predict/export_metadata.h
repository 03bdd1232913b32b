/* What an exported model says of itself. */
#ifndef PF_EXPORT_METADATA_H
#define PF_EXPORT_METADATA_H

#include "backbone_plan.h"
#include "scorer.h"

#define PF_EXPORT_METADATA_MOST 8

/* "backbone" and "tap" are names; "preprocess" and "targets" ([{"name", "kind", "classes"}]) are
 * JSON, and so is "classes", of models with one target that has some. */
typedef struct PfExportMetadata {
    size_t count;
    const char *keys[PF_EXPORT_METADATA_MOST]; /* static */
    char *values[PF_EXPORT_METADATA_MOST];     /* owned */
    char *json;                                /* all of it as one object; owned */
} PfExportMetadata;

int pf_export_metadata_new(const PfScorer *scorer, const PfBackbonePlan *plan,
                           PfExportMetadata *out, PfError *err);
void pf_export_metadata_free(PfExportMetadata *metadata);

#endif
