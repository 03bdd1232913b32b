#include "extract/backbone/device_list.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/options.h"

static bool is_cpu(const char *name)
{
    return !strcmp(name, "cpu") || !strcmp(name, "cpu:overlap");
}

/* Which GPU a name means; -1 for what is none. */
static int gpu_index(const char *name)
{
    long long index = 0;
    if (strncmp(name, "cuda", 4)) return -1;
    if (!name[4]) return 0;
    if (name[4] != ':' || pf_options_parse_long("", name + 5, 0, 255, &index, NULL)) return -1;
    return (int)index;
}

static int check_name(char *const *names, int at, PfError *err)
{
    int gpu = gpu_index(names[at]);
    if (gpu < 0 && !is_cpu(names[at]))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--device: unknown device '%s'; expected auto, or cpu, cuda or cuda:N, or "
                       "several of these with commas",
                       names[at]);
    for (int i = 0; i < at; i++)
        if (gpu >= 0 && gpu_index(names[i]) == gpu)
            return pf_fail(err, PF_EXIT_USAGE, "--device: '%s' is the same GPU as '%s'", names[at],
                           names[i]);
    return 0;
}

int pf_device_list_parse(const char *text, char ***names, int *count, PfError *err)
{
    int failed = 0;
    if (pf_options_split_list(text, names, count, err)) return -1;
    if (*count == 1 && !strcmp((*names)[0], "auto")) return 0;
    if (*count > PF_DEVICES_MAX)
        failed = pf_fail(err, PF_EXIT_USAGE, "--device: %d devices are more than %d", *count,
                         PF_DEVICES_MAX);
    for (int i = 0; i < *count && !failed; i++) failed = check_name(*names, i, err);
    if (failed) pf_options_free_list(names, count);
    return failed;
}

int pf_device_list_check(const char *text, PfError *err)
{
    char **names;
    int count;
    if (pf_device_list_parse(text, &names, &count, err)) return -1;
    pf_options_free_list(&names, &count);
    return 0;
}

int pf_device_list_threads(char *const *names, int count, int processors)
{
    int cpus = 0;
    for (int i = 0; i < count; i++) cpus += is_cpu(names[i]);
    if (cpus < 2) return processors;
    return processors > cpus ? processors / cpus : 1;
}
