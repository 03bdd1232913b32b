/* What there is to do: each image of a dataset compared with what earlier runs know.
 *
 * An image is known by path and stamp, without being read; failing that, by the digest of
 * its bytes, which are read where an image of that size is known. What is left has to be
 * computed. Loads no network. */
#ifndef PF_EXTRACT_PLAN_DATASET_SCAN_H
#define PF_EXTRACT_PLAN_DATASET_SCAN_H

#include <signal.h>
#include <stdint.h>

#include "common/cache/equal_images.h"
#include "extract/dataset/dataset.h"
#include "extract/plan/row_index.h"

typedef enum PfSampleState {
    PF_SAMPLE_NEW,      /* never seen */
    PF_SAMPLE_KNOWN,    /* its bytes are */
    PF_SAMPLE_REJECTED, /* cannot be used */
} PfSampleState;

typedef struct PfScannedSample {
    PfSampleState state;
    bool was_rejected; /* an earlier run rejected it at this path for this reason */
    bool was_hashed;
    bool owns_reason;
    uint8_t split;      /* PfSplit: the dataset's, until pf_dataset_scan_draw_sides draws another */
    PfImageFile file;   /* its digest is zeros while it is new; its path is the dataset's */
    const char *reason; /* of a rejected one */
    uint64_t missing;   /* bit t: tap t has to be computed */
} PfScannedSample;

typedef struct PfDatasetScan {
    const PfDataset *dataset;
    int tap_count;
    int64_t count;
    PfScannedSample *samples; /* (count), in dataset order */
} PfDatasetScan;

/* PF_EXIT_INTERRUPTED where *interrupted (may be NULL) becomes nonzero. The reasons of
 * known rejects are lent by `known`'s cache and journal. */
int pf_dataset_scan_new(const PfDataset *dataset, const PfRowIndex *known, int tap_count,
                        const volatile sig_atomic_t *interrupted, PfDatasetScan **out,
                        PfError *err);
void pf_dataset_scan_free(PfDatasetScan **scan);

typedef struct PfScanCounts {
    int64_t images;
    int64_t fresh;      /* to be computed */
    int64_t incomplete; /* known, but with taps to be computed */
    uint64_t lacking;   /* bit t: some of those lack tap t */
    int64_t reused;     /* known, with all taps */
    int64_t rejected, rejected_before;
    int64_t hashed, hashed_bytes; /* read, as path and stamp did not tell whether they are known */
} PfScanCounts;
PfScanCounts pf_dataset_scan_count(const PfDatasetScan *scan);

/* Samples that lack the same taps; the next group is the one that lacks most of them. Where nothing
 * is left to compute its count is 0. The caller frees samples. */
typedef struct PfScanGroup {
    uint64_t taps;
    int64_t *samples; /* (count), ascending */
    int64_t count;
} PfScanGroup;
int pf_dataset_scan_next_group(const PfDatasetScan *scan, PfScanGroup *out, PfError *err);

/* A sample's bytes were read, and its features are there, or will be. */
void pf_dataset_scan_note_known(PfDatasetScan *scan, int64_t sample, const PfImageFile *file);
/* A sample cannot be used. The reason is copied. */
int pf_dataset_scan_note_rejected(PfDatasetScan *scan, int64_t sample, const PfImageFile *file,
                                  const char *reason, PfError *err);
/* Where the dataset's sides are drawn by contents or groups: draws them for all images that are
 * known by now. An image that is not known yet counts as one of train. */
int pf_dataset_scan_draw_sides(PfDatasetScan *scan, PfError *err);
/* Counts equal images that stand on two sides or have two labels, among those that are known. */
int pf_dataset_scan_count_equal(const PfDatasetScan *scan, PfEqualImages *out, PfError *err);

/* At most so many files are opened a second time, only to see whether they are rotated. Of more
 * images as many are looked at, spread evenly. */
#define PF_ROTATIONS_LOOK_AT 4096

typedef struct PfRotations {
    int64_t to_compute; /* images */
    int64_t looked_at;  /* of them */
    int64_t rotated;    /* of those: lie on their side, or are mirrored */
    struct {
        const char *format; /* NULL: of no more formats */
        char reason[256];   /* why its images cannot be decoded here */
        int64_t count;      /* of those that were looked at */
    } lacking[8];
} PfRotations;

/* How many of the images that are to be computed carry an EXIF rotation, and how many are of
 * formats whose libraries are not there, as the first bytes of their files say, before anything is
 * decoded. So many threads look at once; files that cannot be read count as upright. */
int pf_dataset_scan_count_rotations(const PfDatasetScan *scan, int threads,
                                    const volatile sig_atomic_t *interrupted, PfRotations *out,
                                    PfError *err);

/* Finds out anew which taps are missing, after rows have been added. */
void pf_dataset_scan_update(PfDatasetScan *scan, const PfRowIndex *known);

#endif
