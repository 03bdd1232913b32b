/* permafrost: the programs under one name. `permafrost train ...` runs the train that lies in the
 * folder of this program, by exec: exit code, signals and output are that program's own. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/manual/manual.h"

#define PLACE_SIZE (PATH_MAX + 64)

typedef struct Settings {
    int help, version, makefile;
} Settings;

#define FIELD(name) offsetof(Settings, name)

static const PfOption table[] = {
    {.name = "makefile",
     .kind = PF_OPTION_FLAG,
     .offset = FIELD(makefile),
     .help = "print where the makefile is that remakes heads when photographs change:\n"
             "make -f \"$(permafrost --makefile)\" DATA=photos head"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, .offset = FIELD(help), .help = "this"},
    {.name = "version",
     .letter = 'V',
     .kind = PF_OPTION_FLAG,
     .offset = FIELD(version),
     .help = "and leave"},
    {0},
};

static const char usage[] =
    "usage: permafrost PROGRAM [arguments of the program]\n"
    "       permafrost help [PROGRAM]\n\n"
    "Transfer learning on images, with the slow part done once. The programs:\n"
    "extract sends every image through a frozen network and keeps what comes out in a cache;\n"
    "train learns a head from a cache;\n"
    "predict tells of new images by a trained head;\n"
    "inspect says what is wrong with the images of a cache.\n\n"
    "permafrost PROGRAM --help lists what each can do. Each is also a program of its own, in the\n"
    "folder where this one lies.";

static const PfManual manual = {
    .program = "permafrost",
    .purpose = "transfer learning on images, with the slow part done once",
    .usage = usage,
    .table = table,
};

/* ---- programs ---- */

/* PF_PROGRAMS, names with spaces between them, taken apart. *count is set; static storage. */
static const char *const *programs(size_t *count)
{
    static char text[] = PF_PROGRAMS;
    static const char *names[sizeof text];
    static size_t known;
    char *rest;
    if (!known)
        for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
            names[known++] = name;
    *count = known;
    return names;
}

static bool is_program(const char *word)
{
    size_t count;
    const char *const *names = programs(&count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(word, names[i])) return true;
    return false;
}

/* A place seen from the folder of this program, which a link to it may lie elsewhere than. */
static int find_place(const char *name, char place[PLACE_SIZE], PfError *err)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0) return pf_fail_errno(err, "cannot tell where this program lies");
    own[length] = '\0';
    char *slash = strrchr(own, '/');
    snprintf(place, PLACE_SIZE, "%.*s/%s", slash ? (int)(slash - own) : 0, own, name);
    return 0;
}

static int run_program(char **argv, PfError *err)
{
    char place[PLACE_SIZE];
    if (find_place(argv[0], place, err)) return -1;
    execv(place, argv);
    return pf_fail_errno(err, "cannot run '%s', which comes with permafrost", place);
}

static int print_makefile(PfError *err)
{
    char place[PLACE_SIZE], whole[PATH_MAX];
    if (find_place(PF_DATA_FOLDER "/pipeline.mk", place, err)) return -1;
    if (!realpath(place, whole))
        return pf_fail_errno(err, "the makefile of pipelines is installed as '%s'", place);
    fwrite(whole, 1, strlen(whole), stdout);
    putchar('\n');
    return 0;
}

static int fail_unknown(const char *word, PfError *err)
{
    size_t count;
    const char *const *names = programs(&count);
    const char *near = pf_options_nearest_word(word, names, count);
    if (near)
        return pf_fail(err, PF_EXIT_USAGE, "there is no program '%s'. Did you mean %s?", word,
                       near);
    return pf_fail(err, PF_EXIT_USAGE, "there is no program '%s'. permafrost --help lists them.",
                   word);
}

/* ---- the command line ---- */

static int complete(int argc, char **argv, PfError *err)
{
    size_t count;
    const char *const *names = programs(&count);
    const bool is_help = argc > 3 && !strcmp(argv[2], "help");
    if (argc > 3 && is_program(argv[2])) {
        char *program = argv[2];
        argv[2] = argv[1];
        argv[1] = program;
        return run_program(argv + 1, err);
    }
    if (argc > (is_help ? 4 : 3)) return 0;
    const PfCompletion completion = {.table = table, .typed = argv[argc - 1]};
    if (*completion.typed == '-') {
        pf_manual_answer(&manual, argc, argv);
        return 0;
    }
    puts("nothing");
    for (size_t i = 0; i < count; i++) pf_completion_offer(&completion, names[i], NULL);
    if (!is_help) pf_completion_offer(&completion, "help", NULL);
    return 0;
}

static int run_options(int argc, char **argv, PfError *err)
{
    Settings settings = {0};
    const char **operands = calloc((size_t)argc, sizeof *operands);
    int count;
    if (!operands) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed = pf_options_parse(table, &settings, argc, argv, operands, &count, err);
    free(operands);
    if (failed) return -1;
    if (settings.makefile) return print_makefile(err);
    if (settings.version) {
        puts("permafrost " PF_VERSION);
        return 0;
    }
    puts(usage);
    putchar('\n');
    pf_options_print(table);
    return 0;
}

static int run(int argc, char **argv, PfError *err)
{
    if (argc < 2)
        return pf_fail(err, PF_EXIT_USAGE, "which program? permafrost --help lists them.");
    if (argc > 2 && !strcmp(argv[1], "--complete")) return complete(argc, argv, err);
    if (pf_manual_answer(&manual, argc, argv)) return 0;
    if (!strcmp(argv[1], "help")) {
        if (argc == 2) return run_options(1, argv, err);
        if (!is_program(argv[2])) return fail_unknown(argv[2], err);
        char *arguments[] = {argv[2], (char[]){"--help"}, NULL};
        return run_program(arguments, err);
    }
    if (argv[1][0] == '-') return run_options(argc, argv, err);
    return is_program(argv[1]) ? run_program(argv + 1, err) : fail_unknown(argv[1], err);
}

int main(int argc, char **argv)
{
    PfError err = {0};
    pf_process_begin_streams();
    pf_log_setup("permafrost", PF_NORMAL);
    return run(argc, argv, &err) || pf_process_finish_output(&err) ? pf_log_error(&err)
                                                                   : PF_EXIT_DONE;
}
