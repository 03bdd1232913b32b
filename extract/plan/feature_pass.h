/* Images through the network into the journal: those of a scan that lack the same taps. */
#ifndef PF_EXTRACT_PLAN_FEATURE_PASS_H
#define PF_EXTRACT_PLAN_FEATURE_PASS_H

#include "extract/pipeline/pipeline.h"
#include "extract/plan/dataset_scan.h"
#include "extract/plan/requested_taps.h"
#include "extract/plan/work_plan.h"

typedef struct PfFeaturePass {
    PfDatasetScan *scan;
    const PfScanGroup *group;
    PfRequestedTaps *wanted;
    PfBackboneSession *session;
    PfWorkPlan *plan;
    PfJournal *journal; /* NULL: one batch only, to see how small it becomes (--dry-run) */
    int workers, readers;
    int64_t max_pixels;   /* see pipeline.h */
    int64_t max_rejected; /* more of the whole dataset than this end the run */
    const volatile sig_atomic_t *interrupted;
} PfFeaturePass;

/* Runs the group's samples through, notes in the scan what became of each, and ends
 * the journal's segment. After the first batch the plan says its sizes. stats is added to.
 * PF_EXIT_BAD_IMAGES past max_rejected; whatever the failure, what was computed is in the
 * journal, if not yet synced. */
int pf_feature_pass_run(const PfFeaturePass *pass, PfPipelineStats *stats, PfError *err);

/* Syncs the journal; after a signal, too, with the time that a slow disk takes. */
int pf_feature_pass_settle(PfJournal *journal);

/* Fails where so many of the scan's samples are rejected. */
int pf_feature_pass_check_rejected(const PfDatasetScan *scan, int64_t max_rejected, PfError *err);

#endif
