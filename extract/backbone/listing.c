#include "extract/backbone/listing.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/arch/spelling.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/file/atomic_file.h"
#include "common/file/output.h"
#include "common/model/preprocess_json.h"

#define COLUMNS 80
/* The name of a network, and what is behind it. */
#define NAME_WIDTH 21
#define MEASURES_WIDTH 57

/* ---- which ---- */

static void write_lower(const char *text, char *out, size_t size)
{
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++) out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

static bool fits(const char *name, const char *pattern)
{
    char lower[128];
    write_lower(pattern, lower, sizeof lower);
    return strpbrk(lower, "*?[") ? !fnmatch(lower, name, 0) : strstr(name, lower) != NULL;
}

/* The names that fit, static, into a list that the caller frees; *count of them, at least one. */
static int choose(const char *pattern, const char ***out, size_t *count, PfError *err)
{
    const char *const *names = pf_arch_names();
    PfSpelling found;
    size_t all = 0;
    while (names[all]) all++;
    const char **chosen = pf_calloc(all, sizeof *chosen, err);
    if (!chosen) return -1;
    *count = 0;
    for (size_t i = 0; i < all; i++)
        if (!pattern || fits(names[i], pattern)) chosen[(*count)++] = names[i];
    if (!*count && pf_spelling_read(pattern, &found, err)) {
        free(chosen);
        return -1;
    }
    if (!*count) chosen[(*count)++] = found.network;
    *out = chosen;
    return 0;
}

/* ---- what each costs ---- */

typedef struct Measures {
    int64_t parameters, multiply_adds; /* of the whole network, for one image */
    int side;                          /* of the image: the usual weights' */
    PfShape tap;                       /* as it is stored */
} Measures;

static int measure(const PfArch *arch, Measures *out, PfError *err)
{
    int tap;
    PfShape *shapes = pf_calloc((size_t)arch->node_count, sizeof *shapes, err);
    *out = (Measures){.side = arch->preprocess.crop};
    int failed = !shapes || pf_arch_infer_shapes(arch, out->side, out->side, shapes, err) ||
                 pf_arch_find_tap(arch, arch->default_tap, &tap, err);
    if (!failed) {
        out->tap = pf_arch_stored_shape(shapes[tap]);
        for (int i = 0; i < arch->node_count; i++) {
            const PfNode *node = &arch->nodes[i];
            if (node->is_aside) continue; /* only taps read it, and it shares its parameters */
            out->parameters += pf_node_parameter_count(node);
            out->multiply_adds += pf_node_whole_multiply_adds(node, shapes, &shapes[i]);
        }
    }
    free(shapes);
    return failed ? -1 : 0;
}

/* ---- for people ---- */

/* 25557032 -> "25.6 M", 4089184256 -> "4.09 G". */
static const char *large_text(int64_t number, char text[16])
{
    const double giga = (double)number / 1e9, mega = (double)number / 1e6;
    if (number >= 1000000000)
        snprintf(text, 16, giga < 10 ? "%.2f G" : giga < 100 ? "%.1f G" : "%.0f G", giga);
    else
        snprintf(text, 16, mega < 10 ? "%.2f M" : mega < 100 ? "%.1f M" : "%.0f M", mega);
    return text;
}

/* A line that goes on in the next one, further in, where a part would not fit. */
typedef struct Line {
    FILE *stream;
    size_t used;
} Line;

static void add_part(Line *line, const char *part)
{
    const bool is_full = line->used + strlen(", ,") + strlen(part) > COLUMNS;
    const char *before = !line->used ? "    " : is_full ? "      " : ", ";
    if (is_full && line->used) pf_print(line->stream, ",\n");
    if (is_full) line->used = 0;
    pf_print(line->stream, "%s%s", before, part);
    line->used += strlen(before) + strlen(part);
}

/* timm's name, where the repository does not say the same. */
static bool says_timm(const PfWeightsEntry *entry)
{
    if (!entry->timm || !entry->hub) return entry->timm != NULL;
    return strncmp(entry->hub, "timm/", 5) || strcmp(entry->hub + 5, entry->timm);
}

static void print_entry(const PfWeightsEntry *entry, FILE *stream)
{
    char part[256];
    Line line = {.stream = stream};
    add_part(&line, entry->name);
    add_part(&line, entry->licence ? entry->licence : "licence not known here");
    if (entry->file) add_part(&line, entry->file);
    if (entry->file && entry->url) {
        snprintf(part, sizeof part, "from %s", entry->url);
        add_part(&line, part);
    }
    if (entry->hub) {
        snprintf(part, sizeof part, "hub %s", entry->hub);
        add_part(&line, part);
    }
    if (says_timm(entry)) {
        snprintf(part, sizeof part, "timm's %s", entry->timm);
        add_part(&line, part);
    }
    pf_print(stream, "\n");
}

typedef struct Listing {
    FILE *stream;
    bool is_short;   /* without weights, below the names of families */
    bool is_folded;  /* the measures below the name */
    char family[32]; /* of the network before */
} Listing;

static void print_name(const Listing *listing, FILE *stream, const char *name)
{
    if (listing->is_folded)
        pf_print(stream, "%s\n", name);
    else
        pf_print(stream, "%-*s ", NAME_WIDTH, name);
}

