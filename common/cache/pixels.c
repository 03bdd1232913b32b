#include "common/cache/pixels.h"

#include <string.h>

#include "common/base/json.h"

#define WEIGHTS_KEY "weights_sha256"

bool pf_pixels_are_all_of(const PfCache *cache)
{
    int count = pf_cache_tap_count(cache);
    for (int t = 0; t < count; t++)
        if (strcmp(pf_cache_tap(cache, t)->name, PF_PIXEL_TAP)) return false;
    return count > 0;
}

bool pf_pixels_lack_weights(const cJSON *backbone)
{
    return pf_json_member_text(backbone, "name") &&
           !cJSON_GetObjectItemCaseSensitive(backbone, WEIGHTS_KEY);
}

void pf_pixels_pass_over_weights(cJSON *left, cJSON *right)
{
    bool left_lacks = pf_pixels_lack_weights(left), right_lacks = pf_pixels_lack_weights(right);
    if (left_lacks && right) cJSON_DeleteItemFromObjectCaseSensitive(right, WEIGHTS_KEY);
    if (right_lacks && left) cJSON_DeleteItemFromObjectCaseSensitive(left, WEIGHTS_KEY);
}
