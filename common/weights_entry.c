/* Which of the tensors in a file are the network's: FILE#KEY, and prefixes of their names. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "memory.h"
#include "printable.h"
#include "weights_internal.h"

#define MAX_PREFIXES 16 /* that are told apart */

char *pf_weights_split_entry(char *spec)
{
    for (char *mark = strrchr(spec, '#'); mark && mark > spec;) {
        *mark = 0;
        if (!access(spec, F_OK)) return mark + 1;
        char *earlier = strrchr(spec, '#');
        *mark = '#';
        mark = earlier;
    }
    return NULL;
}

/* Fails with the first parts of the tensors' names. */
static int no_such_entry(const PfWeights *weights, const char *entry, PfError *err)
{
    char parts[400] = "", last[PF_PRINTABLE_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < weights->count; i++) {
        char part[PF_PRINTABLE_SIZE];
        pf_printable(weights->tensors[i].name, strcspn(weights->tensors[i].name, "."), part);
        if (!strcmp(part, last) || used + strlen(part) + 8 > sizeof parts) continue;
        memcpy(last, part, sizeof part);
        pf_format(parts + used, sizeof parts - used, "%s'%s'", used ? ", " : "", part);
        used = strlen(parts);
    }
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s': no dict and no prefix of names is called '%s'; its tensors' names "
        "begin with %" PF_SENTENCE,
        weights->source, entry, parts);
}

int pf_weights_keep_prefix(PfWeights *weights, const char *prefix, PfError *err)
{
    char *start = pf_weights_strip_wrappers(prefix, strlen(prefix), err);
    if (!start) return -1;
    size_t length = strlen(start), kept = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const char *name = weights->tensors[i].name;
        kept += !strncmp(name, start, length) && name[length] == '.' && name[length + 1];
    }
    if (!kept) {
        free(start);
        return no_such_entry(weights, prefix, err);
    }
    kept = 0;
    for (size_t i = 0; i < weights->count; i++) {
        char *name = (char *)(uintptr_t)weights->tensors[i].name;
        if (!strncmp(name, start, length) && name[length] == '.' && name[length + 1]) {
            memmove(name, name + length + 1, strlen(name + length + 1) + 1);
            weights->tensors[kept++] = weights->tensors[i];
        } else {
            free(name);
        }
    }
    weights->count = kept;
    free(start);
    return 0;
}

/* How many parameters the file has under "<prefix>.<name>", of their shape. */
static int count_fitting(const PfWeights *weights, const char *prefix, size_t length,
                         const PfParameter *parameters, int count)
{
    int fitting = 0;
    for (int i = 0; i < count; i++) {
        char name[PF_ENTRY_SIZE * 2];
        pf_format(name, sizeof name, "%.*s%s", (int)length, prefix, parameters[i].name);
        const PfTensorView *view = pf_weights_find_tensor(weights, name);
        fitting += view && pf_shape_equal(&view->shape, &parameters[i].shape);
    }
    return fitting;
}

/* The prefixes, with their dots, under which most parameters are. */
typedef struct Prefixes {
    const char *text[MAX_PREFIXES];
    size_t length[MAX_PREFIXES];
    int count, fitting;
} Prefixes;

static void find_prefixes(const PfWeights *weights, const PfParameter *parameters, int count,
                          Prefixes *found)
{
    const char *first = parameters[0].name;
    size_t size = strlen(first);
    int tried = 0;
    for (size_t i = 0; i < weights->count && tried < 4 * MAX_PREFIXES; i++) {
        const char *name = weights->tensors[i].name;
        size_t length = strlen(name);
        if (length < size + 2 || length > PF_ENTRY_SIZE || name[length - size - 1] != '.' ||
            strcmp(name + length - size, first))
            continue;
        tried++;
        int fitting = count_fitting(weights, name, length - size, parameters, count);
        if (!fitting || fitting < found->fitting) continue;
        if (fitting > found->fitting) found->count = 0;
        found->fitting = fitting;
        if (found->count == MAX_PREFIXES) continue;
        found->text[found->count] = name;
        found->length[found->count++] = length - size;
    }
}

static int is_averaged(const char *prefix, size_t length)
{
    return memmem(prefix, length, "ema", 3) || memmem(prefix, length, "teacher", 7) ||
           memmem(prefix, length, "averaged", 8) || memmem(prefix, length, "momentum", 8);
}

/* Index of the only one, or of the only averaged one; -1 where that does not decide. */
static int choose_prefix(const Prefixes *found)
{
    int chosen = -1;
    if (found->count == 1) return 0;
    for (int i = 0; i < found->count; i++) {
        if (!is_averaged(found->text[i], found->length[i])) continue;
        if (chosen >= 0) return -1;
        chosen = i;
    }
    return chosen;
}

static int several(const PfWeights *weights, const PfArch *arch, const Prefixes *found,
                   PfError *err)
{
    char list[600] = "";
    for (int i = 0; i < found->count; i++) {
        size_t used = strlen(list);
        pf_format(list + used, sizeof list - used, "%s'%.*s'", i ? ", " : "",
                  (int)found->length[i] - 1, found->text[i]);
    }
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': tensors of %s are there %d times, under %" PF_SENTENCE
                   ". Hint: choose one with --weights FILE#KEY, for example '%s#%.*s'",
                   weights->source, arch->name, found->count, list, weights->source,
                   (int)found->length[0] - 1, found->text[0]);
}

static int drop_prefix(PfWeights *weights, const Prefixes *found, int chosen, PfError *err)
{
    char *prefix = pf_asprintf(err, "%.*s", (int)found->length[chosen] - 1, found->text[chosen]);
    if (!prefix) return -1;
    int several_there = found->count > 1;
    pf_say("weights '%s': the tensors under '%s.' are used%s", weights->source, prefix,
           several_there ? ", an averaged copy; --weights FILE#KEY chooses another" : "");
    int failed = pf_weights_keep_prefix(weights, prefix, err) || pf_weights_index(weights, err);
    free(prefix);
    return failed ? -1 : 0;
}

int pf_weights_see_through_prefix(PfWeights *weights, const PfArch *arch, PfError *err)
{
    PfParameter *parameters;
    int count, failed = 0;
    Prefixes found = {0};
    if (!arch->node_count) return 0;
    if (pf_arch_parameters(arch, arch->node_count - 1, &parameters, &count, err)) return -1;
    if (count && !count_fitting(weights, "", 0, parameters, count))
        find_prefixes(weights, parameters, count, &found);
    free(parameters);
    if (!found.count) return 0;
    int chosen = choose_prefix(&found);
    failed = chosen < 0 ? several(weights, arch, &found, err)
                        : drop_prefix(weights, &found, chosen, err);
    return failed ? -1 : 0;
}
