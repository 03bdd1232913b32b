#include "mapped_file.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "memory.h"
#include "printable.h"
#include "size_text.h"

/* Files that are smaller may be as empty as they like. */
#define HOLES_MATTER_BYTES ((off_t)64 << 20)
#define LEAST_SHARE 16 /* one part in so many of a larger file is there */

/* ---- files that became shorter ---- */

/* More files than this are never open at a time; further ones go without a message of their own. */
#define MAX_MAPPINGS 64

/* A free one has no message. The handler, which may run at any time, looks at a range only where
 * there is one: it is set last and cleared first. */
typedef struct Mapping {
    _Atomic(char *) message; /* what is said; owned */
    uintptr_t start, end;
} Mapping;

static Mapping mappings[MAX_MAPPINGS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those that change them */

/* Only calls that are safe in a signal handler. Faults that are none of ours end the program as
 * they would without us: the default action is back when the instruction is tried again. */
static void explain_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t address = (uintptr_t)info->si_addr;
    for (int i = 0; i < MAX_MAPPINGS; i++) {
        const char *message = atomic_load(&mappings[i].message);
        if (!message || address < mappings[i].start || address >= mappings[i].end) continue;
        ssize_t written = write(STDERR_FILENO, message, strlen(message));
        (void)written;
        _exit(PF_EXIT_FAILED);
    }
    signal(number, SIG_DFL);
    if (info->si_code <= 0) raise(number); /* sent by somebody: no instruction is tried again */
}

static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = explain_fault, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

/* Without memory for the message there is none: that is no reason not to read the file. */
static void note_mapping(const void *bytes, size_t size, const char *path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char shown[PATH_MAX];
    pf_format(shown, sizeof shown, "%s", path);
    char *message = pf_asprintf(NULL,
                                "%s: error: '%s' became shorter while it was read: another program "
                                "has cut it off or written it anew. Run again once it is whole\n",
                                pf_log_program(), shown);
    pthread_once(&once, install_handler);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_MAPPINGS && message; i++) {
        if (atomic_load(&mappings[i].message)) continue;
        mappings[i].start = (uintptr_t)bytes;
        mappings[i].end = mappings[i].start + size;
        atomic_store(&mappings[i].message, message);
        message = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(message);
}

static void forget_mapping(const void *bytes)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_MAPPINGS; i++)
        if (atomic_load(&mappings[i].message) && mappings[i].start == (uintptr_t)bytes)
            free(atomic_exchange(&mappings[i].message, NULL));
    pthread_mutex_unlock(&lock);
}

/* ---- mapping ---- */

/* Bytes that are not in holes. A file system without holes has none. */
static off_t count_stored(int fd, off_t size)
{
    off_t stored = 0, at = 0;
    while (at < size && stored < size / LEAST_SHARE) {
        off_t from = lseek(fd, at, SEEK_DATA);
        off_t to = from < 0 ? -1 : lseek(fd, from, SEEK_HOLE);
        if (to <= from) break;
        stored += to - from;
        at = to;
    }
    return stored;
}

int pf_check_holes(int fd, off_t size, PfError *err)
{
    char size_text[PF_SIZE_TEXT], stored_text[PF_SIZE_TEXT];
    off_t at = size < HOLES_MATTER_BYTES ? -1 : lseek(fd, 0, SEEK_CUR);
    if (at < 0) return 0;
    off_t stored = lseek(fd, 0, SEEK_HOLE) < 0 ? size : count_stored(fd, size);
    lseek(fd, at, SEEK_SET);
    if (stored >= size / LEAST_SHARE) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "of its %s only %s are on the disk, the rest are holes. Was a download or copy "
                   "cut off?",
                   pf_size_text(size, size_text), pf_size_text(stored, stored_text));
}

int pf_map_file(int fd, const struct stat *status, const char *what, const char *path,
                const void **bytes, PfError *err)
{
    *bytes = NULL;
    if (!status->st_size) return 0;
    PfError holes;
    if (pf_check_holes(fd, status->st_size, &holes))
        return pf_fail(err, PF_EXIT_FAILED, "%s '%s': %" PF_SENTENCE, what, path, holes.message);
    void *map = mmap(NULL, (size_t)status->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return pf_fail_errno(err, "cannot map %s '%s'", what, path);
    note_mapping(map, (size_t)status->st_size, path);
    *bytes = map;
    return 0;
}

void pf_unmap_file(const void *bytes, size_t size)
{
    if (!bytes) return;
    forget_mapping(bytes);
    munmap((void *)(uintptr_t)bytes, size);
}
