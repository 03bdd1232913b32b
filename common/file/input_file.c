#include "common/file/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"

const char *pf_input_file_kind(const struct stat *status)
{
    switch (status->st_mode & S_IFMT) {
    case S_IFREG: return "a file";
    case S_IFDIR: return "a folder";
    case S_IFIFO: return "a named pipe";
    case S_IFSOCK: return "a socket";
    default: return "a device";
    }
}

static int fail_kind(const struct stat *status, const char *what, const char *path, PfError *err)
{
    errno = EINVAL;
    return pf_fail(err, PF_EXIT_FAILED, "%s%s'%s' is %s, not a file", what, *what ? " " : "", path,
                   pf_input_file_kind(status));
}

int pf_input_file_try(int folder, const char *path, struct stat *status)
{
    *status = (struct stat){0};
    /* Opening a device may do something by itself; the second look is for what changed since. */
    if (fstatat(folder, path, status, 0)) return -1;
    int fd = -1, is_file = S_ISREG(status->st_mode);
    if (is_file) {
        fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) return -1;
        is_file = !fstat(fd, status) && S_ISREG(status->st_mode);
    }
    if (is_file) return fd;
    if (fd >= 0) close(fd);
    errno = EINVAL;
    return -1;
}

int pf_input_file_open(int folder, const char *path, const char *what, struct stat *status,
                       PfError *err)
{
    struct stat own;
    if (!status) status = &own;
    int fd = pf_input_file_try(folder, path, status), number = errno;
    if (fd >= 0) return fd;
    if (number == EINVAL && status->st_mode && !S_ISREG(status->st_mode))
        return fail_kind(status, what, path, err);
    pf_fail_errno(err, "cannot open %s%s'%s'", what, *what ? " " : "", path);
    errno = number;
    return -1;
}

/* As much as there is, however many reads that takes. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t got = 0;
    while (got < size) {
        const ssize_t more = read(fd, text + got, size - got);
        if (more < 0) return -1;
        if (!more) break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

char *pf_input_file_read_text(const char *path, const char *what, off_t limit, size_t *size,
                              PfError *err)
{
    const char *blank = *what ? " " : "";
    struct stat status;
    int fd = pf_input_file_open(AT_FDCWD, path, what, &status, err);
    if (fd < 0) return NULL;
    char *text = NULL;
    ssize_t got = -1;
    if (status.st_size > limit)
        pf_fail(err, PF_EXIT_FAILED, "%s%s'%s' is larger than %lld bytes", what, blank, path,
                (long long)limit);
    else if ((text = pf_calloc((size_t)status.st_size + 1, 1, err)) &&
             (got = read_all(fd, text, (size_t)status.st_size)) < 0)
        pf_fail_errno(err, "%s%s'%s': cannot read it", what, blank, path);
    close(fd);
    if (size) *size = got < 0 ? 0 : (size_t)got;
    if (got >= 0) return text;
    free(text);
    return NULL;
}

/* ==== mapped into memory ==== */

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

int pf_input_file_check_holes(int fd, off_t size, PfError *err)
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

