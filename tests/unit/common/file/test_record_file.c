/* Record files: what was appended comes back, and of a damaged file a prefix of
 * whole records, whatever was cut, flipped or refused by the disk. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file/record_file.h"

#define HEADER_BYTES 32

static char folder[64];
static char path[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_record_file_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/records", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_msg(!rmdir(folder), "something was left behind in %s", folder);
}

/* ---- a disk that misbehaves: the linker sends the calls here ---- */

ssize_t __real_pwritev(int fd, const struct iovec *parts, int count, off_t position);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t position);
int __wrap_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);

static int write_step;    /* bytes that one write takes at most; 0 = all */
static int interruptions; /* writes that a signal interrupts before one gets through */
static int64_t room;      /* bytes after which the disk is full; negative = never */
static int sync_errno, truncate_errno;

static void mend_disk(void)
{
    write_step = interruptions = sync_errno = truncate_errno = 0;
    room = -1;
}

static int fail_with(int reason)
{
    errno = reason;
    return -1;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t position)
{
    static int interrupted;
    if (interrupted++ < interruptions) return fail_with(EINTR);
    interrupted = 0;
    struct iovec first = {NULL, 0};
    for (int i = 0; i < count && !first.iov_len; i++) first = parts[i];
    if (!write_step && room < 0) return __real_pwritev(fd, parts, count, position);
    if (write_step && first.iov_len > (size_t)write_step) first.iov_len = (size_t)write_step;
    if (room == 0) return fail_with(ENOSPC);
    if (room > 0 && first.iov_len > (size_t)room) first.iov_len = (size_t)room;
    if (room > 0) room -= (int64_t)first.iov_len;
    return __real_pwritev(fd, &first, 1, position);
}

/* No test pulls the plug, so that nothing need wait for the disk. */
int __wrap_fdatasync(int fd)
{
    (void)fd;
    return sync_errno ? fail_with(sync_errno) : 0;
}

int __wrap_ftruncate(int fd, off_t size)
{
    if (truncate_errno) return fail_with(truncate_errno);
    return __real_ftruncate(fd, size);
}

/* ---- records that are known ---- */

static const char *const TEXTS[] = {"first", "", "the third record is longer than the others", "4"};
#define RECORD_COUNT 4

typedef struct Seen {
    int count;
    uint32_t types[64];
    char texts[64][64];
    int64_t positions[64];
} Seen;

static int see(void *context, const PfRecord *record, PfError *err)
{
    (void)err;
    Seen *seen = context;
    ck_assert_int_lt(seen->count, 64);
    ck_assert_uint_lt(record->size, 64);
    seen->types[seen->count] = record->type;
    seen->positions[seen->count] = record->position;
    if (record->size) memcpy(seen->texts[seen->count], record->payload, record->size);
    seen->texts[seen->count++][record->size] = '\0';
    return 0;
}

static PfRecordFile *open_file(Seen *seen, int64_t *dropped)
{
    PfRecordFile *file;
    PfError err = {0};
    int64_t ignored;
    *seen = (Seen){0};
    if (pf_record_file_open(path, see, seen, &file, dropped ? dropped : &ignored, &err))
        ck_abort_msg("%s", err.message);
    return file;
}

/* A text in two parts. */
static int append(PfRecordFile *file, uint32_t type, const char *text, PfError *err)
{
    size_t size = strlen(text), head = size / 3;
    return pf_record_file_append(file, type, text, head, text + head, size - head, NULL, err);
}

static void append_all(PfRecordFile *file)
{
    PfError err;
    for (int i = 0; i < RECORD_COUNT; i++)
        ck_assert(!append(file, (uint32_t)i + 7, TEXTS[i], &err));
}

/* Bytes of the first `count` records. */
static int64_t size_of_records(int count)
{
    int64_t size = 0;
    for (int i = 0; i < count; i++) size += HEADER_BYTES + (int64_t)strlen(TEXTS[i]);
    return size;
}

static void check_seen(const Seen *seen, int count)
{
    ck_assert_int_eq(seen->count, count);
    for (int i = 0; i < count; i++) {
        ck_assert_uint_eq(seen->types[i], (uint32_t)i + 7);
        ck_assert_str_eq(seen->texts[i], TEXTS[i]);
    }
}

static size_t read_bytes(unsigned char *bytes, size_t capacity)
{
    FILE *stream = fopen(path, "rb");
    ck_assert_ptr_nonnull(stream);
    size_t size = fread(bytes, 1, capacity, stream);
    fclose(stream);
    return size;
}

