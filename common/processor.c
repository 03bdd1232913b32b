#include "processor.h"

#if defined(__x86_64__)

int pf_processor_has_bf16(void)
{
    return __builtin_cpu_supports("avx512bf16") != 0;
}

int pf_processor_has_amx(void)
{
    return __builtin_cpu_supports("amx-bf16") != 0;
}

#else

int pf_processor_has_bf16(void)
{
    return 0;
}

int pf_processor_has_amx(void)
{
    return 0;
}

#endif
