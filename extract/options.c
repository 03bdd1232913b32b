#include "extract/options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/result_stamp.h"
#include "common/file/input_file.h"
#include "common/file/output.h"
#include "common/file/text_encoding.h"
#include "common/thread/processors.h"
#include "extract/backbone/device_list.h"
#include "extract/completion.h"
#include "extract/dataset/sample_reader.h"
#include "extract/image/image.h"
#include "extract/shard/scheduler.h"

#define MAX_OPERANDS 4096
#define MAX_SHARDS 1000000000

static int parse_precision(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"fp32", "bf16", "fp16", "tf32"};
    int index = 0;
    if (pf_options_parse_choice("--precision", value, names, PF_PRECISIONS, &index, err)) return -1;
    ((PfExtractOptions *)settings)->backbone.precision = (PfPrecision)index;
    return 0;
}

static int parse_store(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"f32", "f16"};
    int index = 0;
    if (pf_options_parse_choice("--store", value, names, 2, &index, err)) return -1;
    ((PfExtractOptions *)settings)->backbone.store = index ? PF_DTYPE_F16 : PF_DTYPE_F32;
    return 0;
}

static int parse_device(void *settings, const char *value, PfError *err)
{
    if (pf_device_list_check(value, err)) return -1;
    ((PfExtractOptions *)settings)->backbone.device = value;
    return 0;
}

static int parse_interpolation(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"bilinear", "bicubic"};
    return pf_options_parse_choice("--interpolation", value, names, 2,
                                   &((PfExtractOptions *)settings)->backbone.interpolation, err);
}

/* Sets of numbers for pixels of 0..255 are divided by 255 to be those of 0..1. */
static int fail_range(const char *option, const char *value, const double numbers[3], PfError *err)
{
    char hint[160] = "";
    bool fits = numbers[0] > 1 || numbers[1] > 1 || numbers[2] > 1;
    for (int i = 0; i < 3; i++) fits &= numbers[i] >= 0 && numbers[i] <= 255;
    if (fits && numbers[0] == numbers[1] && numbers[1] == numbers[2])
        snprintf(hint, sizeof hint, ". Did you mean %.4g: divided by 255?", numbers[0] / 255);
    else if (fits)
        snprintf(hint, sizeof hint, ". Did you mean %.4g,%.4g,%.4g: divided by 255?",
                 numbers[0] / 255, numbers[1] / 255, numbers[2] / 255);
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s: pixels are scaled to 0..1 first, so expected numbers from 0 to 1, found "
                   "'%s'%s",
                   option, value, hint);
}

static int parse_exif(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"ignore", "apply", "auto"};
    int *exif = &((PfExtractOptions *)settings)->backbone.exif;
    if (pf_options_parse_choice("--exif", value, names, 3, exif, err)) return -1;
    if (*exif == 2) *exif = -1;
    return 0;
}

static int parse_resize_order(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"pillow12", "pillow13"};
    return pf_options_parse_choice("--resize-order", value, names, PF_RESIZE_ORDERS,
                                   &((PfExtractOptions *)settings)->backbone.resize_order, err);
}

/* "R,G,B", or one number for all three. */
static int parse_triple(const char *option, const char *value, double minimum, float out[3],
                        PfError *err)
{
    char **items;
    int count, failed = 0;
    if (pf_options_split_list(value, &items, &count, err)) return -1;
    if (count != 3 && count != 1)
        failed = pf_fail(err, PF_EXIT_USAGE, "%s: expected R,G,B or one number, found '%s'", option,
                         value);
    double numbers[3] = {0};
    bool is_outside = false;
    for (int i = 0; i < 3 && !failed; i++) {
        failed =
            pf_options_parse_double(option, items[count == 1 ? 0 : i], -1e6, 1e6, &numbers[i], err);
        is_outside |= numbers[i] < minimum || numbers[i] > 1;
        out[i] = (float)numbers[i];
    }
    if (!failed && is_outside) failed = fail_range(option, value, numbers, err);
    pf_options_free_list(&items, &count);
    return failed;
}

static int parse_mean(void *settings, const char *value, PfError *err)
{
    PfBackboneOptions *backbone = &((PfExtractOptions *)settings)->backbone;
    backbone->has_mean = true;
    return parse_triple("--mean", value, 0, backbone->mean, err);
}

