#include "extract/image/luminance.h"

PF_IMAGE_CLONES void pf_luminance_add(const uint8_t *pixels, int64_t n, bool is_first,
                                      int32_t *sums)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t luminance = 299 * pixels[3 * i] + 587 * pixels[3 * i + 1] + 114 * pixels[3 * i + 2];
        sums[i] = is_first ? luminance : sums[i] + luminance;
    }
}
