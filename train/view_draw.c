#include "view_draw.h"

PfViewDraw pf_view_draw_begin(const PfFeatureTable *table, const PfRandom *shuffle)
{
    if (!shuffle) return (PfViewDraw){.views = 1};
    PfRandom own = *shuffle;
    return (PfViewDraw){.seed = pf_random_u64(&own), .views = table->drawn_views};
}

int pf_view_draw_of(const PfViewDraw *draw, int32_t row)
{
    if (draw->views == 1) return 0;
    PfRandom random = pf_random_seeded(draw->seed, (uint64_t)row);
    return (int)pf_random_below(&random, (uint64_t)draw->views);
}