static int parse_std(void *settings, const char *value, PfError *err)
{
    PfBackboneOptions *backbone = &((PfExtractOptions *)settings)->backbone;
    backbone->has_std = true;
    return parse_triple("--std", value, 1e-6, backbone->std, err);
}

static int parse_background(void *settings, const char *value, PfError *err)
{
    PfBackboneOptions *backbone = &((PfExtractOptions *)settings)->backbone;
    char **items;
    int count, failed = 0;
    if (pf_options_split_list(value, &items, &count, err)) return -1;
    if (count != 3 && count != 1)
        failed = pf_fail(err, PF_EXIT_USAGE,
                         "--background: expected R,G,B or one number, found '%s'", value);
    for (int i = 0; i < 3 && !failed; i++) {
        long long level = 0;
        failed =
            pf_options_parse_long("--background", items[count == 1 ? 0 : i], 0, 255, &level, err);
        backbone->background[i] = (uint8_t)level;
    }
    backbone->has_background = true;
    pf_options_free_list(&items, &count);
    return failed;
}

static int parse_split_entry(PfExtractOptions *options, const char *entry, PfError *err)
{
    PfSplit split = !strncmp(entry, "val=", 4)    ? PF_SPLIT_VAL
                    : !strncmp(entry, "test=", 5) ? PF_SPLIT_TEST
                                                  : PF_SPLIT_TRAIN;
    double *fraction =
        split == PF_SPLIT_VAL ? &options->dataset.val_fraction : &options->dataset.test_fraction;
    if (split == PF_SPLIT_TRAIN)
        return pf_fail(err, PF_EXIT_USAGE, "--split: expected val=F or test=F, found '%s'", entry);
    if (options->splits_given[split])
        return pf_fail(err, PF_EXIT_USAGE, "--split: %.*s is given twice, the second time as '%s'",
                       (int)strcspn(entry, "="), entry, entry);
    options->splits_given[split] = true;
    return pf_options_parse_double("--split", strchr(entry, '=') + 1, 0, 1, fraction, err);
}

static int parse_split(void *settings, const char *value, PfError *err)
{
    PfExtractOptions *options = settings;
    char **items;
    int count, failed = 0;
    if (pf_options_split_list(value, &items, &count, err)) return -1;
    for (int i = 0; i < count && !failed; i++) failed = parse_split_entry(options, items[i], err);
    pf_options_free_list(&items, &count);
    if (!failed && options->dataset.val_fraction + options->dataset.test_fraction >= 1)
        failed = pf_fail(err, PF_EXIT_USAGE,
                         "--split: val and test leave nothing to train on: '%s'", value);
    return failed;
}

static int parse_compress(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"none", "gzip", "zstd"};
    static const int highest[] = {0, 9, 19};
    PfExtractOptions *options = settings;
    char name[16];
    int index = 0;
    long long level = 0;
    size_t length = strcspn(value, ":");
    snprintf(name, sizeof name, "%.*s", (int)(length < 15 ? length : 15), value);
    if (pf_options_parse_choice("--compress", name, names, 3, &index, err)) return -1;
    if (value[length] && pf_options_parse_long("--compress: level", value + length + 1, 1,
                                               highest[index], &level, err))
        return -1;
    options->has_compression = true;
    options->compression = (PfCompression)index;
    options->level = (int)level;
    return 0;
}

static int parse_max_bad(void *settings, const char *value, PfError *err)
{
    PfBadLimit *limit = &((PfExtractOptions *)settings)->max_bad;
    size_t length = strlen(value);
    *limit = (PfBadLimit){0};
    if (length && value[length - 1] == '%') {
        limit->is_percent = true;
        if (!pf_options_read_double(value, length - 1, &limit->value) && limit->value >= 0 &&
            limit->value <= 100)
            return 0;
        return pf_fail(err, PF_EXIT_USAGE,
                       "--max-bad: expected a number from 0%% to 100%%, found '%s'", value);
    }
    long long count = 0;
    if (pf_options_parse_long("--max-bad", value, 0, 1LL << 40, &count, err)) return -1;
    limit->value = (double)count;
    return 0;
}

