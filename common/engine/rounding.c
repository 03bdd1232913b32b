#include "common/engine/rounding.h"

#include <math.h>
#include <string.h>

void pf_engine_round(float *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        if (isnan(numbers[i])) continue;
        memcpy(&bits, &numbers[i], sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(&numbers[i], &bits, sizeof bits);
    }
}
