/* A page about the rows of a cache, put together by the programs that have one open. */
#ifndef PF_INSPECT_PAGE_CACHE_PAGE_H
#define PF_INSPECT_PAGE_CACHE_PAGE_H

#include "inspect/page/map.h"
#include "inspect/page/page.h"
#include "inspect/rows/rows.h"

/* What is shown of a cache; everything that it points to is owned. */
typedef struct PfCachePage {
    PfPageData data;
    PfCache *cache; /* lent */
    PfPageTarget *targets;
    void **owned; /* (owned_count) arrays that targets and data lend */
    size_t owned_count, owned_capacity;
    PfImageFiles files;
    PfMap map;
    char reason[400]; /* why there are no images */
} PfCachePage;

typedef struct PfCachePageConfig {
    const char *images;    /* where the dataset is now; NULL: where it was */
    int64_t max_pixels;    /* of an image; 0: the usual limits, see image.h */
    const uint8_t *splits; /* (rows) NULL: those of the cache */
    int no_thumbnails, anonymous;
    int threads;
    const volatile sig_atomic_t *interrupted;
} PfCachePageConfig;

/* Paths, splits, sizes, targets with what is true, images, and the facts that the cache states.
 * Images that are not there are no failure: the page says why. Free with pf_cache_page_close, on
 * failure too. */
int pf_cache_page_open(PfCache *cache, const PfCachePageConfig *config, PfCachePage *out,
                       PfError *err);
void pf_cache_page_close(PfCachePage *page);

/* Room for the outputs of a target, NaN until they are filled: (rows, width). NULL where memory is
 * short. Lent by the page, whose target has it from now on. */
float *pf_cache_page_outputs(PfCachePage *page, PfPageTarget *target, PfError *err);

/* One more class, of which no row is, before there is room for outputs. name: lent as long as the
 * page is. */
int pf_cache_page_add_class(PfCachePage *page, PfPageTarget *target, const char *name,
                            PfError *err);

/* Room for the classes or labels that the model does not know, 0 until they are marked: (width). As
 * of pf_cache_page_outputs. */
uint8_t *pf_cache_page_unknown(PfCachePage *page, PfPageTarget *target, PfError *err);

/* The map on the page. drawn: lent as long as the page is; NULL: it is drawn now. */
int pf_cache_page_map(PfCachePage *page, const PfRows *rows, const PfMap *drawn, PfError *err);

/* The three nearest training images of each mistake. After the outputs and pf_page_prepare. */
int pf_cache_page_nearest(PfCachePage *page, const PfRows *rows, PfError *err);

#endif