static void print_network(const PfArch *arch, const Measures *measures, Listing *listing)
{
    char parameters[16], macs[16];
    FILE *stream = listing->stream;
    if (listing->is_short && strcmp(listing->family, arch->family)) {
        pf_print(stream, "%s\n", arch->family);
        snprintf(listing->family, sizeof listing->family, "%s", arch->family);
    }
    print_name(listing, stream, arch->name);
    pf_print(
        stream, listing->is_folded ? "  %s %s %d\n  %s (%lld)\n" : "%10s %10s %5d  %s (%lld)\n",
        large_text(measures->parameters, parameters), large_text(measures->multiply_adds, macs),
        measures->side, arch->default_tap, (long long)pf_shape_count(&measures->tap));
    for (int w = 0; w < arch->weights_count && !listing->is_short; w++)
        print_entry(&arch->weights[w], stream);
}

/* Builds each network, and has it done. */
static int for_each(const char *pattern,
                    int (*visit)(const PfArch *arch, const Measures *measures, void *context,
                                 PfError *err),
                    void *context, size_t *count, PfError *err)
{
    const char **names;
    if (choose(pattern, &names, count, err)) return -1;
    int failed = 0;
    for (size_t i = 0; i < *count && !failed; i++) {
        PfArch *arch = NULL;
        Measures measures;
        failed = pf_arch_new(names[i], &arch, err) || measure(arch, &measures, err) ||
                 visit(arch, &measures, context, err);
        pf_arch_free(&arch);
    }
    free(names);
    return failed ? -1 : 0;
}

static int print_visited(const PfArch *arch, const Measures *measures, void *context, PfError *err)
{
    (void)err;
    print_network(arch, measures, context);
    return 0;
}

int pf_listing_print(const char *pattern, FILE *stream, PfError *err)
{
    char *text = NULL;
    size_t size, count;
    FILE *rows = open_memstream(&text, &size);
    if (!rows) return pf_fail_errno(err, "the list of networks");
    Listing listing = {.stream = rows,
                       .is_short = !pattern,
                       .is_folded = pf_log_columns(fileno(stream)) < NAME_WIDTH + MEASURES_WIDTH};
    int failed = for_each(pattern, print_visited, &listing, &count, err);
    if (fclose(rows) && !failed) failed = pf_fail_errno(err, "the list of networks");
    if (!failed) {
        print_name(&listing, stream, "name");
        pf_print(stream, listing.is_folded ? "  %s, %s, %s,\n  %s\n" : "%10s %10s %5s  %s\n",
                 "parameters", "mult-adds", "side", "default tap (numbers)");
        pf_print(stream, "%" PF_SENTENCE, text);
        pf_print(stream, "%zu network%s\n", count, count == 1 ? "" : "s");
        if (!pattern)
            pf_print(stream, listing.is_folded ? "Their weights:\n  extract --backbones PATTERN\n"
                                               : "Their weights: extract --backbones PATTERN\n");
    }
    free(text);
    return failed ? -1 : 0;
}

/* ---- for programs ---- */

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text)
        cJSON_AddStringToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_entry(cJSON *list, const PfWeightsEntry *entry)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToArray(list, object);
    add_text(object, "name", entry->name);
    add_text(object, "file", entry->file);
    add_text(object, "url", entry->url);
    add_text(object, "timm", entry->timm);
    add_text(object, "hub", entry->hub);
    add_text(object, "licence", entry->licence);
    cJSON_AddItemToObject(object, "preprocess", pf_preprocess_json_new(&entry->preprocess));
}

static int add_network(const PfArch *arch, const Measures *measures, void *context, PfError *err)
{
    char sides[40] = "any";
    cJSON *object = cJSON_CreateObject();
    (void)err;
    cJSON_AddItemToArray(context, object);
    if (arch->patch) snprintf(sides, sizeof sides, "multiples of %d", arch->patch);
    cJSON_AddStringToObject(object, "name", arch->name);
    cJSON_AddStringToObject(object, "family", arch->family);
    cJSON_AddNumberToObject(object, "parameters", (double)measures->parameters);
    cJSON_AddNumberToObject(object, "multiply_adds", (double)measures->multiply_adds);
    cJSON_AddNumberToObject(object, "side", measures->side);
    cJSON_AddStringToObject(object, "sides", sides);
    cJSON_AddStringToObject(object, "tap", arch->default_tap);
    cJSON *shape = cJSON_AddArrayToObject(object, "tap_shape");
    for (int i = 0; i < measures->tap.rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)measures->tap.dims[i]));
    cJSON_AddNumberToObject(object, "numbers", (double)pf_shape_count(&measures->tap));
    cJSON_AddItemToObject(object, "preprocess", pf_preprocess_json_new(&arch->preprocess));
    cJSON *weights = cJSON_AddArrayToObject(object, "weights");
    for (int w = 0; w < arch->weights_count; w++) add_entry(weights, &arch->weights[w]);
    return 0;
}

static int write_text(const char *path, const char *text, PfError *err)
{
    const PfOutput output = {.option = "--json", .path = path, .content = PF_CONTENT_JSON};
    if (!strcmp(path, "-")) return pf_process_write_output(text, err);
    if (pf_output_check_all(&output, 1, NULL, NULL, 0, err)) return -1;
    return pf_atomic_file_write(path, text, strlen(text), err);
}

int pf_listing_write_json(const char *pattern, const char *path, PfError *err)
{
    size_t count;
    pf_json_begin();
    cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(json, "backbones");
    int failed = for_each(pattern, add_network, list, &count, err);
    char *whole = pf_json_finish(json, "list", failed ? NULL : err);
    char *text = !failed && whole ? pf_asprintf(err, "%s\n", whole) : NULL;
    failed = !text || write_text(path, text, err);
    free(text);
    free(whole);
    return failed ? -1 : 0;
}
