#include "common/cache/views.h"

#include <string.h>

#include "common/base/json.h"

static int check_taps(const PfCache *cache, int views, PfError *err)
{
    char text[PF_SHAPE_TEXT_SIZE];
    for (int t = 0; t < pf_cache_tap_count(cache) && views > 1; t++) {
        const PfCacheTap *tap = pf_cache_tap(cache, t);
        if (tap->shape.rank && tap->shape.dims[0] == views) continue;
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': its identity says %d views of each image, but rows of tap '%s' are "
                       "%s; expected (%d,...)",
                       pf_cache_path(cache), views, tap->name, pf_shape_text(&tap->shape, text),
                       views);
    }
    return 0;
}

int pf_cache_views_count(const PfCache *cache, int *views, PfError *err)
{
    const char *path = pf_cache_path(cache);
    cJSON *identity = pf_json_parse_or_empty(pf_cache_identity(cache), path, "identity", err);
    if (!identity) return -1;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(identity, "views");
    double value = !item ? 1 : cJSON_IsNumber(item) ? item->valuedouble : 0;
    cJSON_Delete(identity);
    if (!(value >= 1 && value <= PF_VIEWS_MAX) || value != (double)(int)value)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': \"views\" of its identity is not a number of 1 to %d", path,
                       PF_VIEWS_MAX);
    *views = (int)value;
    return check_taps(cache, *views, err);
}

PfShape pf_cache_views_shape(const PfShape *row, int views)
{
    PfShape view = *row;
    if (views == 1) return view;
    view.rank--;
    memmove(view.dims, view.dims + 1, (size_t)view.rank * sizeof *view.dims);
    return view;
}

PfShape pf_cache_views_row_shape(const PfShape *view, int views)
{
    PfShape row = *view;
    if (views == 1) return row;
    memmove(row.dims + 1, row.dims, (size_t)row.rank * sizeof *row.dims);
    row.dims[0] = views;
    row.rank++;
    return row;
}