static int parse_shard(void *settings, const char *value, PfError *err)
{
    char text[32];
    long long number, count;
    snprintf(text, sizeof text, "%s", value);
    char *slash = strchr(text, '/');
    if (slash) *slash = '\0';
    PfExtractOptions *options = settings;
    if (options->shard_text && strcmp(options->shard_text, value))
        return pf_fail(err, PF_EXIT_USAGE, "--shard is given twice, with '%s' and '%s'",
                       options->shard_text, value);
    options->shard_text = value;
    options->shard_source = PF_SHARD_TYPED;
    if (slash && (!strcmp(text, "auto") || !strcmp(text, "any")) &&
        !pf_options_parse_long("N", slash + 1, 1, MAX_SHARDS, &count, NULL)) {
        options->shard_source = text[1] == 'u' ? PF_SHARD_AUTO : PF_SHARD_ANY;
        options->dataset.shard = (PfShard){0, count};
        return 0;
    }
    if (!slash || pf_options_parse_long("K", text, 1, MAX_SHARDS, &number, NULL) ||
        pf_options_parse_long("N", slash + 1, number, MAX_SHARDS, &count, NULL))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--shard: expected K/N with K from 1 to N, found '%s'; or auto/N, any/N",
                       value);
    options->dataset.shard = (PfShard){number, count};
    return 0;
}

#define FIELD(name) offsetof(PfExtractOptions, name)

static int parse_target(void *settings, const char *value, PfError *err)
{
    PfExtractOptions *options = settings;
    if (options->dataset.target_count == PF_TARGETS_MAX)
        return pf_fail(err, PF_EXIT_USAGE, "--target: more than %d of them", PF_TARGETS_MAX);
    options->targets[options->dataset.target_count++] = value;
    return 0;
}

/* "--tap A --tap B" is "--tap A,B". */
static int parse_tap(void *settings, const char *value, PfError *err)
{
    PfExtractOptions *options = settings;
    const char *before = options->taps;
    char *taps = pf_asprintf(err, "%s%s%s", before ? before : "", before ? "," : "", value);
    if (!taps) return -1;
    free(options->taps);
    options->taps = taps;
    options->backbone.taps = taps;
    return 0;
}

static int parse_decimal(void *settings, const char *value, PfError *err)
{
    static const char *const names[] = {"point", "comma", ".", ","};
    int index = 0;
    if (pf_options_parse_choice("--decimal", value, names, 4, &index, err)) return -1;
    ((PfExtractOptions *)settings)->dataset.table.decimal = index & 1 ? "," : ".";
    return 0;
}

static int parse_separator(void *settings, const char *value, PfError *err)
{
    static const struct {
        const char *name, *characters;
    } names[] = {{"comma", ","}, {"semicolon", ";"}, {"bar", "|"}, {"space", " \t"},
                 {"tab", "\t"},  {"slash", "/"},     {" ", " \t"}};
    PfTableOptions *options = &((PfExtractOptions *)settings)->dataset.table;
    options->separator = value;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(value, names[i].name)) options->separator = names[i].characters;
    if (options->separator != value || (value[0] && !value[1])) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--separator: expected one character, or comma, semicolon, bar, space, tab or "
                   "slash, found '%s'",
                   value);
}

static int parse_encoding(void *settings, const char *value, PfError *err)
{
    ((PfExtractOptions *)settings)->dataset.table.encoding = value;
    return pf_text_encoding_check(value, err);
}

