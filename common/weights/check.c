/* Whether the tensors of a file are a network's: shapes, prefixes of names, finite numbers. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/path.h"
#include "common/weights/internal.h"

#define LISTED 5 /* problems that are spelled out */

static bool is_floating(PfDtype dtype)
{
    return dtype == PF_DTYPE_F32 || dtype == PF_DTYPE_F16 || dtype == PF_DTYPE_BF16 ||
           dtype == PF_DTYPE_F64;
}

static bool fits(const PfTensorView *view, const PfParameter *parameter)
{
    return view && is_floating(view->dtype) && pf_shape_equal(&view->shape, &parameter->shape);
}

/* How well a file fits a network. */
typedef struct Match {
    int fitting;       /* how many of the network's parameters the file has */
    bool features_fit; /* it has all but those of the classifier, the last node */
} Match;

static int match_arch(const PfWeights *weights, const PfArch *arch, Match *match, PfError *err)
{
    PfParameter *parameters;
    int count;
    *match = (Match){.features_fit = true};
    if (pf_arch_parameters(arch, arch->node_count - 1, &parameters, &count, err)) return -1;
    for (int i = 0; i < count; i++) {
        int good = fits(pf_weights_find_tensor(weights, parameters[i].name), &parameters[i]);
        match->fitting += good;
        if (!good && parameters[i].node != arch->node_count - 1) match->features_fit = false;
    }
    free(parameters);
    return 0;
}

/* Most that a network can use of the file. */
static int count_floating(const PfWeights *weights)
{
    size_t count;
    int floating = 0;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    for (size_t i = 0; i < count; i++) floating += is_floating(tensors[i].view.dtype);
    return floating;
}

/* The known network that uses more of the file than arch does and finds all it
 * needs there, but for the classifier; NULL if there is none. Comparing counts
 * matters: every tensor of resnet18 is also in resnet34's file. */
static const char *find_better_arch(const PfWeights *weights, const PfArch *arch)
{
    Match best, match;
    const char *better = NULL;
    if (match_arch(weights, arch, &best, NULL)) return NULL;
    if (best.fitting >= count_floating(weights)) return NULL; /* and no need to build them all */
    for (const char *const *name = pf_arch_names(); *name; name++) {
        PfArch *candidate;
        if (pf_arch_new(*name, &candidate, NULL)) continue;
        if (!match_arch(weights, candidate, &match, NULL) && match.features_fit &&
            match.fitting > best.fitting) {
            best = match;
            better = *name;
        }
        pf_arch_free(&candidate);
    }
    return better;
}

/* A line for a tensor that does not fit. */
static void describe(char *line, size_t size, const PfParameter *parameter,
                     const PfTensorView *view, const PfForeignTensor *foreign)
{
    char expected[PF_SHAPE_TEXT_SIZE], found[PF_SHAPE_TEXT_SIZE];
    pf_shape_text(&parameter->shape, expected);
    if (foreign)
        pf_format(line, size, "\n  '%s' is %.80s, which is not read, expected %s", parameter->name,
                  foreign->kind, expected);
    else if (!view)
        pf_format(line, size, "\n  '%s' is missing, expected %s", parameter->name, expected);
    else if (!pf_shape_equal(&view->shape, &parameter->shape))
        pf_format(line, size, "\n  '%s' is %s, expected %s", parameter->name,
                  pf_shape_text(&view->shape, found), expected);
    else
        pf_format(line, size, "\n  '%s' is %s, expected a floating point type", parameter->name,
                  pf_dtype_name(view->dtype));
}

/* Lists the first problems in text; returns how many there are in all. */
static int list_problems(const PfWeights *weights, const PfParameter *parameters, int count,
                         char *text, size_t size)
{
    int problems = 0;
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < count; i++) {
        const PfTensorView *view = pf_weights_find_tensor(weights, parameters[i].name);
        if (fits(view, &parameters[i])) continue;
        if (problems++ < LISTED) {
            describe(text + used, size - used, &parameters[i], view,
                     pf_weights_find_foreign(weights, parameters[i].name));
            used += strlen(text + used);
        }
    }
    if (problems > LISTED)
        pf_format(text + used, size - used, "\n  and %d more", problems - LISTED);
    return problems;
}

