/* Maps with channels last, with rows and columns of one value around them. */
#ifndef PF_COMMON_CONV_PAD_H
#define PF_COMMON_CONV_PAD_H

#include <stdint.h>

typedef struct PfPad {
    int64_t channels, stride;     /* stride: floats of a pixel; behind the channels zeros */
    int64_t count, height, width; /* of x */
    int64_t pads[4];              /* above, left, below, right; of a negative one so many are cut */
    float value;
    const float *x; /* (count, height, width, stride) */
    float *y;       /* (count, height and width with pads, stride) */
} PfPad;

void pf_pad_run(const PfPad *pad);

#endif