/* clang-format off */
static const PfOption table[] = {
    {.name = "Output:", .kind = PF_OPTION_GROUP},
    {.name = "output", .effect = PF_OPTION_ON_RUN, .letter = 'o', .kind = PF_OPTION_TEXT, .offset = FIELD(output),
     .argument = "CACHE.h5", .help = "the cache to write"},
    {.name = "store", .kind = PF_OPTION_CALL, .parse = parse_store, .argument = "f16|f32",
     .help = "stored type of the features (default f16)"},
    {.name = "compress", .kind = PF_OPTION_CALL, .parse = parse_compress,
     .argument = "zstd[:L]|gzip[:L]|none", .help = "compression of the chunks (default zstd:1); without L, chunks\n"
             "of any level are kept"},
    {.name = "json", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, .offset = FIELD(json), .argument = "FILE|-",
     .help = "what was done, how fast and what held it back, for programs; - is stdout"},
    {.name = "contact-sheet", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, .offset = FIELD(contact_sheet),
     .argument = "FILE.html",
     .help = "a page of images as the network sees them, and of the rejected ones"},
    {.name = "augmented", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(augmented),
     .help = "--contact-sheet: the views of some (those of --views, else of --views 8)"},
    {.name = "force", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(force),
     .help = "compute again, whatever is at CACHE.h5 and in its journal"},
    {.name = "dry-run", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(dry_run),
     .help = "say what would be done; write nothing but what --fetch or an address brings"},
    {.name = "Network:", .kind = PF_OPTION_GROUP},
    {.name = "backbone", .repeat = PF_OPTION_LAST_WINS, .kind = PF_OPTION_TEXT, .offset = FIELD(backbone.backbone),
     .argument = "NAME|FILE.pt|FILE.onnx|hf:ORG/NAME",
     .help = "resnet18, densenet121, efficientnet_b0, convnext_tiny, vit_b_16, dinov2_vits14\n"
             "and others (--backbones), by torchvision's or timm's name, also with a set of\n"
             "weights (resnet50.IMAGENET1K_V2, vit_small_patch14_dinov2.lvd142m); a repository\n"
             "of the Hugging Face hub; or a TorchScript or ONNX file (default resnet18)"},
    {.name = "weights", .repeat = PF_OPTION_LAST_WINS, .kind = PF_OPTION_TEXT, .offset = FIELD(backbone.weights),
     .argument = "FILE[#KEY]|hf:ORG/NAME|random:SEED",
     .help = "a .pth or .safetensors file (default: look in the hubs' caches); #KEY: the\n"
             "dict or the prefix of names in it that is meant; --tap input alone needs none"},
    {.name = "fetch", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(fetch),
     .help = "download weights that are missing, into the caches of torch.hub and of the\n"
             "Hugging Face hub; without it no weights are ever fetched"},
    {.name = "tap", .kind = PF_OPTION_CALL, .parse = parse_tap,
     .argument = "NAME[,NAME...]",
     .help = "nodes or modules whose output is kept: avgpool, layer3, features.10\n"
             "(default: what a linear head takes, mostly avgpool or cls; of a file all\n"
             "outputs); input: the pixels; may be repeated"},
    {.name = "precision", .kind = PF_OPTION_CALL, .parse = parse_precision,
     .argument = "fp32|bf16|fp16|tf32",
     .help = "of the computation (default fp32); fp16 and tf32 are for GPUs"},
    {.name = "emulate", .kind = PF_OPTION_FLAG, .offset = FIELD(backbone.emulate),
     .help = "with --precision bf16: its numbers on a processor that does not have it"},
    {.name = "device", .kind = PF_OPTION_CALL, .parse = parse_device,
     .argument = "auto|cpu|cuda[:I][,cuda:J...]",
     .help = "default auto: a GPU where there is one; several work side by side"},
    {.name = "Pixels (defaults belong to the weights):", .kind = PF_OPTION_GROUP},
    {.name = "image-size", .kind = PF_OPTION_INT, .offset = FIELD(backbone.image_size),
     .argument = "N", .minimum = 1, .maximum = PF_SIDE_MAX,
     .help = "crop N x N, and resize in proportion: where the weights have 256 and 224,\n"
             "--image-size 336 has 384 and 336; instead of --resize and --crop"},
    {.name = "resize", .kind = PF_OPTION_INT, .offset = FIELD(backbone.resize), .argument = "N",
     .minimum = 0, .maximum = PF_SIDE_MAX, .help = "shorter side becomes N pixels; 0: as it is"},
    {.name = "crop", .kind = PF_OPTION_INT, .offset = FIELD(backbone.crop), .argument = "N",
     .minimum = 1, .maximum = PF_SIDE_MAX,
     .help = "centre crop N x N; alone, it lifts --resize to at least N"},
    {.name = "squash", .kind = PF_OPTION_FLAG, .offset = FIELD(backbone.squash),
     .help = "resize straight to crop x crop instead, aspect ratio given up"},
    {.name = "interpolation", .kind = PF_OPTION_CALL, .parse = parse_interpolation,
     .argument = "bilinear|bicubic", .help = "antialiased, equal to Pillow's"},
    {.name = "exif", .kind = PF_OPTION_CALL, .parse = parse_exif,
     .argument = "auto|apply|ignore",
     .help = "turn images as their EXIF orientation says, as viewers do; auto (the default):\n"
             "apply, but a cache that is there goes on as it began"},
    {.name = "resize-order", .kind = PF_OPTION_CALL, .parse = parse_resize_order,
     .argument = "pillow12|pillow13",
     .help = "which Pillow resizing is equal to: up to 12.3, or 13 (the default, but a cache\n"
             "that is there goes on as it began)"},
    {.name = "fast-decode", .kind = PF_OPTION_FLAG, .offset = FIELD(backbone.fast_decode),
     .help = "decode large JPEGs at 1/2, 1/4 or 1/8 of their size; says how far features move"},
    {.name = "keep-truncated", .kind = PF_OPTION_FLAG, .offset = FIELD(backbone.keep_truncated),
     .help = "JPEGs, GIFs and others that end early are taken with what there is, as by\n"
             "Pillow's LOAD_TRUNCATED_IMAGES, and counted (default: they are rejected)"},
    {.name = "background", .kind = PF_OPTION_CALL, .parse = parse_background,
     .argument = "R,G,B",
     .help = "lay transparent images over this colour, each number from 0 to 255 (default:\n"
             "their transparency is dropped, as torchvision does)"},
    {.name = "mean", .kind = PF_OPTION_CALL, .parse = parse_mean, .argument = "R,G,B",
     .help = "taken from pixels scaled to 0..1, so each is from 0 to 1"},
    {.name = "std", .kind = PF_OPTION_CALL, .parse = parse_std, .argument = "R,G,B",
     .help = "what they are then divided by"},
    {.name = "views", .kind = PF_OPTION_INT, .offset = FIELD(backbone.views), .argument = "V",
     .minimum = 1, .maximum = PF_VIEWS_MAX,
     .help = "of each image, for train to draw from: the centre, its mirror image, then\n"
             "boxes, mirrored or not, of other colours (default 1: the centre)"},
    {.name = "view-seed", .kind = PF_OPTION_LONG, .offset = FIELD(backbone.view_seed),
     .argument = "N", .minimum = 0, .maximum = 9007199254740991.0,
     .help = "of the boxes and colours (default 0)"},
    {.name = "Dataset:", .kind = PF_OPTION_GROUP},
    {.name = "like", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, .offset = FIELD(like), .argument = "CACHE.h5",
     .help = "the options that this cache was made with; others on the command line come on\n"
             "top. Another dataset needs -o"},
    {.name = "split", .kind = PF_OPTION_CALL, .parse = parse_split,
     .argument = "val=F[,test=F]",
     .help = "shares chosen by hash of the bytes, or of --group: equal images stay together\n"
             "unless they are of two groups, and all keep their side when others come"},
    {.name = "group", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.group_column),
     .argument = "COLUMN",
     .help = "of a manifest: images of one patient, burst or video stay on one side"},
    {.name = "split-folders", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.split_folders),
     .argument = "train=A,val=B,test=C|none",
     .help = "which folders are splits (default: by their names, if they hold class folders)"},
    {.name = "target", .kind = PF_OPTION_CALL, .parse = parse_target,
     .argument = "NAME[:KIND][=COLUMNS]",
     .help = "of a manifest; class, regression, multilabel or keypoints; columns\n"
             "are a,b or first..last; may be repeated, and NAME,NAME are two (default: every other column, by what it holds)"},
    {.name = "path-column", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.path_column),
     .argument = "NAME", .help = "of a manifest: where the paths are (default: it is found)"},
    {.name = "root", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.image_root), .argument = "DIR",
     .help = "of a manifest: what paths are relative to (default: its folder)"},
    {.name = "suffix", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.table.suffix), .argument = ".EXT",
     .help = "of a manifest: added to paths that do not end so"},
    {.name = "split-column", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.table.split_column),
     .argument = "NAME[=VALUE[,VALUE]]",
     .help = "of a manifest: the split; VALUE: val's lines, and test's; none: no column is\n"
             "(default: split, is_valid, set, subset, fold..., by what they hold)"},
    {.name = "no-header", .kind = PF_OPTION_FLAG, .offset = FIELD(dataset.table.no_header),
     .help = "of a manifest: the first line is an image; columns are column1, column2..."},
    {.name = "separator", .kind = PF_OPTION_CALL, .parse = parse_separator, .argument = "CHARACTER",
     .help = "of a manifest: what parts labels in one column; a character, comma, semicolon,\n"
             "bar, space, tab or slash (default: as all fields of the column say)"},
    {.name = "decimal", .kind = PF_OPTION_CALL, .parse = parse_decimal, .argument = "point|comma",
     .help = "of a manifest: what decimals begin with (default: as the column's fields say)"},
    {.name = "encoding", .kind = PF_OPTION_CALL, .parse = parse_encoding, .argument = "NAME",
     .help = "of a manifest: latin1, windows-1252, utf-16... (default UTF-8, or as marked)"},
    {.name = "exclude", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.exclude), .argument = "LIST",
     .help = "without the images of this list: a table with a column path, as inspect --csv\n"
             "writes it, or a path a line"},
    {.name = "sample", .kind = PF_OPTION_LONG, .offset = FIELD(dataset.sample), .argument = "N",
     .minimum = 1, .maximum = INT_MAX,
     .help = "only N images, of each class and split in proportion; a larger N adds to them"},
    {.name = "shard", .kind = PF_OPTION_CALL, .parse = parse_shard, .argument = "K/N",
     .help = "only the K-th of N parts of the dataset; --merge joins them. auto/N: K is what\n"
             "the batch system numbers this process by (Slurm, Kubernetes, PBS, MPI...), and\n"
             "any/N: one after the other of those that nobody is at; both into\n"
             "CACHE.h5.parts/K-of-N.h5"},
    {.name = "shard-base", .kind = PF_OPTION_LONG, .offset = FIELD(shard_base), .argument = "B",
     .minimum = 0, .maximum = INT_MAX,
     .help = "of auto/N: the first index of an array of Slurm or PBS (default 0)"},
    {.name = "max-pixels", .kind = PF_OPTION_LONG, .offset = FIELD(max_pixels), .argument = "N",
     .minimum = 1, .maximum = PF_IMAGE_MOST_PIXELS,
     .help = "take images of up to N pixels, however small their files are (default: 268435456,\n"
             "and at most 160 MiB of memory, or 256 times the file, for one image)"},
    {.name = "max-bytes", .kind = PF_OPTION_LONG, .offset = FIELD(max_bytes), .argument = "N",
     .minimum = 1, .maximum = PF_FILE_BYTES_MOST,
     .help = "read files of up to N bytes (default: 1073741824); larger ones are rejected"},
    {.name = "max-bad", .kind = PF_OPTION_CALL, .parse = parse_max_bad, .argument = "N|P%",
     .help = "give up (exit 3) past so many unusable images (default 5%, at least 5)"},
    {.name = "Running:", .kind = PF_OPTION_GROUP},
    {.name = "batch", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_INT, .offset = FIELD(batch), .argument = "N",
     .minimum = 1, .maximum = 4096, .aliases = "batch-size",
     .help = "images per forward pass, each view counted (default: on the CPU 32, or 16 for\n"
             "each thread if that is more; on a GPU as many as it is fastest with)"},
    {.name = "threads", .effect = PF_OPTION_ON_RUN, .letter = 'j', .kind = PF_OPTION_INT, .offset = FIELD(threads),
     .argument = "N", .minimum = 1, .maximum = PF_THREADS_MAX,
     .help = "of whatever computes: the network, decoding, hashing, compressing (default: as\n"
             "many processors as it may use, by affinity, quota of the control group,\n"
             "OMP_NUM_THREADS and SLURM_CPUS_PER_TASK)"},
    {.name = "workers", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_INT, .offset = FIELD(workers), .argument = "N",
     .minimum = 1, .maximum = 256, .help = "decoding threads (default: as --threads)"},
    {.name = "readers", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_INT, .offset = FIELD(readers), .argument = "N",
     .minimum = 0, .maximum = 1024,
     .help = "files read ahead at once, for disks that answer late (default 16)"},
    {.name = "sync-seconds", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_DOUBLE, .offset = FIELD(sync_seconds),
     .argument = "S", .minimum = 0, .maximum = 86400,
     .help = "work is safe from a crash or power cut after S seconds (default 5)"},
    {.name = "sync-mb", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_INT, .offset = FIELD(sync_mb), .argument = "M",
     .minimum = 1, .maximum = 1 << 20,
     .help = "and after M megabytes, whichever comes first (default 64)"},
    {.name = "quiet", .effect = PF_OPTION_ON_RUN, .letter = 'q', .kind = PF_OPTION_FLAG, .offset = FIELD(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose", .effect = PF_OPTION_ON_RUN, .letter = 'v', .kind = PF_OPTION_FLAG, .offset = FIELD(verbose),
     .help = "more detail"},
    {.name = "Instead of extracting:", .kind = PF_OPTION_GROUP},
    {.name = "summary", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(summary),
     .help = "print the network's layers, shapes, parameters and taps"},
    {.name = "input", .kind = PF_OPTION_INT, .offset = FIELD(summary_input), .argument = "SIZE",
     .minimum = 1, .maximum = 16384, .help = "with --summary: side of the input in pixels"},
    {.name = "classes", .kind = PF_OPTION_INT, .offset = FIELD(summary_classes), .argument = "N",
     .minimum = 1, .maximum = 10000000,
     .help = "with --summary: frozen up to the tap, then a new Linear"},
    {.name = "backbones", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(backbones),
     .help = "list the built-in networks (with PATTERN, a glob or part of a name, those that\n"
             "it fits), their sizes and weights; --json FILE does so for programs"},
    {.name = "info", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(info),
     .help = "say in words what is in a cache; --json FILE does so for programs"},
    {.name = "merge", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(merge),
     .help = "join caches of one identity, shards in their order; a folder stands for the\n"
             "caches in it, - for paths on standard input"},
    {.name = "list", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(list),
     .help = "write what DATASET is now, its paths, classes and splits, into a list, which\n"
             "stands for it from then on; a shard reads its own lines only"},
    {.name = "missing", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(missing),
     .help = "print which shards are not there, for the batch system that made the others"},
    {.name = "virtual", .kind = PF_OPTION_FLAG, .offset = FIELD(is_virtual),
     .help = "with --merge: features stay where they are, and OUT refers to them"},
    {.name = "verify", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, .offset = FIELD(verify),
     .help = "read all of a cache, with DATASET its images too, and say what is wrong"},
    {.name = "recompute-all", .kind = PF_OPTION_FLAG, .offset = FIELD(recompute_all),
     .help = "with --verify DATASET: compute every row again, where else a sample of 32 is"},
    {.name = "signature", .kind = PF_OPTION_TEXT, .offset = FIELD(signature), .argument = "FILE",
     .help = "with --verify: before anything else, that the cache has the SHA-256 in\n"
             "FILE, as sha256sum writes it"},
    {.name = "sources-from", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, .offset = FIELD(sources_from),
     .argument = "DIR",
     .help = "folder where the parts of a virtual cache may lie besides its own;\n"
             "others are refused"},
    {.name = "trust", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, .offset = FIELD(trust), .argument = "FILE.pt",
     .help = "note a TorchScript file as one that may run where a model or a cache names it"},
    {.name = "help", .effect = PF_OPTION_ON_RUN, .letter = 'h', .kind = PF_OPTION_FLAG, .offset = FIELD(help), .help = "this"},
    {.name = "version", .effect = PF_OPTION_ON_RUN, .letter = 'V', .kind = PF_OPTION_FLAG, .offset = FIELD(version), .help = "and leave"},
    {0},
};
/* clang-format on */

