#include "common/base/control_group.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hierarchy of groups is one of version 2, or of version 1 with the controller: it is mounted
 * somewhere, and the process is somewhere in it. */
typedef struct Hierarchy {
    const char *controller; /* "cpu"; NULL: version 2 */
    const char *root;       /* of all paths, see pf_control_group_limits */
    char group[PATH_MAX];   /* of the process, from the hierarchy's own root on */
    char top[PATH_MAX];     /* which group it is that is mounted */
    char place[PATH_MAX];   /* where */
} Hierarchy;

/* Adopts the limits that one group has by itself; folder: the group's. */
typedef void Reader(const char *folder, PfGroupLimits *limits);

/* ---- files ---- */

static FILE *open_in(const char *root, const char *path)
{
    char name[2 * PATH_MAX];
    int length = snprintf(name, sizeof name, "%s%s", root, path);
    return length < 0 || (size_t)length >= sizeof name ? NULL : fopen(name, "re");
}

/* The first line of a group's file, without its end. -1 where there is none. */
static int read_line(const char *folder, const char *file, char *line, int size)
{
    char name[PATH_MAX + 64];
    snprintf(name, sizeof name, "/%s", file);
    FILE *stream = open_in(folder, name);
    bool is_there = stream && fgets(line, size, stream);
    if (stream) fclose(stream);
    if (!is_there) return -1;
    line[strcspn(line, "\n")] = '\0';
    return 0;
}

/* A whole number without a sign, and nothing behind it but *end. */
static int read_number(const char *text, char **end, uint64_t *out)
{
    if (*text < '0' || *text > '9') return -1;
    unsigned long long number = strtoull(text, end, 10);
    *out = number;
    return 0;
}

/* ---- limits of one group ---- */

static void adopt_quota(uint64_t quota, uint64_t period, const char *file, PfGroupLimits *limits)
{
    if (!quota || !period) return;
    uint64_t wanted = quota / period + (quota % period != 0);
    int processors = wanted > INT_MAX ? INT_MAX : (int)wanted;
    if (limits->processors && limits->processors <= processors) return;
    limits->processors = processors;
    limits->decides = file;
}

/* "150000 100000", or "max 100000" where there is no quota. */
static void read_cpu_max(const char *folder, PfGroupLimits *limits)
{
    char line[64], *end;
    uint64_t quota, period;
    if (!read_line(folder, "cpu.max", line, sizeof line) && !read_number(line, &end, &quota) &&
        *end == ' ' && !read_number(end + 1, &end, &period) && !*end)
        adopt_quota(quota, period, "cpu.max", limits);
}

/* The quota is -1 where there is none. */
static void read_cfs_quota(const char *folder, PfGroupLimits *limits)
{
    char line[64], *end;
    uint64_t quota, period;
    if (!read_line(folder, "cpu.cfs_quota_us", line, sizeof line) &&
        !read_number(line, &end, &quota) && !*end &&
        !read_line(folder, "cpu.cfs_period_us", line, sizeof line) &&
        !read_number(line, &end, &period) && !*end)
        adopt_quota(quota, period, "cpu.cfs_quota_us", limits);
}

/* "max", or a number without meaning, where there is no limit. */
static void read_memory(const char *folder, const char *file, PfGroupLimits *limits)
{
    char line[64], *end;
    uint64_t bytes;
    if (read_line(folder, file, line, sizeof line) || read_number(line, &end, &bytes) || *end)
        return;
    if (bytes < limits->memory_bytes) limits->memory_bytes = (size_t)bytes;
}

static void read_second(const char *folder, PfGroupLimits *limits)
{
    read_cpu_max(folder, limits);
    read_memory(folder, "memory.max", limits);
}

static void read_first_memory(const char *folder, PfGroupLimits *limits)
{
    read_memory(folder, "memory.limit_in_bytes", limits);
}

/* ---- where the groups are ---- */

/* Whether `word` is one of those in `list`, which has commas between them and ends at a blank. */
static bool is_in_list(const char *word, const char *list)
{
    size_t length = strlen(word);
    for (;;) {
        size_t next = strcspn(list, ", \n");
        if (next == length && !strncmp(list, word, length)) return true;
        if (list[next] != ',') return false;
        list += next + 1;
    }
}

/* A line of proc/self/cgroup: "4:cpu,cpuacct:/group", or "0::/group" of version 2. */
static bool is_group_of(const Hierarchy *hierarchy, char *line, const char **group)
{
    char *controllers = strchr(line, ':'), *path;
    if (!controllers || !(path = strchr(++controllers, ':'))) return false;
    *path++ = '\0';
    *group = path;
    if (!hierarchy->controller) return !strncmp(line, "0:", 2) && !*controllers;
    return is_in_list(hierarchy->controller, controllers);
}