/* In place: some file systems wait for the disk where a file is cut and written anew. */
static void write_bytes(const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
    ck_assert(!__real_ftruncate(fd, (off_t)size));
    close(fd);
}

static size_t make_records(unsigned char *bytes, size_t capacity)
{
    Seen seen;
    unlink(path);
    PfRecordFile *file = open_file(&seen, NULL);
    append_all(file);
    pf_record_file_close(&file);
    return read_bytes(bytes, capacity);
}

/* ---- whole files ---- */

START_TEST(records_come_back)
{
    Seen seen;
    PfError err;
    PfRecordFile *file = open_file(&seen, NULL);
    ck_assert_int_eq(seen.count, 0);
    append_all(file);
    ck_assert(!pf_record_file_sync(file, &err));
    ck_assert_int_eq(pf_record_file_size(file), size_of_records(RECORD_COUNT));
    ck_assert_str_eq(pf_record_file_path(file), path);
    pf_record_file_close(&file);
    ck_assert_ptr_null(file);

    int64_t dropped = -1;
    file = open_file(&seen, &dropped);
    check_seen(&seen, RECORD_COUNT);
    ck_assert_int_eq(dropped, 0);
    ck_assert(!append(file, 11, "fifth", &err));
    pf_record_file_close(&file);
    file = open_file(&seen, NULL);
    ck_assert_int_eq(seen.count, RECORD_COUNT + 1);
    ck_assert_str_eq(seen.texts[RECORD_COUNT], "fifth");
    pf_record_file_close(&file);
}
END_TEST

START_TEST(payloads_can_be_read_again)
{
    Seen seen;
    PfError err;
    char text[16] = "";
    int64_t position;
    PfRecordFile *file = open_file(&seen, NULL);
    append_all(file);
    ck_assert(!pf_record_file_append(file, 1, "head", 4, "body", 4, &position, &err));
    ck_assert(!pf_record_file_read(file, position, text, 8, &err));
    ck_assert_str_eq(text, "headbody");
    ck_assert(pf_record_file_read(file, position, text, 7, &err));
    ck_assert(pf_record_file_read(file, position + 1, text, 8, &err));
    pf_record_file_close(&file);
    file = open_file(&seen, NULL);
    ck_assert_int_eq(seen.positions[RECORD_COUNT], position);
    ck_assert(!truncate(path, position + 7));
    ck_assert(pf_record_file_read(file, position, text, 8, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "has changed"));
    pf_record_file_close(&file);
}
END_TEST

/* A record of an odd type is completed by one of an even type. */
static int see_parts(void *context, const PfRecord *record, PfError *err)
{
    return see(context, record, err) ? -1 : (int)(record->type % 2);
}

START_TEST(what_no_later_record_completes_is_dropped)
{
    for (int count = 0; count <= RECORD_COUNT; count++) {
        Seen seen;
        PfError err;
        int64_t dropped;
        int complete = count / 2 * 2;
        unlink(path);
        PfRecordFile *file = open_file(&seen, NULL);
        for (int i = 0; i < count; i++) ck_assert(!append(file, (uint32_t)i + 7, TEXTS[i], &err));
        pf_record_file_close(&file);
        seen = (Seen){0};
        ck_assert(!pf_record_file_open(path, see_parts, &seen, &file, &dropped, &err));
        check_seen(&seen, count);
        ck_assert_int_eq(dropped, size_of_records(count) - size_of_records(complete));
        for (int i = complete; i < RECORD_COUNT; i++)
            ck_assert(!append(file, (uint32_t)i + 7, TEXTS[i], &err));
        pf_record_file_close(&file);
        file = open_file(&seen, NULL);
        check_seen(&seen, RECORD_COUNT);
        pf_record_file_close(&file);
    }
}
END_TEST

START_TEST(a_scan_changes_nothing)
{
    Seen seen = {0};
    PfError err;
    int exists = -1;
    ck_assert(!pf_record_file_scan(path, see, &seen, &exists, &err));
    ck_assert_int_eq(exists, 0);
    ck_assert_int_eq(access(path, F_OK), -1);

    PfRecordFile *file = open_file(&seen, NULL);
    append_all(file);
    ck_assert(!pf_record_file_scan(path, see, &seen, &exists, &err)); /* although it is locked */
    ck_assert_int_eq(exists, 1);
    check_seen(&seen, RECORD_COUNT);
    pf_record_file_close(&file);

    struct stat status;
    int64_t cut = size_of_records(RECORD_COUNT) - 1;
    ck_assert(!truncate(path, cut));
    seen = (Seen){0};
    ck_assert(!pf_record_file_scan(path, see, &seen, &exists, &err));
    check_seen(&seen, RECORD_COUNT - 1);
    ck_assert(!stat(path, &status));
    ck_assert_int_eq(status.st_size, cut);
}
END_TEST