static const char usage[] =
    "usage: extract [options] DATASET -o CACHE.h5\n"
    "       extract CACHE.h5, or extract DATASET --like CACHE.h5\n"
    "       extract --summary [--backbone NAME] [--input SIZE] [--classes N] [--tap NODE]\n"
    "       extract --backbones [PATTERN] [--json FILE]\n"
    "       extract --info CACHE.h5 [--json FILE|-]\n"
    "       extract --merge [--virtual] OUT.h5 IN.h5|FOLDER|-...\n"
    "       extract --list DATASET -o LIST\n"
    "       extract --missing CACHE.h5.parts\n"
    "       extract --verify [DATASET] CACHE.h5 [--recompute-all] [--signature FILE]\n"
    "       extract --fetch NAME|hf:ORG/NAME[@REVISION]...\n"
    "       extract --trust FILE.pt\n\n"
    "Pushes every image once through a frozen, pretrained network and keeps what comes\n"
    "out, for train.\n\n"
    "DATASET is a folder of class folders; of train/, val/, test/ of class folders; of\n"
    "images; of CIFAR-10/100, MNIST; a manifest.csv of paths and targets; one of these\n"
    "folders as .tar or .zip, or its shards: a folder of them, 'data-{000..099}.tar'; their\n"
    "address, 'https://HOST/data-{000..099}.tar' or s3://BUCKET/KEY, which are fetched to be\n"
    "read, and removed again; or - for paths, or an archive, on standard input.";

