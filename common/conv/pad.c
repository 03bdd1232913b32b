#include "common/conv/pad.h"

#include <stddef.h>
#include <string.h>

#include "common/base/integers.h"

static void fill(const PfPad *pad, float *to, int64_t pixels)
{
    for (int64_t p = 0; p < pixels; p++, to += pad->stride)
        for (int64_t c = 0; c < pad->stride; c++) to[c] = c < pad->channels ? pad->value : 0;
}

/* from: the row of x; NULL: none. */
static void run_row(const PfPad *pad, const float *from, float *to)
{
    const int64_t width = pad->width + pad->pads[1] + pad->pads[3];
    const int64_t before = pf_min(width, pf_max(0, pad->pads[1]));
    const int64_t skipped = pf_max(0, -pad->pads[1]);
    const int64_t inside = from ? pf_max(0, pf_min(width - before, pad->width - skipped)) : 0;
    fill(pad, to, before);
    if (inside)
        memcpy(to + before * pad->stride, from + skipped * pad->stride,
               (size_t)(inside * pad->stride) * sizeof *to);
    fill(pad, to + (before + inside) * pad->stride, width - before - inside);
}

void pf_pad_run(const PfPad *pad)
{
    const int64_t height = pad->height + pad->pads[0] + pad->pads[2];
    const int64_t width = pad->width + pad->pads[1] + pad->pads[3];
    for (int64_t row = 0; row < pad->count * height; row++) {
        const int64_t y = row % height - pad->pads[0];
        const float *from = pad->x + (row / height * pad->height + y) * pad->width * pad->stride;
        run_row(pad, y >= 0 && y < pad->height ? from : NULL, pad->y + row * width * pad->stride);
    }
}