int pf_input_file_map(int fd, const struct stat *status, const char *what, const char *path,
                      const void **bytes, PfError *err)
{
    *bytes = NULL;
    if (!status->st_size) return 0;
    PfError holes;
    if (pf_input_file_check_holes(fd, status->st_size, &holes))
        return pf_fail(err, PF_EXIT_FAILED, "%s '%s': %" PF_SENTENCE, what, path, holes.message);
    void *map = mmap(NULL, (size_t)status->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return pf_fail_errno(err, "cannot map %s '%s'", what, path);
    note_mapping(map, (size_t)status->st_size, path);
    *bytes = map;
    return 0;
}

void pf_input_file_unmap(const void *bytes, size_t size)
{
    if (!bytes) return;
    forget_mapping(bytes);
    munmap((void *)(uintptr_t)bytes, size);
}

/* ==== what a file is ==== */

/* Which bytes a file begins with; where several fit, the first. */
static const struct {
    const char *bytes;
    size_t size;
    const char *name;
} beginnings[] = {
    {"\x89HDF\r\n\x1a\n", 8, "an HDF5 file, as caches are"},
    {"\xff\xd8\xff", 3, "a JPEG image"},
    {"\x89PNG", 4, "a PNG image"},
    {"GIF8", 4, "a GIF image"},
    {"BM", 2, "a BMP image"},
    {"II*\0", 4, "a TIFF image"},
    {"MM\0*", 4, "a TIFF image"},
    {"RIFF", 4, "an image or a film"},
    {"P5", 2, "a PGM image"},
    {"P6", 2, "a PPM image"},
    {"PK\3\4", 4, "a zip archive or a file of PyTorch"},
    {"\x80\2", 2, "a file of PyTorch"},
    {"\x1f\x8b", 2, "a gzip archive"},
    {"%PDF", 4, "a PDF file"},
    {"pffr", 4, "unfinished work of extract"},
};

/* ---- reading ---- */

static size_t read_some(int fd, unsigned char *into, size_t size, off_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, into + done, size - done, at + (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        done += (size_t)count;
    }
    return done;
}

static void read_both(int fd, PfFileContent *content)
{
    struct stat status;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode)) return;
    content->size = read_some(fd, content->begin, sizeof content->begin, 0);
    off_t end = status.st_size - (off_t)sizeof content->end;
    content->end_size = read_some(fd, content->end, sizeof content->end, pf_max(end, 0));
}

PfFileContent *pf_file_content_read(const char *path, PfError *err)
{
    struct stat status;
    PfFileContent *content = pf_calloc(1, sizeof *content, err);
    if (!content || stat(path, &status) || !S_ISREG(status.st_mode)) return content;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) read_both(fd, content);
    if (fd >= 0) close(fd);
    return content;
}

/* ---- what it is ---- */

bool pf_file_content_is_hdf5(const PfFileContent *content)
{
    return content->size >= beginnings[0].size &&
           !memcmp(content->begin, beginnings[0].bytes, beginnings[0].size);
}

bool pf_input_file_is_hdf5(const char *path)
{
    PfFileContent content = {0};
    struct stat status;
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    if (fd < 0) return false;
    ssize_t count = read(fd, content.begin, beginnings[0].size);
    close(fd);
    content.size = count > 0 ? (size_t)count : 0;
    return pf_file_content_is_hdf5(&content);
}

const char *pf_file_content_safetensors(const PfFileContent *content, size_t *size)
{
    uint64_t length;
    if (content->size <= sizeof length) return NULL;
    memcpy(&length, content->begin, sizeof length);
    if (content->begin[sizeof length] != '{' || length >> 40) return NULL;
    *size = content->size - sizeof length;
    if (*size > length) *size = (size_t)length;
    return (const char *)content->begin + sizeof length;
}

bool pf_file_content_is_text(const PfFileContent *content)
{
    for (size_t i = 0; i < content->size; i++) {
        unsigned char byte = content->begin[i];
        if (byte < ' ' && !strchr("\t\n\r\f", byte)) return false;
        if (!byte) return false;
    }
    return content->size > 0;
}

char pf_file_content_first_letter(const PfFileContent *content)
{
    size_t i = content->size >= 3 && !memcmp(content->begin, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (i < content->size && strchr(" \t\r\n", content->begin[i])) i++;
    return i < content->size ? (char)content->begin[i] : '\0';
}

static bool has(const unsigned char *bytes, size_t size, const char *words)
{
    return memmem(bytes, size, words, strlen(words)) != NULL;
}

bool pf_file_content_begin_has(const PfFileContent *content, const char *words)
{
    return has(content->begin, content->size, words);
}

bool pf_file_content_end_has(const PfFileContent *content, const char *words)
{
    return has(content->end, content->end_size, words);
}

const char *pf_file_content_name(const PfFileContent *content)
{
    size_t size;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (content->size >= beginnings[i].size &&
            !memcmp(content->begin, beginnings[i].bytes, beginnings[i].size))
            return beginnings[i].name;
    if (pf_file_content_safetensors(content, &size)) return "another .safetensors file";
    if (!pf_file_content_is_text(content)) return "a file of another kind";
    char first = pf_file_content_first_letter(content);
    return first == '{' || first == '[' ? "JSON of another kind" : "text of another kind";
}
