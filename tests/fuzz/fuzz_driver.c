/* fuzz_<what> [--mutate COUNT] FILE|FOLDER...
 *
 * Runs a fuzz target without libFuzzer: every file as it is, then COUNT damaged versions of
 * it, the same on every run: ends cut off, bits flipped, bytes set, ranges copied or cleared.
 * Where one crashes or takes longer than SECONDS_MAX it is left in fuzz_crash.bin. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/random.h"
#include "fuzz.h"

enum { SECONDS_MAX = 30, NAME_MAX_BYTES = 4096 };

static const uint8_t *current;
static size_t current_size;
static int64_t run_count;

/* ---- crashes ---- */

static void save_input(void)
{
    int fd = open("fuzz_crash.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, current, current_size) == (ssize_t)current_size) {
        static const char text[] = "the input is in fuzz_crash.bin\n";
        if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
    }
}

static void on_signal(int number)
{
    save_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* Sanitizers end the program themselves, unless there are none. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM};
    int is_sanitized = __sanitizer_set_death_callback != NULL;
    if (is_sanitized) __sanitizer_set_death_callback(save_input);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!is_sanitized || signals[i] == SIGABRT || signals[i] == SIGALRM)
            signal(signals[i], on_signal);
}

/* ---- running ---- */

/* In a block of its own exact size, so that a sanitizer sees every byte too far. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    FUZZ_CHECK(exact);
    memcpy(exact, data, size);
    current = exact;
    current_size = size;
    alarm(SECONDS_MAX);
    LLVMFuzzerTestOneInput(exact, size);
    alarm(0);
    run_count++;
    free(exact);
}

/* size > 0; changes data and returns the new size. */
static size_t damage(uint8_t *data, size_t size, PfRandom *random)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t at = pf_random_below(random, size), from = pf_random_below(random, size);
    size_t length = 1 + pf_random_below(random, 8);
    if (length > size - (at > from ? at : from)) length = size - (at > from ? at : from);
    switch (pf_random_below(random, 5)) {
    case 0: return at;
    case 1: data[at] ^= (uint8_t)(1u << pf_random_below(random, 8)); break;
    case 2: data[at] = values[pf_random_below(random, sizeof values)]; break;
    case 3: memmove(data + at, data + from, length); break;
    default: memset(data + at, values[pf_random_below(random, sizeof values)], length);
    }
    return size;
}

static void run_damaged(const uint8_t *data, size_t size, int count)
{
    PfRandom random = pf_random_seeded(0, size);
    uint8_t *copy = malloc(size);
    FUZZ_CHECK(copy);
    for (int i = 0; i < count; i++) {
        memcpy(copy, data, size);
        size_t damaged = damage(copy, size, &random);
        if (i % 3 == 2 && damaged) damaged = damage(copy, damaged, &random);
        run(copy, damaged);
    }
    free(copy);
}

static int run_file(const char *path, int mutations)
{
    FILE *file = fopen(path, "rb");
    long size = file && !fseek(file, 0, SEEK_END) ? ftell(file) : -1;
    uint8_t *bytes = size < 0 ? NULL : malloc((size_t)size + 1);
    if (bytes) rewind(file);
    int failed = !bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size;
    if (file) fclose(file);
    if (failed) perror(path);
    if (!failed) run(bytes, (size_t)size);
    if (!failed && size && mutations) run_damaged(bytes, (size_t)size, mutations);
    free(bytes);
    return failed;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int run_folder(const char *folder, int mutations)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_shown, alphasort), failed = count < 1;
    if (failed) fprintf(stderr, "%s: no files\n", folder);
    for (int i = 0; i < count; i++) {
        char path[NAME_MAX_BYTES];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        failed |= run_file(path, mutations);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    return failed;
}

static int is_folder(const char *path)
{
    DIR *stream = opendir(path);
    if (stream) closedir(stream);
    return stream != NULL;
}

int main(int argc, char **argv)
{
    int first = 1, mutations = 0, failed = 0;
    if (argc > 2 && !strcmp(argv[1], "--mutate")) {
        mutations = atoi(argv[2]);
        first = 3;
    }
    watch();
    for (int i = first; i < argc; i++)
        failed |=
            is_folder(argv[i]) ? run_folder(argv[i], mutations) : run_file(argv[i], mutations);
    printf("%lld inputs\n", (long long)run_count);
    return failed || !run_count;
}
