/* Several views of each image in a cache: a row of a tap is (views, shape of one), and the identity
 * says how many. Of one view there is no such axis. */
#ifndef PF_COMMON_CACHE_VIEWS_H
#define PF_COMMON_CACHE_VIEWS_H

#include "permafrost/feature_cache.h"

/* No image has more. */
#define PF_VIEWS_MAX 256

/* 1 where the identity does not say. Fails where it says no number of 1 to PF_VIEWS_MAX, or the
 * rows of a tap are not of as many. */
int pf_cache_views_count(const PfCache *cache, int *views, PfError *err);

/* Of a row's shape that of one view, and the reverse; views 1: the same. */
PfShape pf_cache_views_shape(const PfShape *row, int views);
PfShape pf_cache_views_row_shape(const PfShape *view, int views);

#endif
