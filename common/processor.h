/* What this processor has for arithmetic in bfloat16. */
#ifndef PF_PROCESSOR_H
#define PF_PROCESSOR_H

#ifdef __cplusplus
extern "C" {
#endif

int pf_processor_has_bf16(void); /* avx512_bf16; every processor with amx_bf16 has it as well */
int pf_processor_has_amx(void);  /* amx_bf16: tiles, many times as fast as float32 */

#ifdef __cplusplus
}
#endif

#endif
