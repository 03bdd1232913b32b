#include "inspect/findings/findings.h"

#include <stdlib.h>

const char *const pf_oddity_names[PF_ODDITY_COUNT] = {"small",  "large", "odd shape", "dark",
                                                      "bright", "blank", "blurred"};

void pf_findings_free(PfFindings *findings)
{
    free(findings->duplicates.groups);
    free(findings->duplicates.members);
    free(findings->labels.errors);
    free(findings->labels.probabilities);
    free(findings->labels.thresholds);
    free(findings->labels.joint);
    free(findings->outliers.outliers);
    free(findings->classes.counts);
    free(findings->classes.shares);
    free(findings->classes.pairs);
    free(findings->features.constant);
    free(findings->features.broken);
    free(findings->features.zero);
    free(findings->few_shot.points);
    free(findings->odd.statistics);
    free(findings->odd.perceptual_hashes);
    free(findings->odd.images);
    free(findings->next.rows);
    for (int m = 0; findings->models.models && m < findings->models.model_count; m++)
        free(findings->models.models[m].predictions);
    free(findings->models.models);
    free(findings->models.pairs);
    free(findings->near.images);
    pf_neighbours_free(&findings->neighbours.nearest);
    *findings = (PfFindings){0};
}
