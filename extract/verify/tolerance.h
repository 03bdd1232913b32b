/* How far two rows of one image may be apart that different runtimes have computed. */
#ifndef PF_EXTRACT_VERIFY_TOLERANCE_H
#define PF_EXTRACT_VERIFY_TOLERANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "permafrost/tensor.h"

/* Two numbers may be apart by the sum of: a share of the largest number of both rows, a share of
 * the larger of the two, and the least step of their type. */
typedef struct PfTolerance {
    double of_largest, of_value, step;
} PfTolerance;

/* Of rows of that type in a cache of that identity (JSON). Of the largest number by the precision
 * of the network: runtimes differ from torchvision by 4e-6 in fp32, 1e-3 in tf32 and fp16, 0.011 in
 * bf16. Rounding to f16 may add a unit of its last place. Pixels are the same. */
PfTolerance pf_tolerance_of(const char *identity, PfDtype dtype);

/* Whether two rows of so many numbers are as near as that, everywhere. */
bool pf_tolerance_agrees(PfTolerance tolerance, const float *left, const float *right,
                         int64_t count);

/* The largest difference of two rows, as a share of their largest number. */
double pf_tolerance_difference(const float *left, const float *right, int64_t count);

#endif
