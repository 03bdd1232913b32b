/* bf16 in the engine: float32 whose numbers are those of bfloat16 wherever a step ends. */
#ifndef PF_COMMON_ENGINE_ROUNDING_H
#define PF_COMMON_ENGINE_ROUNDING_H

#include <stdint.h>

/* The nearest numbers that bfloat16 has, ties to even; a NaN stays as it is. */
void pf_engine_round(float *numbers, int64_t count);

#endif