void pf_extract_options_help(void)
{
    puts(usage);
    pf_options_print(table);
}

const PfManual pf_extract_manual = {
    .program = "extract",
    .purpose = "images into a cache of their features",
    .usage = usage,
    .table = table,
    .offer = pf_extract_completion_offer,
};

int64_t pf_extract_options_bad_limit(const PfBadLimit *limit, int64_t total)
{
    if (!limit->is_percent) return (int64_t)limit->value;
    int64_t share = (int64_t)floor((double)total * limit->value / 100);
    return limit->is_default && share < 5 ? 5 : share;
}

/* Says the shard by its number alone. */
static void number_shard(cJSON *words, PfShard shard)
{
    char word[64];
    pf_options_words_drop(words, "shard");
    pf_options_words_drop(words, "shard-base");
    snprintf(word, sizeof word, "--shard=%lld/%lld", (long long)shard.number,
             (long long)shard.count);
    cJSON_AddItemToArray(words, cJSON_CreateString(word));
}

cJSON *pf_extract_options_words(const PfExtractOptions *options)
{
    const PfLikeCommand *expanded = &options->expanded;
    cJSON *words = expanded->argv ? pf_options_words(table, expanded->argc, expanded->argv)
                                  : pf_options_words(table, options->argc, options->argv);
    pf_options_leave_result(table, words);
    if (words && options->dataset.shard.number) number_shard(words, options->dataset.shard);
    return words;
}

