#include "common/cache/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* Sanitizers reserve terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMITS_MEMORY 0
#else
#define LIMITS_MEMORY 1
#endif

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* ---- signals ---- */

/* Ctrl-C is the parent's to handle, which then ends this process. */
static void reset_signals(void)
{
    static const int ours[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF, SIGPIPE};
    static const int theirs[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    sigset_t none;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) signal(ours[i], SIG_DFL);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) signal(theirs[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- files ---- */

/* Regular files that are open for reading stay: HDF5 takes a file that it has open already for
 * the same one. A lock of the parent's goes with what is open for writing. */
static bool is_harmless(int fd)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && !fstat(fd, &status) &&
           S_ISREG(status.st_mode);
}

static void close_others(int channel)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && nowhere >= 0; fd++) dup2(nowhere, fd);
    while (folder && (entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != channel && fd != dirfd(folder) && !is_harmless(fd)) close(fd);
    }
    if (folder) closedir(folder);
}

/* ---- limits ---- */

static void set_limit(int resource, rlim_t most)
{
    setrlimit((__rlimit_resource_t)resource, &(struct rlimit){most, most});
}

static uint64_t address_space_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%llu", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit_memory(uint64_t more)
{
    uint64_t taken = address_space_bytes();
    if (LIMITS_MEMORY && taken && more < UINT64_MAX - taken) set_limit(RLIMIT_AS, taken + more);
}

void pf_cache_sandbox_limit_work(int64_t seconds)
{
    struct itimerval timer = {.it_value.tv_sec = seconds};
    setitimer(ITIMER_PROF, &timer, NULL); /* SIGPROF, of which it dies */
}

/* ---- system calls ---- */

#ifdef ARCHITECTURE

static const int allowed_calls[] = {
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_preadv,
    SYS_write,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_fstatfs,
    SYS_statfs,
    SYS_lseek,
    SYS_faccessat,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_getdents64,
    SYS_fcntl,
    SYS_flock,
    SYS_fadvise64,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_sched_yield,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_setitimer,
    SYS_getpid,
    SYS_gettid,
    SYS_getrandom,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_sched_getaffinity,
#ifdef __x86_64__
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
#endif
#ifdef SYS_faccessat2
    SYS_faccessat2,
#endif
};

enum {
    CALLS = sizeof allowed_calls / sizeof *allowed_calls,
    MOST_STEPS = 2 * CALLS + 32, /* of the filter */
};

typedef struct Filter {
    struct sock_filter steps[MOST_STEPS];
    unsigned short count;
} Filter;

static void add(Filter *filter, struct sock_filter step)
{
    filter->steps[filter->count++] = step;
}

static void load(Filter *filter, size_t offset)
{
    add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void decide(Filter *filter, unsigned action)
{
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Skips `count` steps unless what is loaded equals `value`. */
static void unless_equal(Filter *filter, unsigned value, unsigned char count)
{
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
}

/* The call `number` where it opens for reading: its flags are argument `index`. */
static void allow_reading(Filter *filter, int number, int index)
{
    unless_equal(filter, (unsigned)number, 4);
    load(filter, offsetof(struct seccomp_data, args) + (size_t)index * sizeof(uint64_t));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
                                             O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, 1, 0));
    decide(filter, SECCOMP_RET_ALLOW);
    decide(filter, SECCOMP_RET_ERRNO | EPERM);
}

static void limit_calls(void)
{
    Filter filter = {.count = 0};
    load(&filter, offsetof(struct seccomp_data, arch));
    unless_equal(&filter, ARCHITECTURE, 1);
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
    decide(&filter, SECCOMP_RET_KILL_PROCESS);
    load(&filter, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        unless_equal(&filter, (unsigned)allowed_calls[i], 1);
        decide(&filter, SECCOMP_RET_ALLOW);
    }
#ifdef __x86_64__
    allow_reading(&filter, SYS_open, 1);
#endif
    allow_reading(&filter, SYS_openat, 2);
    decide(&filter, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = {filter.count, filter.steps};
    if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

#else

static void limit_calls(void)
{
}

#endif

void pf_cache_sandbox_enter(int channel, uint64_t memory_bytes)
{
    reset_signals();
    close_others(channel);
    set_limit(RLIMIT_CORE, 0);
    limit_memory(memory_bytes);
    limit_calls();
}
