#include "common/backbone/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/backbone/libtorch.h"
#include "common/base/log.h"
#include "common/base/printable.h"

#define PLUGIN_FILE "permafrost_torch.so"

/* Where the plugin may lie, from the program's folder or absolute. */
static const char *const folders[] = {
    "../lib/permafrost",                   /* the build tree, and prefixes with a plain lib/ */
    "../" PF_INSTALL_LIBDIR "/permafrost", /* an installed tree, moved or not */
    PF_INSTALL_FULL_LIBDIR "/permafrost",
};

typedef struct Search {
    char path[2 * PATH_MAX]; /* the file that was tried last */
    char tried[1400];        /* "\n  <file>: <reason>" for each that failed */
    char unmapped[400];      /* "<file>: <reason>" of what memory did not suffice for; or "" */
    PfError twice;           /* what was not tried, as it would bring a second libtorch; or "" */
} Search;

/* Writes the folder of the running program, without a trailing slash. */
static int program_folder(char folder[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length < 0) return -1;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    return 0;
}

/* ---- too little memory ---- */

/* Room for variables of threads, which a process sets aside when it starts; libgomp on ARM wants
 * more of it than is left later. */
#define STATIC_TLS "static TLS"

/* Bytes of addresses that this process may have at most; 0: they are not limited. */
static unsigned long long limit_of_addresses(void)
{
    struct rlimit space;
    bool is_limited = !getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY;
    return is_limited ? space.rlim_cur : 0;
}

/* What the loader cannot map it does not explain: where addresses are limited, that is why. */
static bool is_short_of_memory(const char *reason)
{
    if (strstr(reason, STATIC_TLS)) return false;
    if (strstr(reason, strerror(ENOMEM)) || strstr(reason, "cannot allocate")) return true;
    return strstr(reason, "failed to map") && limit_of_addresses();
}

static int fail_for_memory(const char *what, PfError *err)
{
    char limit[64] = "";
    if (limit_of_addresses())
        snprintf(limit, sizeof limit, " (ulimit -v allows %llu MB)", limit_of_addresses() >> 20);
    return pf_fail(err, PF_EXIT_FAILED,
                   "out of memory while the torch plugin was loaded: "
                   "%" PF_SENTENCE ". Hint: libtorch takes more than a gigabyte of addresses%s",
                   what, limit);
}

/* What libraries throw while they are loaded nobody can catch: they say what it was, and abort. */
static void end_run(int number)
{
    (void)number;
    PfError err = {0};
    if (limit_of_addresses())
        fail_for_memory("a library could not begin", &err);
    else
        pf_fail(&err, PF_EXIT_FAILED,
                "cannot load the torch plugin: a library that it needs could "
                "not begin");
    _exit(pf_log_error(&err));
}

/* ---- places ---- */

static void *load(Search *search)
{
    if (pf_libtorch_check_one(search->path, &search->twice)) return NULL;
    /* Everything resolved now: an incompatible libtorch must fail here, not in
     * the middle of a run. */
    void *library = dlopen(search->path, RTLD_NOW | RTLD_LOCAL);
    if (library) return library;
    const char *reason = dlerror(); /* starts with the path */
    if (is_short_of_memory(reason))
        pf_format(search->unmapped, sizeof search->unmapped, "%s", reason);
    size_t used = strlen(search->tried);
    if (!strstr(search->tried, reason))
        pf_format(search->tried + used, sizeof search->tried - used, "\n  %s", reason);
    return NULL;
}

static void *load_from_folders(Search *search)
{
    char program[PATH_MAX];
    bool known = program_folder(program) == 0;
    for (size_t i = 0;
         i < sizeof folders / sizeof *folders && !*search->unmapped && !*search->twice.message;
         i++) {
        bool absolute = folders[i][0] == '/';
        if (!absolute && !known) continue;
        snprintf(search->path, sizeof search->path, "%s%s%s/" PLUGIN_FILE, absolute ? "" : program,
                 absolute ? "" : "/", folders[i]);
        void *library = load(search);
        if (library) return library;
    }
    return NULL;
}