static void set_defaults(PfExtractOptions *options, int argc, char **argv)
{
    *options = (PfExtractOptions){
        .backbone = pf_backbone_options_default(),
        .shard_base = PF_SHARD_BASE_OF_SCHEDULER,
        .compression = PF_COMPRESS_ZSTD,
        .readers = PF_SAMPLE_READERS,
        .max_bad = {.value = 5, .is_percent = true, .is_default = true},
        .sync_seconds = 5,
        .sync_mb = 64,
        .argc = argc,
        .argv = argv,
    };
    options->backbone.backbone = "resnet18";
    options->dataset.targets = options->targets;
}

/* "extract CACHE.h5", and --like: the options of that cache, then those of the command line. */
static int take_options_of(const char *cache, const char *dataset, PfExtractOptions *options,
                           const char **operands, int *count, PfError *err)
{
    PfLikeCommand command;
    int argc = options->argc;
    char **argv = options->argv;
    cJSON *words = pf_options_words(table, argc, argv);
    int failed = !words ? pf_fail(err, PF_EXIT_FAILED, "out of memory")
                        : pf_like_command(table, cache, dataset, argc, argv, words, &command, err);
    cJSON_Delete(words);
    if (failed) return -1;
    pf_extract_options_free(options);
    set_defaults(options, argc, argv);
    options->expanded = command;
    if (command.argc > MAX_OPERANDS)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' names more options than a command line has: %d words, expected %d at "
                       "most",
                       cache, command.argc, MAX_OPERANDS);
    options->backbone_from = command.names_backbone ? cache : NULL;
    if (pf_options_parse(table, options, command.argc, command.argv, operands, count, err))
        return -1;
    char *line = pf_result_stamp_command(command.argc, command.argv);
    if (!options->quiet) pf_say("%s goes on: %s", cache, line ? line : "");
    free(line);
    return 0;
}

