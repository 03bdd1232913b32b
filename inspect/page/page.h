/* A page that shows what is known of a set of images: one HTML file that opens from disk, asks
 * nothing of a network, and says so in its content security policy.
 *
 * What is not known (NULL, 0) has no section. Whoever writes a page gathers what it knows in a
 * PfPageData: inspect, train, predict and extract do. */
#ifndef PF_INSPECT_PAGE_PAGE_H
#define PF_INSPECT_PAGE_PAGE_H

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "inspect/findings/findings.h"
#include "inspect/images/images.h"
#include "permafrost/feature_cache.h"

#define PF_PAGE_ALL_SPLITS (-1)
#define PF_PAGE_NO_SPLITS (-2)

/* One thing that is known, or predicted, of each image. */
typedef struct PfPageTarget {
    const char *name;
    PfTargetKind kind;
    int width;                /* classes, labels or numbers */
    const char *const *names; /* (width) of classes and labels, else NULL */
    const int32_t *labels;    /* (rows) classes, -1: not known; NULL of other kinds, or of none */
    const float *values;      /* (rows, width) NaN: not known; NULL of classes, or of none */
    const uint8_t *unknown; /* (width) 1: a class or label that the model does not know, by which it
                               is not judged; NULL: none */
    const float *outputs;   /* (rows, width) what was predicted: probabilities of classes and
                               labels, numbers, points in pixels; NaN: nothing. NULL: nothing */
    int judged;             /* filled by pf_page_prepare: a PfSplit, or one of those below */
} PfPageTarget;

typedef struct PfPageFact {
    const char *name;
    char text[400];
} PfPageFact;

#define PF_PAGE_FACTS 16

/* A list of images that somebody has chosen: rejected ones, the views of a few. */
typedef struct PfPageTile {
    int32_t row;         /* -1: none of the rows */
    const char *caption; /* lent */
    uint8_t *jpeg;       /* the picture where it is none of a row's, or NULL; lent */
    size_t size;
} PfPageTile;

typedef struct PfPageGallery {
    const char *title, *note;
    const PfPageTile *tiles;
    int64_t count;
} PfPageGallery;

typedef struct PfPageData {
    const char *title; /* "photos.h5" */
    PfPageFact facts[PF_PAGE_FACTS];
    int fact_count;
    int64_t rows;
    const char *const *paths;        /* (rows) NULL: rows have numbers */
    const uint8_t *splits;           /* (rows) PfSplit; NULL: there are none */
    const int32_t *widths, *heights; /* (rows) of the images, 0 unknown; or NULL */
    PfPageTarget *targets;           /* (target_count) */
    int target_count;
    const char *inspected;      /* name of the target of classes that findings, mistakes and map are
                                   about; NULL: the first */
    const cJSON *result;        /* of train: epochs, sweep, metrics; or NULL */
    const PfFindings *findings; /* or NULL */
    const float *map;           /* (rows, 2) or NULL */
    const float *other_map;     /* (rows, 2) or NULL */
    const char *map_name, *other_map_name;
    const int32_t *nearest; /* (rows, nearest_count) training images near to each, -1: none; NULL */
    int nearest_count;
    const PfPageGallery *galleries;
    int gallery_count;
    /* What the page may show. */
    PfImages *images;          /* NULL: no thumbnails */
    const char *images_reason; /* why not, a sentence, or NULL */
    bool is_anonymous;         /* numbers in place of paths */
    bool has_threshold;        /* else labels are named above a probability of 0.5 */
    double threshold;          /* probability above which they are */
    int side;                  /* of thumbnails, pixels; 0: 96 */
    int64_t bytes;             /* that thumbnails may take on the page; 0: 12 MB */
    int threads;
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfPageData;

void pf_page_add_fact(PfPageData *data, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Finds out which rows each target is judged by. Before the functions below, once the targets are
 * complete. */
void pf_page_prepare(PfPageData *data);

/* What a caller has to find the nearest images of: those that the first target's predictions are
 * wrong about, the most confident first, at most `most`. rows: (most). Returns how many. */
int64_t pf_page_mistakes(const PfPageData *data, int64_t most, int32_t *rows);

/* The rows that a target's predictions are judged by: those of test, else val, else all, that have
 * both. */
bool pf_page_is_judged(const PfPageData *data, const PfPageTarget *target, int64_t row);

/* Those that have both, of whichever split. */
bool pf_page_is_answered(const PfPageTarget *target, int64_t row);

int pf_page_write(const char *path, const PfPageData *data, PfError *err);

#endif
