#include "common/simd/processor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>

/* Whether the system saves the registers of tiles, too: bits 17 and 18 of XCR0. */
static bool system_saves_tiles(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & 1u << 27)) return false;
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax >> 17 & 3) == 3;
}

bool pf_processor_has_bf16(void)
{
    return __builtin_cpu_supports("avx512bf16") != 0;
}

bool pf_processor_has_amx(void)
{
    /* By cpuid, as clang 14's __builtin_cpu_supports does not know it: tiles, and bf16 in them. */
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && edx & 1u << 24 && edx & 1u << 22 &&
           system_saves_tiles();
}

#else

bool pf_processor_has_bf16(void)
{
    return false;
}

bool pf_processor_has_amx(void)
{
    return false;
}

#endif

/* ==== instruction sets ==== */

int pf_processor_choose_lanes(const char *const names[PF_LANES_SETS])
{
    const char *wanted = getenv("PF_KERNELS");
    for (int i = 0; wanted && i < PF_LANES_SETS; i++)
        if (names[i] && !strcmp(names[i], wanted)) return i;
    int widest = 0;
    while (!names[widest]) widest++;
    return widest;
}