/* Which cache the options are to be taken from, or NULL. */
static const char *find_like(const PfExtractOptions *options, const char *const *operands,
                             int count)
{
    bool extracts = !options->merge && !options->info && !options->verify && !options->summary &&
                    !options->backbones && !options->fetch && !options->missing;
    if (!extracts || count != 1) return NULL;
    if (options->like) return options->like;
    return !options->output && pf_input_file_is_hdf5(operands[0]) ? operands[0] : NULL;
}

int pf_extract_options_parse(int argc, char **argv, PfExtractOptions *options, PfError *err)
{
    static const char *operands[MAX_OPERANDS];
    int count = 0;
    set_defaults(options, argc, argv);
    if (argc > MAX_OPERANDS)
        return pf_fail(err, PF_EXIT_USAGE,
                       "%d arguments are too many: give a folder, or - and the paths on stdin",
                       argc);
    if (pf_options_parse(table, options, argc, argv, operands, &count, err)) return -1;
    options->operands = operands;
    options->operand_count = count;
    if (options->help || options->version || options->trust) return 0;
    const char *like = find_like(options, operands, count);
    if (like &&
        take_options_of(like, options->like ? operands[0] : NULL, options, operands, &count, err))
        return -1;
    if (options->like && !like)
        return pf_fail(err, PF_EXIT_USAGE, "--like goes with a run that extracts one dataset");
    options->operands = operands; /* those of the cache */
    options->operand_count = count;
    return 0;
}

void pf_extract_options_free(PfExtractOptions *options)
{
    pf_like_command_free(&options->expanded);
    free(options->taps);
    options->taps = NULL;
}