static int refuse(void *context, const PfRecord *record, PfError *err)
{
    (void)context;
    return record->type == 8 ? pf_fail(err, PF_EXIT_FAILED, "not this one") : 0;
}

START_TEST(a_visitor_can_end_the_opening)
{
    Seen seen;
    PfError err;
    int64_t dropped;
    PfRecordFile *file = open_file(&seen, NULL), *other;
    append_all(file);
    pf_record_file_close(&file);
    ck_assert(pf_record_file_open(path, refuse, NULL, &other, &dropped, &err));
    ck_assert_str_eq(err.message, "not this one");
    file = open_file(&seen, NULL);
    check_seen(&seen, RECORD_COUNT);
    pf_record_file_close(&file);
}
END_TEST

/* ---- damage ---- */

START_TEST(a_file_cut_anywhere_keeps_its_whole_records)
{
    unsigned char bytes[1024];
    size_t size = make_records(bytes, sizeof bytes);
    for (size_t cut = 0; cut <= size; cut++) {
        Seen seen;
        int64_t dropped;
        int whole = 0;
        while (whole < RECORD_COUNT && size_of_records(whole + 1) <= (int64_t)cut) whole++;
        write_bytes(bytes, cut);
        PfRecordFile *file = open_file(&seen, &dropped);
        check_seen(&seen, whole);
        ck_assert_int_eq(dropped, (int64_t)cut - size_of_records(whole));
        for (int i = whole; i < RECORD_COUNT; i++)
            ck_assert(!append(file, (uint32_t)i + 7, TEXTS[i], NULL));
        pf_record_file_close(&file);
        file = open_file(&seen, &dropped);
        check_seen(&seen, RECORD_COUNT);
        ck_assert_int_eq(dropped, 0);
        pf_record_file_close(&file);
    }
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    unsigned char bytes[1024];
    size_t size = make_records(bytes, sizeof bytes);
    for (size_t bit = 0; bit < size * 8; bit++) {
        Seen seen = {0};
        PfError err;
        PfRecordFile *file;
        int64_t dropped;
        int whole = 0;
        while (size_of_records(whole + 1) <= (int64_t)(bit / 8)) whole++;
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        write_bytes(bytes, size);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        int failed = pf_record_file_open(path, see, &seen, &file, &dropped, &err);
        /* The first four bytes say what the file is. */
        ck_assert_int_eq(failed, bit < 32 ? -1 : 0);
        check_seen(&seen, whole);
        if (!failed) pf_record_file_close(&file);
    }
}
END_TEST

/* What a power cut may leave where blocks were given to the file and never written. */
START_TEST(zeros_and_noise_at_the_end_are_dropped)
{
    unsigned char bytes[2048];
    for (int fill = 0; fill < 256; fill += 5) {
        Seen seen;
        int64_t dropped;
        size_t size = make_records(bytes, sizeof bytes);
        memset(bytes + size, fill, 1000);
        write_bytes(bytes, size + 1000);
        PfRecordFile *file = open_file(&seen, &dropped);
        check_seen(&seen, RECORD_COUNT);
        ck_assert_int_eq(dropped, 1000);
        pf_record_file_close(&file);
    }
    Seen seen;
    memset(bytes, 0, sizeof bytes);
    write_bytes(bytes, sizeof bytes);
    PfRecordFile *file = open_file(&seen, NULL);
    ck_assert_int_eq(seen.count, 0);
    pf_record_file_close(&file);
}
END_TEST

/* Whole records with good checksums, but of a file that was there before. */
START_TEST(records_of_another_file_do_not_fit)
{
    unsigned char old[1024], bytes[1024];
    size_t size = make_records(old, sizeof old);
    ck_assert_uint_eq(make_records(bytes, sizeof bytes), size);
    size_t kept = (size_t)size_of_records(2);
    memcpy(bytes + kept, old + kept, size - kept);
    write_bytes(bytes, size);
    Seen seen;
    PfRecordFile *file = open_file(&seen, NULL);
    check_seen(&seen, 2);
    pf_record_file_close(&file);
}
END_TEST