static int report_misfit(const PfWeights *weights, const PfArch *arch, int count, int problems,
                         const char *list, PfError *err)
{
    char hint[500];
    const char *better = find_better_arch(weights, arch);
    size_t tensor_count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &tensor_count);
    if (better)
        pf_format(hint, sizeof hint, "\nHint: these look like %s weights", better);
    else
        pf_format(hint, sizeof hint, "\nThe file has %zu tensors; the first is '%.100s'",
                  tensor_count, tensors[0].name);
    size_t used = strlen(hint);
    if (weights->foreign_count)
        pf_format(
            hint + used, sizeof hint - used,
            "\nTensors of types that are not read were passed over: %zu, among them '%.100s', "
            "which is %.80s. Hint: save them in float32",
            weights->foreign_count, weights->foreign[0].name, weights->foreign[0].kind);
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': %d of %d tensors do not fit %s:%" PF_SENTENCE "%" PF_SENTENCE,
                   pf_weights_source(weights), problems, count, arch->name, list, hint);
}

/* Shapes do not tell: the same tensors fit a network that pads evenly, which then computes
 * something else. */
static int check_padding(const PfWeights *weights, const PfArch *arch, PfError *err)
{
    bool pads = !weights->pads_as_tensorflow;
    for (int i = 0; i < arch->node_count; i++) pads |= arch->nodes[i].op == PF_OP_PAD_SAME;
    if (pads) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s': these were trained by TensorFlow, whose padding and norms %s does "
        "not have. Hint: give --backbone tf_%s",
        pf_weights_source(weights), arch->name, arch->name);
}

void pf_weights_report_auxiliary(const PfWeights *weights, const PfArch *arch)
{
    static const struct {
        const char *family, *prefix;
    } heads[] = {{"Inception3", "AuxLogits."}, {"GoogLeNet", "aux1."}, {"GoogLeNet", "aux2."}};
    for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
        const size_t length = strlen(heads[h].prefix);
        size_t count = 0;
        if (strcmp(arch->family, heads[h].family)) continue;
        for (size_t i = 0; i < weights->count; i++)
            count += !strncmp(weights->tensors[i].name, heads[h].prefix, length);
        if (count)
            pf_say("weights '%s': %zu tensors of the auxiliary head '%.*s', which only training "
                   "reads, are passed over",
                   weights->source, count, (int)length - 1, heads[h].prefix);
    }
}

int pf_weights_check(const PfWeights *weights, const PfArch *arch, int last, PfError *err)
{
    char list[1200];
    PfParameter *parameters;
    int count;
    if (pf_arch_parameters(arch, last, &parameters, &count, err)) return -1;
    int problems = list_problems(weights, parameters, count, list, sizeof list);
    free(parameters);
    if (problems) return report_misfit(weights, arch, count, problems, list, err);
    if (check_padding(weights, arch, err)) return -1;
    const char *better = find_better_arch(weights, arch);
    if (better)
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': these are %s weights; %s would use only a part of them. "
                       "Hint: give --backbone %s",
                       pf_weights_source(weights), better, arch->name, better);
    return 0;
}

/* ==== entries and prefixes ==== */

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

char *pf_weights_entry_word(const PfWeights *weights, const char *key, size_t size, PfError *err)
{
    char *spec = pf_asprintf(err, "%s#%.*s", weights->source, (int)size, key);
    char *word = spec ? pf_path_shell_word(spec, "FILE#KEY", err) : NULL;
    free(spec);
    return word;
}

