#include "common/arch/spelling.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/arch/family.h"
#include "common/base/options.h"
#include "common/base/printable.h"

#define NAME_SIZE 96 /* longer ones are of nothing that is known here */

/* Spellings of others that mean one network of ours, and one set of its weights where their authors
 * published the same numbers. */
static const struct {
    const char *theirs, *network, *set; /* set NULL: none is named */
} others[] = {
    {"facebook/dinov2-small", "dinov2_vits14", "LVD142M"},
    {"facebook/dinov2-base", "dinov2_vitb14", "LVD142M"},
    {"facebook/dinov2-large", "dinov2_vitl14", "LVD142M"},
    {"facebook/dinov2-giant", "dinov2_vitg14", "LVD142M"},
    {"facebook/dinov2-with-registers-small", "dinov2_vits14_reg", "LVD142M"},
    {"facebook/dinov2-with-registers-base", "dinov2_vitb14_reg", "LVD142M"},
    {"facebook/dinov2-with-registers-large", "dinov2_vitl14_reg", "LVD142M"},
    {"facebook/dinov2-with-registers-giant", "dinov2_vitg14_reg", "LVD142M"},
    {"openai/clip-vit-base-patch32", "clip_vit_b_32", "OPENAI"},
    {"openai/clip-vit-base-patch16", "clip_vit_b_16", "OPENAI"},
    {"openai/clip-vit-large-patch14", "clip_vit_l_14", "OPENAI"},
    {"vit_small_patch16_224", "vit_s_16", NULL},
};

/* ---- what there is ---- */

static const PfArchVariant *find_variant_without_case(const char *name)
{
    const PfArchVariant *variant;
    for (size_t i = 0; (variant = pf_arch_variant(i)) != NULL; i++)
        if (!strcasecmp(variant->name, name)) return variant;
    return NULL;
}

static bool begins_with(const char *text, const char *beginning)
{
    return !strncmp(text, beginning, strlen(beginning));
}

/* The length of what stands before a timm name's tag: "resnet50" of "resnet50.tv_in1k". */
static size_t base_length(const char *timm)
{
    return strcspn(timm, ".");
}

static bool has_base(const PfWeightsEntry *entry, const char *base, size_t length)
{
    return entry->timm && base_length(entry->timm) == length && !strncmp(entry->timm, base, length);
}

static const PfWeightsEntry *find_set(const PfArchVariant *variant, const char *name)
{
    for (int w = 0; w < variant->weights_count; w++)
        if (!strcasecmp(variant->weights[w].name, name)) return &variant->weights[w];
    return NULL;
}

/* torchvision's DEFAULT: the newest that was trained for ImageNet's classes alone, else the whole
 * network of SWAG; NULL where there is neither, and DEFAULT is a set that is not here. */
static const PfWeightsEntry *default_set(const PfArchVariant *variant)
{
    const PfWeightsEntry *newest = NULL;
    for (int w = 0; w < variant->weights_count; w++) {
        const PfWeightsEntry *entry = &variant->weights[w];
        if (begins_with(entry->name, "IMAGENET1K_V") &&
            (!newest || strcmp(entry->name, newest->name) > 0))
            newest = entry;
    }
    return newest ? newest : find_set(variant, "IMAGENET1K_SWAG_E2E_V1");
}

/* ---- what is understood ---- */

static bool take(PfSpelling *out, const PfArchVariant *variant, const PfWeightsEntry *entry)
{
    *out = (PfSpelling){.network = variant->name, .entry = entry, .is_other = true};
    return true;
}

/* timm's name of a set, or the repository that holds it. */
static bool is_timm_set(const char *name, PfSpelling *out)
{
    const PfArchVariant *variant;
    for (size_t i = 0; (variant = pf_arch_variant(i)) != NULL; i++)
        for (int w = 0; w < variant->weights_count; w++) {
            const PfWeightsEntry *entry = &variant->weights[w];
            if ((entry->timm && !strcmp(entry->timm, name)) ||
                (entry->hub && !strcmp(entry->hub, name)))
                return take(out, variant, entry);
        }
    return false;
}

/* timm's name of a network: with the network's usual weights, where they are of that name, else
 * with the first that are. */