START_TEST(a_strangers_file_is_left_alone)
{
    static const char *const FILES[] = {"my notes", "a", "\x89HDF\r\n\x1a\n and so on"};
    for (int i = 0; i < 3; i++) {
        Seen seen = {0};
        PfError err;
        PfRecordFile *file;
        int64_t dropped;
        char found[64] = "";
        write_bytes(FILES[i], strlen(FILES[i]));
        ck_assert(pf_record_file_open(path, see, &seen, &file, &dropped, &err));
        ck_assert_ptr_nonnull(strstr(err.message, "is left as it is"));
        read_bytes((unsigned char *)found, sizeof found - 1);
        ck_assert_str_eq(found, FILES[i]);
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    Seen seen = {0};
    PfError err;
    PfRecordFile *file;
    int64_t dropped;
    ck_assert(pf_record_file_open(folder, see, &seen, &file, &dropped, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "Is a directory"));
    ck_assert(pf_record_file_open("/dev/full", see, &seen, &file, &dropped, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
    ck_assert(pf_record_file_open("/no/such/folder/x", see, &seen, &file, &dropped, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "'/no/such/folder/x'"));
}
END_TEST

/* ---- a disk that misbehaves ---- */

START_TEST(short_and_interrupted_writes_are_gone_on_with)
{
    for (write_step = 1; write_step < 40; write_step++) {
        Seen seen;
        unlink(path);
        interruptions = write_step % 3;
        PfRecordFile *file = open_file(&seen, NULL);
        append_all(file);
        pf_record_file_close(&file);
        file = open_file(&seen, NULL);
        check_seen(&seen, RECORD_COUNT);
        pf_record_file_close(&file);
    }
}
END_TEST

/* The disk is full after any number of bytes; truncate_fails: and what was half
 * written cannot even be cut off. */
START_TEST(a_full_disk_costs_one_record)
{
    for (int64_t bytes = 0; bytes < size_of_records(3); bytes++) {
        Seen seen;
        PfError err = {0};
        unlink(path);
        PfRecordFile *file = open_file(&seen, NULL);
        room = bytes;
        truncate_errno = _i ? EIO : 0;
        int kept = 0;
        while (!append(file, (uint32_t)kept + 7, TEXTS[kept], &err)) kept++;
        ck_assert_ptr_nonnull(strstr(err.message, strerror(ENOSPC)));
        ck_assert_ptr_nonnull(strstr(err.message, "is kept"));
        ck_assert_int_eq(pf_record_file_size(file), size_of_records(kept));
        mend_disk();
        if (bytes % 2) /* room was made while the program ran */
            while (kept < RECORD_COUNT && !append(file, (uint32_t)kept + 7, TEXTS[kept], &err))
                kept++;
        pf_record_file_close(&file);
        file = open_file(&seen, NULL);
        check_seen(&seen, kept);
        pf_record_file_close(&file);
    }
}
END_TEST

START_TEST(a_size_limit_is_a_full_disk)
{
    Seen seen;
    PfError err;
    struct rlimit old;
    PfRecordFile *file = open_file(&seen, NULL);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)size_of_records(2) + 10, old.rlim_max});
    ck_assert(!append(file, 7, TEXTS[0], &err));
    ck_assert(!append(file, 8, TEXTS[1], &err));
    ck_assert(append(file, 9, TEXTS[2], &err));
    ck_assert_ptr_nonnull(strstr(err.message, strerror(EFBIG)));
    setrlimit(RLIMIT_FSIZE, &old);
    struct stat status;
    ck_assert(!stat(path, &status));
    ck_assert_int_eq(status.st_size, size_of_records(2));
    pf_record_file_close(&file);
}
END_TEST

START_TEST(a_failed_sync_takes_back_what_it_was_for)
{
    Seen seen;
    PfError err;
    PfRecordFile *file = open_file(&seen, NULL);
    ck_assert(!append(file, 7, TEXTS[0], &err));
    ck_assert(!pf_record_file_sync(file, &err));
    ck_assert(!append(file, 8, TEXTS[1], &err));
    sync_errno = EIO;
    ck_assert(pf_record_file_sync(file, &err));
    ck_assert_ptr_nonnull(strstr(err.message, strerror(EIO)));
    mend_disk();
    ck_assert(append(file, 8, TEXTS[1], &err));
    ck_assert(pf_record_file_sync(file, &err));
    ck_assert_ptr_nonnull(strstr(err.message, strerror(EIO)));
    pf_record_file_close(&file);
    file = open_file(&seen, NULL);
    check_seen(&seen, 1);
    pf_record_file_close(&file);
}
END_TEST

START_TEST(an_end_that_cannot_be_dropped_is_an_error)
{
    unsigned char bytes[1024];
    size_t size = make_records(bytes, sizeof bytes);
    write_bytes(bytes, size - 1);
    Seen seen = {0};
    PfError err;
    PfRecordFile *file;
    int64_t dropped;
    truncate_errno = EIO;
    ck_assert(pf_record_file_open(path, see, &seen, &file, &dropped, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "damaged end"));
}
END_TEST

