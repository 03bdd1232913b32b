/* What this processor has, and which instruction set is used. */
#ifndef PF_COMMON_SIMD_PROCESSOR_H
#define PF_COMMON_SIMD_PROCESSOR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

bool pf_processor_has_bf16(void); /* avx512_bf16; every processor with amx_bf16 has it as well */
bool pf_processor_has_amx(void);  /* amx_bf16: tiles, many times as fast as float32 */

/* Kernels are compiled for so many instruction sets. */
enum { PF_LANES_SETS = 4 };

/* names: of the sets, widest first, the last one for any processor; NULL where the
 * processor lacks one. The index of that which PF_KERNELS in the environment names, if
 * it is there, else of the widest. */
int pf_processor_choose_lanes(const char *const names[PF_LANES_SETS]);

#ifdef __cplusplus
}
#endif

#endif
