/* Loaded before a program (LD_PRELOAD), hides AVX-512, AMX and what came behind AVX2 from whatever
 * asks the processor: so a library that has no setting for it takes its code for AVX2, too.
 *
 * Linux lets the instruction CPUID fault (arch_prctl(2), ARCH_SET_CPUID), and a handler answers in
 * its place. Threads inherit that; a program that is started by this one loads this again. Where
 * the processor cannot let it fault, the program ends. */
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { FAULTS, ANSWERS };

static long set_cpuid(long mode)
{
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, mode);
}

/* What leaf 7 says of sets that are not to be seen: AVX-512 in three registers, AMX. */
static void hide(unsigned leaf, unsigned subleaf, unsigned *eax, unsigned *ebx, unsigned *ecx,
                 unsigned *edx)
{
    if (leaf == 7 && subleaf == 0) {
        *ebx &= ~(bit_AVX512F | bit_AVX512DQ | bit_AVX512IFMA | bit_AVX512CD | bit_AVX512BW |
                  bit_AVX512VL);
        *ecx &= ~(bit_AVX512VBMI | bit_AVX512VBMI2 | bit_AVX512VNNI | bit_AVX512BITALG |
                  bit_AVX512VPOPCNTDQ);
        *edx &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    }
    if (leaf == 7 && subleaf == 1) *eax &= ~(1u << 4 | 1u << 5 | 1u << 21 | 1u << 23);
    if (leaf == 7 && subleaf == 1) *edx &= ~(1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19);
}

static void answer(int signal_number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    greg_t *registers = at->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)registers[REG_RIP];
    (void)info;
    if (code[0] != 0x0f || code[1] != 0xa2) { /* not by CPUID: as if nobody handled it */
        signal(signal_number, SIG_DFL);
        return;
    }
    const unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned eax, ebx, ecx, edx;
    set_cpuid(ANSWERS);
    __cpuid_count(leaf, subleaf, eax, ebx, ecx, edx);
    set_cpuid(FAULTS);
    hide(leaf, subleaf, &eax, &ebx, &ecx, &edx);
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    if (!set_cpuid(FAULTS)) return;
    perror("CPUID cannot be made to fault");
    exit(1);
}