/* Copies a path up to the end of the line or, where blanks are written as \040, of the field. */
static int copy_path(char out[PATH_MAX], const char *text, bool is_field)
{
    size_t used = 0;
    for (; *text && *text != '\n' && !(is_field && *text == ' '); text++) {
        unsigned code = (unsigned char)*text;
        if (is_field && *text == '\\' && sscanf(text, "\\%3o", &code) == 1 && code) text += 3;
        if (used == PATH_MAX - 1) return -1;
        out[used++] = (char)code;
    }
    out[used] = '\0';
    return *out == '/' ? 0 : -1;
}

static int find_group(Hierarchy *hierarchy)
{
    char *line = NULL;
    const char *group;
    size_t size = 0;
    int missing = -1;
    FILE *stream = open_in(hierarchy->root, "/proc/self/cgroup");
    while (stream && missing && getline(&line, &size, stream) > 0)
        if (is_group_of(hierarchy, line, &group))
            missing = copy_path(hierarchy->group, group, false);
    free(line);
    if (stream) fclose(stream);
    return missing;
}

/* Where the n-th of the fields begins that blanks part; NULL where there are fewer. */
static const char *field_at(const char *line, int n)
{
    for (; n > 0; n--) {
        line = strchr(line, ' ');
        if (!line) return NULL;
        line++;
    }
    return line;
}

/* A line of proc/self/mountinfo: "31 23 0:28 TOP PLACE options more... - cgroup source options". */
static int read_mount(Hierarchy *hierarchy, const char *line)
{
    const char *top = field_at(line, 3), *type = strstr(line, " - ");
    const char *options = type ? field_at(type + 3, 2) : NULL;
    if (!top || !options || top > type) return -1;
    bool is_it = hierarchy->controller ? !strncmp(type, " - cgroup ", 10) &&
                                             is_in_list(hierarchy->controller, options)
                                       : !strncmp(type, " - cgroup2 ", 11);
    const char *place = field_at(top, 1);
    return is_it && place && !copy_path(hierarchy->top, top, true) &&
                   !copy_path(hierarchy->place, place, true)
               ? 0
               : -1;
}

static int find_mount(Hierarchy *hierarchy)
{
    char *line = NULL;
    size_t size = 0;
    int missing = -1;
    FILE *stream = open_in(hierarchy->root, "/proc/self/mountinfo");
    while (stream && missing && getline(&line, &size, stream) > 0)
        missing = read_mount(hierarchy, line);
    free(line);
    if (stream) fclose(stream);
    return missing;
}

/* What of the process's group lies below the one that is mounted. A container may see its own
 * group as the top, and itself outside of it: then that is what it can know of. */
static char *below_top(Hierarchy *hierarchy)
{
    size_t length = strcmp(hierarchy->top, "/") ? strlen(hierarchy->top) : 0;
    char *rest = hierarchy->group + length;
    bool is_below = !strncmp(hierarchy->group, hierarchy->top, length) &&
                    (*rest == '/' || !*rest) && !strstr(rest, "/..");
    if (!is_below) *(rest = hierarchy->group) = '\0';
    return rest;
}

/* The group, those that it lies in, and the top. */
static void read_up(Hierarchy *hierarchy, Reader *reader, PfGroupLimits *limits)
{
    char folder[3 * PATH_MAX], *below = below_top(hierarchy);
    for (;;) {
        char *last = strrchr(below, '/');
        if (last && !last[1]) *last = '\0'; /* "/": the top itself */
        int length =
            snprintf(folder, sizeof folder, "%s%s%s", hierarchy->root, hierarchy->place, below);
        if (length > 0 && (size_t)length < sizeof folder) reader(folder, limits);
        last = strrchr(below, '/');
        if (!last) return;
        *last = '\0';
    }
}

PfGroupLimits pf_control_group_limits(const char *root)
{
    static const struct {
        const char *controller;
        Reader *reader;
    } kinds[] = {{NULL, read_second}, {"cpu", read_cfs_quota}, {"memory", read_first_memory}};
    PfGroupLimits limits = {.memory_bytes = SIZE_MAX};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        Hierarchy hierarchy = {.controller = kinds[i].controller, .root = root};
        if (!find_group(&hierarchy) && !find_mount(&hierarchy))
            read_up(&hierarchy, kinds[i].reader, &limits);
    }
    return limits;
}
