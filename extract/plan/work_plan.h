/* What a run is going to do, said before it is done, and whether the disk can hold it. */
#ifndef PF_EXTRACT_PLAN_WORK_PLAN_H
#define PF_EXTRACT_PLAN_WORK_PLAN_H

#include "extract/plan/dataset_scan.h"
#include "extract/plan/requested_taps.h"

/* "photos: class folders, 400 images (300 train, 100 val)", and the dataset's warnings. */
void pf_work_plan_print_dataset(const PfDataset *dataset, const char *operand, PfShard shard);
/* "resnet18 (resnet18.pth, sha256 f37072fd), fp32; resize 256, centre crop 224, bilinear", and how
 * many views. */
void pf_work_plan_print_network(const PfBackbonePlan *plan);
/* "400 images: 100 new, 298 lack layer3, 0 reused, 2 rejected before" */
void pf_work_plan_print_counts(const PfScanCounts *counts, const PfRequestedTaps *wanted);

typedef struct PfWorkPlan {
    const char *output;
    PfCompression compression;
    int level;
    PfRequestedTaps *wanted;               /* lent */
    int64_t rows;                          /* of the cache, if nothing more is rejected */
    int64_t cache_bytes, journal_bytes;    /* that they hold besides features */
    double ratio[PF_KNOWN_TAPS_MAX];       /* stored bytes by raw ones; 0 = not measured yet */
    int64_t to_compute[PF_KNOWN_TAPS_MAX]; /* rows of each tap that go through the journal */
    uint64_t said;                         /* taps whose line has been printed */
    bool disk_checked, memory_said, decode_error_measured;
} PfWorkPlan;

/* cache: NULL where there is none; its taps need not be measured. */
int pf_work_plan_make(PfWorkPlan *plan, const PfDatasetScan *scan, PfCache *cache, PfError *err);

/* Compresses n rows of wanted tap `tap` to see how small they become. */
int pf_work_plan_measure(PfWorkPlan *plan, int tap, int n, const void *rows, PfError *err);

/* Says of each tap that has been measured by now how large it becomes, once. */
void pf_work_plan_print_sizes(PfWorkPlan *plan);

/* Once all taps have been measured: says what the disk must hold, and fails where it cannot. Does
 * nothing before, and nothing a second time. */
int pf_work_plan_check_disk(PfWorkPlan *plan, PfError *err);

/* Bytes free on the disk that the file `path` goes to; PF_FAKE_DISK_FREE in the environment says
 * how many, for tests. -1 where nobody can tell. */
int64_t pf_work_plan_disk_free(const char *path);

#endif
