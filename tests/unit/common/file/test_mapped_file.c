/* Files that are mapped, and become shorter meanwhile. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/file/input_file.h"
#include "common/weights/weights.h"

enum { PAGES = 3 };

static char path[] = "/tmp/pf_mapped_XXXXXX";
static int fd;

static void make_file(void)
{
    strcpy(path, "/tmp/pf_mapped_XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
}

static void remove_file(void)
{
    close(fd);
    unlink(path);
}

/* Runs `body` in a process of its own. Returns wait's status; said: what it wrote to stderr. */
static int run_child(void (*body)(void), char *said, size_t size)
{
    int ends[2], status;
    ck_assert(!pipe(ends));
    pid_t child = fork();
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    close(ends[1]);
    ssize_t length = 0, count;
    while ((count = read(ends[0], said + length, size - 1 - (size_t)length)) > 0) length += count;
    said[length] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static const unsigned char *map_pages(void)
{
    const void *bytes;
    struct stat status;
    PfError err;
    ck_assert(!ftruncate(fd, PAGES * sysconf(_SC_PAGESIZE)) && !fstat(fd, &status));
    ck_assert(!pf_input_file_map(fd, &status, "weights", path, &bytes, &err));
    return bytes;
}

static void cut_and_look(void)
{
    pf_log_setup("tester", PF_NORMAL);
    const volatile unsigned char *bytes = map_pages();
    if (ftruncate(fd, 1)) return;
    (void)bytes[(PAGES - 1) * sysconf(_SC_PAGESIZE)];
}

START_TEST(a_file_that_shrank_is_named)
{
    char said[1000];
    int status = run_child(cut_and_look, said, sizeof said);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x, '%s'", status, said);
    ck_assert_ptr_nonnull(strstr(said, "tester: error: '"));
    ck_assert_ptr_nonnull(strstr(said, path));
    ck_assert_ptr_nonnull(strstr(said, "became shorter while it was read"));
}
END_TEST

/* Through the weights, whose tensors are used where they are mapped. */
static void cut_weights(void)
{
    static const char header[] =
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[20000],\"data_offsets\":[0,20000]}}";
    const uint64_t length = sizeof header - 1;
    PfWeights *weights;
    PfError err;
    if (write(fd, &length, sizeof length) < 0 || write(fd, header, length) < 0 ||
        ftruncate(fd, (off_t)(sizeof length + length + 20000)) ||
        pf_weights_open(path, &weights, &err) || ftruncate(fd, 100))
        _exit(9);
    pf_weights_sha256(weights);
}

START_TEST(weights_that_shrank_are_named)
{
    char said[1000];
    int status = run_child(cut_weights, said, sizeof said);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x, '%s'", status, said);
    ck_assert_ptr_nonnull(strstr(said, path));
}
END_TEST

/* After the file is unmapped, and where it never was, nothing is claimed. */
static void fault_elsewhere(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    const unsigned char *bytes = map_pages();
    pf_input_file_unmap(bytes, PAGES * size);
    void *other = mmap((void *)(uintptr_t)bytes, size, PROT_READ, MAP_SHARED, fd, 0);
    if (other == MAP_FAILED || ftruncate(fd, 0)) return;
    (void)*(volatile unsigned char *)other;
}

static void send_signal(void)
{
    map_pages();
    raise(SIGBUS);
}

START_TEST(other_faults_end_the_program)
{
    char said[20000];
    void (*const bodies[])(void) = {fault_elsewhere, send_signal};
    for (size_t i = 0; i < 2; i++) {
        int status = run_child(bodies[i], said, sizeof said);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%zu: status %x", i,
                      status);
        ck_assert_ptr_null(strstr(said, "became shorter"));
    }
}
END_TEST

START_TEST(an_empty_file_is_no_mapping)
{
    const void *bytes = path;
    struct stat status;
    PfError err;
    ck_assert(!fstat(fd, &status));
    ck_assert(!pf_input_file_map(fd, &status, "weights", path, &bytes, &err));
    ck_assert_ptr_null(bytes);
    pf_input_file_unmap(bytes, 0);
}
END_TEST

/* A file system that knows no holes has nothing to refuse. */
START_TEST(a_file_of_holes_is_refused)
{
    const off_t sizes[] = {(off_t)1 << 20, (off_t)100 << 20, (off_t)17 << 30};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const void *bytes;
        struct stat status;
        PfError err = {0};
        ck_assert(!ftruncate(fd, sizes[i]) && pwrite(fd, "x", 1, sizes[i] / 2) == 1);
        ck_assert(!fstat(fd, &status));
        if (lseek(fd, 0, SEEK_HOLE) >= status.st_size) continue;
        int failed = pf_input_file_map(fd, &status, "weights", path, &bytes, &err);
        ck_assert_int_eq(failed != 0, i > 0);
        if (failed)
            ck_assert_ptr_nonnull(strstr(err.message, "the rest are holes"));
        else
            pf_input_file_unmap(bytes, (size_t)status.st_size);
    }
}
END_TEST

/* A sixteenth that is there will do: zeros that a copy left out. */
START_TEST(a_file_with_some_holes_is_taken)
{
    const size_t size = (size_t)80 << 20, there = size / 8;
    const void *bytes;
    struct stat status;
    PfError err = {0};
    void *block = calloc(1, there);
    ck_assert(!ftruncate(fd, (off_t)size));
    memset(block, 1, there);
    ck_assert(pwrite(fd, block, there / 2, 0) == (ssize_t)there / 2);
    ck_assert(pwrite(fd, block, there / 2, (off_t)(size - there)) == (ssize_t)there / 2);
    ck_assert(!fstat(fd, &status));
    ck_assert_msg(!pf_input_file_map(fd, &status, "weights", path, &bytes, &err), "%s",
                  err.message);
    pf_input_file_unmap(bytes, size);
    free(block);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("mapped file");
    tcase_add_checked_fixture(cases, make_file, remove_file);
    tcase_add_test(cases, a_file_that_shrank_is_named);
    tcase_add_test(cases, weights_that_shrank_are_named);
    tcase_add_test(cases, other_faults_end_the_program);
    tcase_add_test(cases, an_empty_file_is_no_mapping);
    tcase_add_test(cases, a_file_of_holes_is_refused);
    tcase_add_test(cases, a_file_with_some_holes_is_taken);
    Suite *suite = suite_create("mapped file");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
