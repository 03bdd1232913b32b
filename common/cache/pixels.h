/* The tap `input`: pixels, which do not depend on the weights of a network. A cache of them alone
 * names the weights that it was made with in its identity, or none. */
#ifndef PF_COMMON_CACHE_PIXELS_H
#define PF_COMMON_CACHE_PIXELS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "permafrost/feature_cache.h"

#define PF_PIXEL_TAP "input"

/* Whether it has no other tap. */
bool pf_pixels_are_all_of(const PfCache *cache);

/* Whether an identity's "backbone" names a built-in network and no weights. */
bool pf_pixels_lack_weights(const cJSON *backbone);

/* Before two identities of pixels, or models of them, are compared by their "backbone"s, which may
 * be NULL: where one of the two lacks weights, those of the other are removed. */
void pf_pixels_pass_over_weights(cJSON *left, cJSON *right);

#endif