/* ---- the lock ---- */

/* What a child process finds: 0 it could open the file, 1 it was told that another has it. */
static int try_in_child(void)
{
    pid_t child = fork();
    if (!child) {
        Seen seen = {0};
        PfError err;
        PfRecordFile *file;
        int64_t dropped;
        int failed = pf_record_file_open(path, see, &seen, &file, &dropped, &err);
        _exit(!failed ? 0 : strstr(err.message, "another extract is writing") ? 1 : 2);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

START_TEST(one_at_a_time)
{
    Seen seen;
    PfError err;
    PfRecordFile *file = open_file(&seen, NULL), *other;
    int64_t dropped;
    ck_assert_int_eq(try_in_child(), 1);
    ck_assert(pf_record_file_open(path, see, &seen, &other, &dropped, &err)); /* nor ourselves */
    pf_record_file_close(&file);
    ck_assert_int_eq(try_in_child(), 0);
    file = open_file(&seen, NULL);
    ck_assert(!pf_record_file_remove(&file, &err));
    ck_assert_ptr_null(file);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(try_in_child(), 0);
}
END_TEST

START_TEST(a_dead_holder_holds_nothing)
{
    int pipe_ends[2];
    char byte;
    ck_assert(!pipe(pipe_ends));
    pid_t child = fork();
    if (!child) {
        Seen seen;
        PfRecordFile *file = open_file(&seen, NULL);
        append_all(file);
        if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
        pause();
    }
    ck_assert_int_eq(read(pipe_ends[0], &byte, 1), 1);
    ck_assert_int_eq(try_in_child(), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    Seen seen;
    PfRecordFile *file = open_file(&seen, NULL);
    check_seen(&seen, RECORD_COUNT);
    pf_record_file_close(&file);
}
END_TEST

#define RACERS 4
#define RACES 300

/* Opens, adds a record, and deletes the file: whoever opens next must get a file that
 * has a name, and be alone in it. */
static int race(void)
{
    for (int done = 0; done < RACES;) {
        Seen seen = {0};
        PfError err;
        PfRecordFile *file;
        int64_t dropped;
        if (pf_record_file_open(path, see, &seen, &file, &dropped, &err)) continue;
        struct stat status;
        int bad = seen.count != 0 || append(file, 7, "mine", &err) || stat(path, &status) ||
                  status.st_size != pf_record_file_size(file);
        if (pf_record_file_remove(&file, &err) || bad) return 1;
        done++;
    }
    return 0;
}

START_TEST(deleting_and_opening_do_not_race)
{
    pid_t children[RACERS];
    for (int i = 0; i < RACERS; i++)
        if (!(children[i] = fork())) _exit(race());
    for (int i = 0; i < RACERS; i++) {
        int status;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record_file");
    TCase *whole = tcase_create("whole files"), *damage = tcase_create("damage");
    TCase *disk = tcase_create("disk"), *locks = tcase_create("lock");
    TCase *cases[] = {whole, damage, disk, locks};
    for (int i = 0; i < 4; i++) {
        tcase_add_checked_fixture(cases[i], make_folder, remove_folder);
        tcase_add_checked_fixture(cases[i], mend_disk, mend_disk);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(whole, records_come_back);
    tcase_add_test(whole, payloads_can_be_read_again);
    tcase_add_test(whole, what_no_later_record_completes_is_dropped);
    tcase_add_test(whole, a_scan_changes_nothing);
    tcase_add_test(whole, a_visitor_can_end_the_opening);
    tcase_add_test(damage, a_file_cut_anywhere_keeps_its_whole_records);
    tcase_add_test(damage, every_flipped_bit_is_found);
    tcase_add_test(damage, zeros_and_noise_at_the_end_are_dropped);
    tcase_add_test(damage, records_of_another_file_do_not_fit);
    tcase_add_test(damage, a_strangers_file_is_left_alone);
    tcase_add_test(damage, what_is_no_file_is_refused);
    tcase_add_test(disk, short_and_interrupted_writes_are_gone_on_with);
    tcase_add_loop_test(disk, a_full_disk_costs_one_record, 0, 2);
    tcase_add_test(disk, a_size_limit_is_a_full_disk);
    tcase_add_test(disk, a_failed_sync_takes_back_what_it_was_for);
    tcase_add_test(disk, an_end_that_cannot_be_dropped_is_an_error);
    tcase_add_test(locks, one_at_a_time);
    tcase_add_test(locks, a_dead_holder_holds_nothing);
    tcase_add_test(locks, deleting_and_opening_do_not_race);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