static bool is_timm_network(const char *name, PfSpelling *out)
{
    const PfArchVariant *variant;
    const size_t length = strlen(name);
    for (size_t i = 0; (variant = pf_arch_variant(i)) != NULL; i++)
        for (int w = 0; w < variant->weights_count; w++)
            if (has_base(&variant->weights[w], name, length))
                return take(out, variant, w ? &variant->weights[w] : NULL);
    return false;
}

/* The set as the repository of row i has it. */
static const PfWeightsEntry *with_repository(const PfWeightsEntry *entry, size_t i)
{
    static PfWeightsEntry copies[sizeof others / sizeof *others]; /* the same whoever is first */
    copies[i] = *entry;
    copies[i].hub = others[i].theirs;
    return &copies[i];
}

static bool is_of_others(const char *name, PfSpelling *out)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const PfArchVariant *variant = pf_arch_find_variant(others[i].network);
        if (strcmp(name, others[i].theirs) || !variant) continue;
        const PfWeightsEntry *entry = others[i].set ? find_set(variant, others[i].set) : NULL;
        if (entry && strchr(name, '/')) entry = with_repository(entry, i);
        if (!others[i].set || entry) return take(out, variant, entry);
    }
    return false;
}

/* "torchvision.models.ResNet50_Weights" is ResNet50. */
static const char *without_torchvision(const char *name)
{
    static const char *const beginnings[] = {"torchvision.models.", "torchvision/", "models."};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (begins_with(name, beginnings[i])) return name + strlen(beginnings[i]);
    return name;
}

/* The network that stands before the dot of NETWORK.SET, or of NETWORK_Weights.SET; NULL for
 * another. */
static const PfArchVariant *network_before_dot(const char *name, bool *is_enum)
{
    static const char ending[] = "_Weights";
    char network[NAME_SIZE];
    size_t length = base_length(name);
    *is_enum =
        length > strlen(ending) && !strncmp(name + length - strlen(ending), ending, strlen(ending));
    if (*is_enum) length -= strlen(ending);
    if (length >= sizeof network) return NULL;
    memcpy(network, name, length);
    network[length] = '\0';
    const PfArchVariant *variant = find_variant_without_case(network);
    PfSpelling timm;
    if (!variant && is_timm_network(network, &timm)) variant = pf_arch_find_variant(timm.network);
    return variant;
}

/* Which names its sets have: "resnet50.IMAGENET1K_V1 (timm's resnet50.tv_in1k), ...". */
static void list_sets(const PfArchVariant *variant, char *text, size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (int w = 0; w < variant->weights_count && used < size; w++) {
        const PfWeightsEntry *entry = &variant->weights[w];
        used += (size_t)snprintf(text + used, size - used, "%s%s.%s", w ? ", " : "", variant->name,
                                 entry->name);
        if (entry->timm && used < size)
            used += (size_t)snprintf(text + used, size - used, " (timm's %s)", entry->timm);
    }
}

static int fail_set(const char *set, const PfArchVariant *variant, PfError *err)
{
    char sets[400];
    list_sets(variant, sets, sizeof sets);
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s has no weights '%s' here; it has %s. Hint: a file of others, in the same "
                   "layout, is given with --backbone %s --weights FILE",
                   variant->name, set, *sets ? sets : "none that are published", variant->name);
}

/* 1: understood, 0: not of this kind, -1: a set that the network does not have. */
static int read_set(const char *name, PfSpelling *out, PfError *err)
{
    const char *dot = strchr(name, '.');
    bool is_enum;
    const PfArchVariant *variant = network_before_dot(name, &is_enum);
    if (!variant) return 0;
    if (!dot) return is_enum ? take(out, variant, NULL) : 0;
    const PfWeightsEntry *entry =
        is_enum && !strcmp(dot + 1, "DEFAULT") ? default_set(variant) : find_set(variant, dot + 1);
    if (entry) return take(out, variant, entry);
    return fail_set(dot + 1, variant, err);
}

bool pf_spelling_is_of_hub(const char *spelling)
{
    const char *slash = strchr(spelling, '/');
    if (begins_with(spelling, "hf:")) return true;
    return slash && slash > spelling && slash[1] && !strchr(slash + 1, '/') && *spelling != '.' &&
           *spelling != '~';
}

