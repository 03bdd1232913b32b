/* One run of extract: a dataset through a network into a cache.
 *
 * First the whole, which the program calls; then what a run holds, for the files that it is made
 * of: what it looks at (extraction_look.c) and what it says of itself (extraction_report.c).
 * extraction.c stands above both. */
#ifndef PF_EXTRACT_EXTRACTION_H
#define PF_EXTRACT_EXTRACTION_H

#include <signal.h>
#include <sys/stat.h>

#include "extract/options.h"
#include "extract/pipeline/bottleneck.h"
#include "extract/plan/cache_build.h"
#include "extract/plan/provenance.h"
#include "extract/plan/requested_taps.h"
#include "extract/plan/work_plan.h"

/* Checks everything that can be checked, says what it will do, does it, and
 * sums up on stderr. command: the command line, for the provenance.
 * interrupted: see pipeline.h. */
int pf_extraction_run(const PfExtractOptions *options, const char *command,
                      const volatile sig_atomic_t *interrupted, PfError *err);

/* In the order in which it is acquired. */
typedef struct PfExtraction {
    const PfExtractOptions *options;
    const char *command;
    const volatile sig_atomic_t *interrupted;
    double started;
    PfListingRules rules;
    char *fetch_folder; /* beside the output, for archives at addresses */
    bool is_fetched;    /* pf_extraction_find_fetched: there is no dataset, and nothing to do */
    PfDataset *dataset;
    PfBackbonePlan *backbone;
    PfBackboneSession session;
    char *journal_path, *journal_identity;
    PfJournal *journal; /* NULL: not (yet) needed; while it is open, nobody else writes */
    PfJournal *peeked;  /* --dry-run: what is in it, without its lock; else NULL */
    struct stat old;    /* the cache that was looked at; st_ino 0 where there is none */
    PfCache *cache;     /* it, unless it is to be replaced; or NULL */
    PfRequestedTaps wanted;
    PfRowIndex *known;
    PfDatasetScan *scan;
    PfScanCounts found; /* by the scan */
    PfPlanCacheMatch match;
    PfRotations rotations; /* of images that will be computed, as far as they were looked at */
    PfWorkPlan plan;
    PfPipelineStats stats; /* of all passes */
    double multiply_adds;  /* of all passes; 0: nobody knows what a TorchScript file's are */
    PfCacheBuildStats built;
    PfEqualImages equal; /* of the finished cache */
} PfExtraction;

/* ---- what is to be extracted, and what earlier runs have left: extraction_look.c ---- */

/* Opens dataset, cache and backbone; says what the dataset is. */
int pf_extraction_open(PfExtraction *run, PfError *err);
/* Takes the journal: from here on nobody else writes this cache. */
int pf_extraction_take_journal(PfExtraction *run, PfError *err);
/* Takes the journal. Where another run has just replaced the cache it opens the new one, and the
 * scan is freed, as it was of the old one. */
int pf_extraction_lock(PfExtraction *run, PfError *err);
/* Compares the dataset with what there is, and that with what is asked for. */
int pf_extraction_look(PfExtraction *run, PfError *err);
/* Lists anew which rows cache and journal have. */
int pf_extraction_find_rows(PfExtraction *run, PfError *err);

struct stat pf_extraction_stat_cache(const PfExtraction *run); /* st_ino 0: there is none */
/* Whether the cache that was opened is still there. */
bool pf_extraction_is_unchanged(const PfExtraction *run);

int64_t pf_extraction_max_rejected(const PfExtraction *run);
int pf_extraction_worker_count(const PfExtraction *run);

/* Closes the cache and all that was found in it. */
void pf_extraction_forget(PfExtraction *run);

/* ---- archives at addresses: extraction_fetched.c ---- */

/* Looks whether the cache is of the versions of the archives that there are now, by the options
 * that are given now: is_fetched. */
int pf_extraction_find_fetched(PfExtraction *run, PfError *err);
/* Whether such a cache is of the network, too, and no other work was begun on it. */
bool pf_extraction_is_of_network(const PfExtraction *run);

/* ---- what a run says of itself: extraction_report.c ---- */

/* What there is to do: the network, how many images of which kind; names new rejects. */
void pf_extraction_print_task(const PfExtraction *run);
/* How many of the images that were looked at are rotated, where any is. */
void pf_extraction_print_rotations(const PfExtraction *run);

/* The numbers in which a run that has succeeded is summed up. Those from images_per_second to
 * peak_gflops are known only where something was computed. */
typedef struct PfExtractionSummary {
    int64_t rows, rejected; /* of the cache */
    int64_t computed;       /* of the rows, by this run */
    int64_t file_bytes;
    int64_t raw_bytes, stored_bytes; /* of the features that were written; 0: none were */
    double images_per_second;        /* of the pipeline */
    PfRunTimes times;
    PfBottleneck bottleneck;
    double gflops, peak_gflops; /* of the network, of convolutions alone; 0: not known */
    double seconds;             /* from beginning to end */
    int64_t peak_memory_bytes;
} PfExtractionSummary;

/* Of a run whose cache is right, its journal still open if there was one. */
void pf_extraction_sum_up(PfExtraction *run, PfExtractionSummary *summary);
/* On a terminal, where that is worth its while (a long run, or -v), closes the network and measures
 * what the machine could have reached; a signal ends that. Nobody should have to wait for it: the
 * journal is gone. */
void pf_extraction_measure_peak(PfExtraction *run, PfExtractionSummary *summary);
/* The last lines of a run that has written the cache. */
void pf_extraction_print_summary(const PfExtraction *run, const PfExtractionSummary *summary);
/* --json: writes the file in one piece ("-": standard output); docs/extract.md has its members. */
int pf_extraction_write_json(const PfExtraction *run, const PfExtractionSummary *summary,
                             PfError *err);

/* How many images were drawn to each side, where any were. */
void pf_extraction_print_sides(const PfExtraction *run);
/* Finds, and warns of, images on both sides of a split and under two labels. */
int pf_extraction_find_equal(PfExtraction *run, PfError *err);
/* The error of a run that a signal ended after `computed` images. */
void pf_extraction_fail_interrupted(const PfExtraction *run, int64_t computed, PfError *err);

/* ---- --contact-sheet: contact_sheet.c ---- */

/* Of a run whose cache is right: a page of images evenly spaced among all, as the network sees them
 * after resizing and cropping, or with --augmented the views of some; and of those that were
 * rejected, with the reasons. */
int pf_extraction_write_sheet(const PfExtraction *run, PfError *err);

#endif