/* A name without a folder would be looked for elsewhere, one that begins in the current folder be
 * another file in each. */
static void *load_named(Search *search, const char *named)
{
    snprintf(search->path, sizeof search->path, "%s", named);
    if (*named == '/') return load(search);
    pf_format(search->tried, sizeof search->tried,
              "\n  %s: expected an absolute path in PERMAFROST_PLUGIN", named);
    return NULL;
}

static void *find_and_load(Search *search)
{
    const char *named = getenv("PERMAFROST_PLUGIN");
    void (*before)(int) = signal(SIGABRT, end_run);
    void *library = named && *named ? load_named(search, named) : load_from_folders(search);
    signal(SIGABRT, before);
    return library;
}

void pf_backbone_loader_prepare(void)
{
    /* Threads of the forward pass that wait for each other must sleep, not spin:
     * decoding threads want the processors. OpenMP reads this when it is loaded;
     * what the user has set stays. */
    setenv("OMP_WAIT_POLICY", "passive", 0);
    /* Where processes meet, whoever comes first knocks several times, and libtorch would say so; by
     * its own log, or glog's. */
    setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
    setenv("GLOG_minloglevel", "2", 0);
    /* OpenBLAS starts its threads when it is loaded, and hangs where memory does not suffice: the
     * plugin looks first, and lets it have more than one then. */
    if (getenv("OPENBLAS_NUM_THREADS")) return;
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    setenv("PERMAFROST_OPENBLAS_WAITS", "1", 1);
}

#ifdef PF_SANITIZED /* sanitizers report when the process ends */
static void skip_destructors(void)
{
}
#else
static void leave_at_once(int status, void *context)
{
    (void)context;
    fflush(NULL);
    _exit(status);
}

/* Those of libtorch and of the libraries that it brings along tidy up for a tenth of a second what
 * the system takes back anyway. What is arranged last runs first. */
static void skip_destructors(void)
{
    static bool is_arranged;
    if (!is_arranged) is_arranged = !on_exit(leave_at_once, NULL);
}
#endif

int pf_backbone_loader_load(const PfBackbonePlugin **out, PfError *err)
{
    static const char hint[] = "it is built where libtorch is (apt install libtorch-dev); "
                               "PERMAFROST_PLUGIN=FILE names one that lies elsewhere. Built-in "
                               "networks in fp32 and emulated bf16 run without it with --device "
                               "cpu and no PERMAFROST_PLUGIN";
    static const char tls_hint[] = "LD_PRELOAD=FILE, the library that is named, has it loaded when "
                                   "there is room";
    pf_backbone_loader_prepare();
    Search search = {{0}, {0}, {0}, {0}};
    skip_destructors(); /* OpenBLAS's waits for threads that may never end */
    void *library = find_and_load(&search);
    if (!library && *search.unmapped) return fail_for_memory(search.unmapped, err);
    if (*search.twice.message) {
        if (err) *err = search.twice;
        return -1;
    }
    if (!library)
        return pf_fail(err, PF_EXIT_FAILED,
                       "cannot load the torch plugin, which runs GPUs, bf16 by AMX, fp16, tf32 and "
                       "fine-tuning, and runs and writes TorchScript:%" PF_SENTENCE "\n"
                       "Hint: %s",
                       search.tried, strstr(search.tried, STATIC_TLS) ? tls_hint : hint);
    void *symbol = dlsym(library, "pf_backbone_plugin");
    if (!symbol)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is not a Permafrost plugin: it has no pf_backbone_plugin()",
                       search.path);
    PfBackbonePluginFunction function;
    memcpy(&function, &symbol, sizeof function); /* ISO C has no cast for this */
    const PfBackbonePlugin *plugin = function();
    if (plugin->abi != PF_BACKBONE_ABI)
        return pf_fail(
            err, PF_EXIT_FAILED,
            "plugin '%s' has ABI %d, this program needs %d: they are of different builds",
            search.path, plugin->abi, PF_BACKBONE_ABI);
    *out = plugin;
    return 0;
}