int pf_spelling_read(const char *spelling, PfSpelling *out, PfError *err)
{
    const PfArchVariant *variant = pf_arch_find_variant(spelling);
    const char *name = begins_with(spelling, "hf:") ? spelling + 3 : spelling;
    if (variant) {
        *out = (PfSpelling){.network = variant->name};
        return 0;
    }
    if (is_timm_set(name, out) || is_of_others(name, out)) return 0;
    if (begins_with(name, "timm/")) name += strlen("timm/");
    name = without_torchvision(name);
    if (is_timm_set(name, out) || is_of_others(name, out) || is_timm_network(name, out)) return 0;
    const int found = read_set(name, out, err);
    if (found) return found > 0 ? 0 : -1;
    variant = find_variant_without_case(name);
    if (variant) {
        take(out, variant, NULL);
        return 0;
    }
    return pf_spelling_fail_unknown(spelling, err);
}

/* ---- what was most likely meant ---- */

#define MAX_WORDS 16
#define MAX_SHOWN 3
#define MAX_NETWORKS 512

/* A name in its parts, each as short as it goes: "vit-base-patch16-224" is vit, b, 16, 224. */
typedef struct Words {
    char word[MAX_WORDS][NAME_SIZE];
    int count;
} Words;

static const struct {
    const char *longer, *shorter; /* shorter "": says nothing of the network */
} short_words[] = {
    {"tiny", "t"},       {"small", "s"},       {"base", "b"},  {"large", "l"},    {"huge", "h"},
    {"giant", "g"},      {"patch", ""},        {"window", ""}, {"timm", ""},      {"hf", ""},
    {"google", ""},      {"facebook", ""},     {"openai", ""}, {"microsoft", ""}, {"laion", ""},
    {"torchvision", ""}, {"registers", "reg"}, {"with", ""},   {"weights", ""},   {"models", ""},
    {"net", ""},         {"tf", ""},           {"in", ""},
};

static void add_word(Words *words, const char *text, size_t length)
{
    if (words->count == MAX_WORDS || length >= NAME_SIZE) return;
    char *word = words->word[words->count];
    for (size_t i = 0; i < length; i++) word[i] = (char)tolower((unsigned char)text[i]);
    word[length] = '\0';
    for (size_t i = 0; i < sizeof short_words / sizeof *short_words; i++)
        if (!strcmp(word, short_words[i].longer))
            snprintf(word, NAME_SIZE, "%s", short_words[i].shorter);
    if (*word) words->count++;
}

/* Letters and numbers apart; of vits, vitb and their like the size, too. */
static void split_words(const char *name, Words *words)
{
    words->count = 0;
    while (*name) {
        size_t length = 0;
        if (!isalnum((unsigned char)*name)) {
            name++;
            continue;
        }
        const bool is_number = isdigit((unsigned char)*name);
        while (isalnum((unsigned char)name[length]) &&
               !!isdigit((unsigned char)name[length]) == is_number)
            length++;
        const bool is_sized = length == 4 && !strncasecmp(name, "vit", 3);
        add_word(words, name, is_sized ? 3 : length);
        if (is_sized) add_word(words, name + 3, 1);
        name += length;
    }
}

/* How many words of a are among b's, each of which counts once. */
static int shared_words(const Words *a, const Words *b)
{
    bool used[MAX_WORDS] = {false};
    int shared = 0;
    for (int i = 0; i < a->count; i++)
        for (int k = 0; k < b->count; k++)
            if (!used[k] && !strcmp(a->word[i], b->word[k])) {
                used[k] = true;
                shared++;
                break;
            }
    return shared;
}

/* Letters and digits alone, in small letters. */
static void squeeze(const char *name, char out[NAME_SIZE])
{
    size_t length = 0;
    for (; *name && length < NAME_SIZE - 1; name++)
        if (isalnum((unsigned char)*name)) out[length++] = (char)tolower((unsigned char)*name);
    out[length] = '\0';
}

typedef struct Nearest {
    const char *names[MAX_SHOWN];
    int count;
    int score;
} Nearest;

static void offer(Nearest *nearest, const char *name, int score)
{
    if (score < nearest->score || score <= 0) return;
    if (score > nearest->score) nearest->count = 0;
    nearest->score = score;
    if (nearest->count < MAX_SHOWN) nearest->names[nearest->count++] = name;
}