/* Fails with the first parts of the tensors' names. */
static int no_such_entry(const PfWeights *weights, const char *entry, PfError *err)
{
    char parts[400] = "", last[PF_PRINTABLE_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < weights->count + weights->foreign_count; i++) {
        char part[PF_PRINTABLE_SIZE];
        const char *name = i < weights->count ? weights->tensors[i].name
                                              : weights->foreign[i - weights->count].name;
        pf_printable_text(name, strcspn(name, "."), part);
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

static bool is_under(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    return !strncmp(name, prefix, length) && name[length] == '.' && name[length + 1];
}

static bool has_prefix(const PfWeights *weights, const char *prefix)
{
    for (size_t i = 0; i < weights->count; i++)
        if (is_under(weights->tensors[i].name, prefix)) return true;
    for (size_t i = 0; i < weights->foreign_count; i++)
        if (is_under(weights->foreign[i].name, prefix)) return true;
    return false;
}

/* Cuts "<prefix>." off the name; frees the name of another tensor. Whether it is kept. */
static bool cut_prefix(char *name, const char *prefix)
{
    size_t start = strlen(prefix) + 1;
    if (!is_under(name, prefix)) {
        free(name);
        return false;
    }
    memmove(name, name + start, strlen(name + start) + 1);
    return true;
}

int pf_weights_keep_prefix(PfWeights *weights, const char *prefix, PfError *err)
{
    char *start = pf_weights_strip_wrappers(prefix, strlen(prefix), err);
    if (!start) return -1;
    if (!has_prefix(weights, start)) {
        free(start);
        return no_such_entry(weights, prefix, err);
    }
    size_t kept = 0, foreign_kept = 0;
    for (size_t i = 0; i < weights->count; i++)
        if (cut_prefix((char *)(uintptr_t)weights->tensors[i].name, start))
            weights->tensors[kept++] = weights->tensors[i];
    for (size_t i = 0; i < weights->foreign_count; i++)
        if (cut_prefix(weights->foreign[i].name, start))
            weights->foreign[foreign_kept++] = weights->foreign[i];
    weights->count = kept;
    weights->foreign_count = foreign_kept;
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

/* How many parameters the file has under their own names, whatever their shapes. */
static int count_named(const PfWeights *weights, const PfParameter *parameters, int count)
{
    int named = 0;
    for (int i = 0; i < count; i++)
        named += pf_weights_find_tensor(weights, parameters[i].name) != NULL;
    return named;
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

static bool is_averaged(const char *prefix, size_t length)
{
    static const char *const words[] = {"ema", "teacher", "averag-", "momentum", NULL};
    return pf_weights_has_word(prefix, length, words);
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
    char *word = pf_weights_entry_word(weights, found->text[0], found->length[0] - 1, err);
    if (!word) return -1;
    pf_fail(err, PF_EXIT_FAILED,
            "weights '%s': tensors of %s are there %d times, under %" PF_SENTENCE
            ". Hint: choose one with --weights FILE#KEY, for example %" PF_SENTENCE,
            weights->source, arch->name, found->count, list, word);
    free(word);
    return -1;
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
    /* Parts of a network are named alike: a narrower one has "layer3.0.conv1.weight", too. */
    const int named = count_named(weights, parameters, count);
    free(parameters);
    if (!found.count || found.fitting <= named) return 0;
    int chosen = choose_prefix(&found);
    failed = chosen < 0 ? several(weights, arch, &found, err)
                        : drop_prefix(weights, &found, chosen, err);
    return failed ? -1 : 0;
}

/* ==== finite numbers ==== */

#define BLOCK 4096 /* numbers that are looked at before the first bad one is searched */

/* A number is not finite where all bits of its exponent are set. The loops over blocks have no
 * exit, so that they become vector code. */
#define DEFINE_COUNT(name, type, exponent)                                                         \
    static int name(const uint8_t *bytes, size_t count)                                            \
    {                                                                                              \
        int bad = 0;                                                                               \
        for (size_t i = 0; i < count; i++) {                                                       \
            type bits;                                                                             \
            __builtin_memcpy(&bits, bytes + i * sizeof bits, sizeof bits);                         \
            bad += (bits & (type)(exponent)) == (type)(exponent);                                  \
        }                                                                                          \
        return bad;                                                                                \
    }

DEFINE_COUNT(count_bad_f32, uint32_t, 0x7f800000u)
DEFINE_COUNT(count_bad_f16, uint16_t, 0x7c00u)
DEFINE_COUNT(count_bad_bf16, uint16_t, 0x7f80u)
DEFINE_COUNT(count_bad_f64, uint64_t, 0x7ff0000000000000u)

static int count_bad(PfDtype dtype, const uint8_t *bytes, size_t count)
{
    switch (dtype) {
    case PF_DTYPE_F32: return count_bad_f32(bytes, count);
    case PF_DTYPE_F16: return count_bad_f16(bytes, count);
    case PF_DTYPE_BF16: return count_bad_bf16(bytes, count);
    case PF_DTYPE_F64: return count_bad_f64(bytes, count);
    default: return 0;
    }
}

size_t pf_weights_find_not_finite(const PfTensorView *view)
{
    size_t count = (size_t)pf_shape_count(&view->shape), size = pf_dtype_size(view->dtype);
    const uint8_t *bytes = view->data;
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t length = pf_min_size(count - first, BLOCK);
        if (!count_bad(view->dtype, bytes + first * size, length)) continue;
        while (!count_bad(view->dtype, bytes + first * size, 1)) first++;
        return first;
    }
    return count;
}

int pf_weights_check_finite(const PfWeights *weights, const char *what, PfError *err)
{
    size_t tensor_count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &tensor_count);
    for (size_t i = 0; i < tensor_count; i++) {
        const PfTensorView *view = &tensors[i].view;
        size_t count = (size_t)pf_shape_count(&view->shape), at = pf_weights_find_not_finite(view);
        if (at == count) continue;
        float value;
        pf_f32_from_dtype_array(
            &value, (const uint8_t *)view->data + at * pf_dtype_size(view->dtype), view->dtype, 1);
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s '%s': tensor '%.200s' holds %s (number %zu of %zu); all must be finite. "
                       "Hint: the training diverged, or the file was damaged",
                       what, pf_weights_source(weights), tensors[i].name,
                       isnan(value) ? "nan" : "an infinite number", at + 1, count);
    }
    return 0;
}