/* The same letters and digits, alone or behind a family's name: ViT-B/32 is vit_b_32, and
 * clip_vit_b_32. Else those that begin so: mobilenetv3 is mobilenet_v3_large. */
static bool find_equal(const char *name, Nearest *nearest)
{
    const PfArchVariant *variant;
    char wanted[NAME_SIZE], found[NAME_SIZE];
    squeeze(name, wanted);
    const size_t length = strlen(wanted);
    for (size_t i = 0; length > 3 && (variant = pf_arch_variant(i)) != NULL; i++) {
        squeeze(variant->name, found);
        const size_t whole = strlen(found);
        const bool is_end = whole > length && !strcmp(found + whole - length, wanted);
        if (!strcmp(found, wanted) || (is_end && variant->name[whole - length] == '_'))
            offer(nearest, variant->name, 2);
        else if (!strncmp(found, wanted, length))
            offer(nearest, variant->name, 1);
    }
    return nearest->count > 0;
}

/* Those that share most words with it and have fewest others. least: of its own words. */
static bool find_by_words(const char *name, bool all, Nearest *nearest)
{
    const PfArchVariant *variant;
    Words wanted, found;
    split_words(name, &wanted);
    for (size_t i = 0; (variant = pf_arch_variant(i)) != NULL; i++) {
        split_words(variant->name, &found);
        const int shared = shared_words(&found, &wanted);
        if (all ? shared < wanted.count : shared < 2) continue;
        offer(nearest, variant->name, 100 * shared - found.count);
    }
    return nearest->count > 0;
}

static bool find_by_letters(const char *name, Nearest *nearest)
{
    static const char *names[MAX_NETWORKS]; /* the same values whoever writes them first */
    const PfArchVariant *variant;
    char lower[NAME_SIZE];
    size_t count = 0;
    for (; count < MAX_NETWORKS && (variant = pf_arch_variant(count)) != NULL; count++)
        names[count] = variant->name;
    snprintf(lower, sizeof lower, "%s", name);
    for (char *c = lower; *c; c++)
        *c = (char)(isalnum((unsigned char)*c) ? tolower((unsigned char)*c) : '_');
    const char *near = pf_options_nearest_word(lower, names, count);
    if (near) offer(nearest, near, 1);
    return near != NULL;
}

/* The first words are the same. */
static bool find_family(const char *name, Nearest *nearest)
{
    enum { LEAST = 3 };
    const PfArchVariant *variant;
    for (size_t i = 0; (variant = pf_arch_variant(i)) != NULL; i++) {
        int shared = 0;
        while (name[shared] && tolower((unsigned char)name[shared]) == variant->name[shared])
            shared++;
        if (shared >= LEAST) offer(nearest, variant->name, shared);
    }
    return nearest->count > 0;
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash && slash[1] ? slash + 1 : name;
}

static void find_nearest(const char *spelling, Nearest *nearest)
{
    const char *name = begins_with(spelling, "hf:") ? spelling + 3 : spelling;
    const char *last = last_part(name);
    *nearest = (Nearest){.count = 0};
    if (find_equal(name, nearest) || find_equal(last, nearest)) return;
    if (find_by_words(name, true, nearest) || find_by_words(last, true, nearest)) return;
    if (!strchr(name, '/') && find_by_letters(name, nearest)) return;
    if (find_by_words(name, false, nearest) || find_by_letters(last, nearest)) return;
    find_family(last, nearest);
}

static void list_nearest(const Nearest *nearest, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s", nearest->count ? " Did you mean " : "");
    for (int i = 0; i < nearest->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 !i                       ? ""
                                 : i + 1 < nearest->count ? ", "
                                                          : " or ",
                                 nearest->names[i]);
    if (nearest->count && used < size) snprintf(text + used, size - used, "?");
}

int pf_spelling_fail_unknown(const char *spelling, PfError *err)
{
    Nearest nearest;
    char meant[160];
    find_nearest(spelling, &nearest);
    list_nearest(&nearest, meant, sizeof meant);
    return pf_fail(err, PF_EXIT_USAGE,
                   "unknown backbone '%s'.%s 'extract --backbones' lists those that are built in; "
                   "others are read from a file of TorchScript (*.pt) or ONNX (*.onnx).",
                   spelling, meant);
}
