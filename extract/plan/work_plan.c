#include "extract/plan/work_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "common/cache/codec/tap_layout.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"

/* ---- what it works on ---- */

static void print_warnings(const PfDataset *dataset)
{
    int count;
    const char *const *warnings = pf_dataset_warnings(dataset, &count);
    for (int i = 0; i < count; i++) pf_warn("%" PF_SENTENCE, warnings[i]);
}

static void print_remarks(const PfDataset *dataset)
{
    int count;
    const char *const *remarks = pf_dataset_remarks(dataset, &count);
    for (int i = 0; i < count; i++) pf_say("%" PF_SENTENCE, remarks[i]);
}

/* "; val 0.2, test 0.1 of them by hash of their bytes": into text, which is returned. */
static const char *drawing_text(const PfDataset *dataset, char *text, size_t size)
{
    const PfDrawing *drawing = pf_dataset_drawing(dataset);
    char val[32] = "", test[32] = "";
    *text = '\0';
    if (!drawing) return text;
    if (drawing->val > 0) snprintf(val, sizeof val, "val %g", drawing->val);
    if (drawing->test > 0) snprintf(test, sizeof test, "test %g", drawing->test);
    snprintf(text, size, "; %s%s%s of train by hash of %s", val, *val && *test ? ", " : "", test,
             pf_dataset_has_groups(dataset) ? "the group" : "the bytes");
    return text;
}

void pf_work_plan_print_dataset(const PfDataset *dataset, const char *operand, PfShard shard)
{
    char splits[96] = "", drawing[128];
    int class_count, target_count;
    print_warnings(dataset);
    pf_dataset_classes(dataset, &class_count);
    pf_dataset_targets(dataset, &target_count);
    for (int i = 0; i < PF_SPLIT_COUNT; i++) {
        int64_t count = pf_dataset_split_count(dataset, (PfSplit)i);
        size_t used = strlen(splits);
        if (count)
            snprintf(splits + used, sizeof splits - used, "%s%lld %s", used ? ", " : "",
                     (long long)count, pf_split_names[i]);
    }
    pf_say("%s: %s, %lld images (%s%s)%s",
           pf_dataset_is_address(operand) ? pf_dataset_root(dataset) : operand,
           pf_dataset_kind(dataset), (long long)pf_dataset_count(dataset), splits,
           drawing_text(dataset, drawing, sizeof drawing), target_count ? "" : ", no labels");
    print_remarks(dataset);
    if (class_count) pf_detail("%d classes", class_count);
    if (shard.count && pf_dataset_whole_count(dataset) < 0)
        pf_say("shard %lld of %lld: its own archives only", (long long)shard.number,
               (long long)shard.count);
    else if (shard.count)
        pf_say("shard %lld of %lld, of %lld images in all", (long long)shard.number,
               (long long)shard.count, (long long)pf_dataset_whole_count(dataset));
}

/* Of a resize that is typed smaller than the crop, as nobody wants it. */
static void warn_of_borders(const PfPreprocess *preprocess)
{
    int resize = preprocess->resize, crop = preprocess->crop;
    if (preprocess->squash || !resize || resize >= crop) return;
    pf_warn("--resize %d is less than --crop %d: each image gets a black border, as torchvision "
            "pads it with zeros. --resize %d or more, --crop %d, or --image-size %d in place of "
            "both avoids it",
            resize, crop, crop, resize, crop);
}

void pf_work_plan_print_network(const PfBackbonePlan *plan)
{
    char text[160], views[80] = "";
    if (plan->views > 1)
        snprintf(views, sizeof views, "; %d views of each image (seed %lld)", plan->views,
                 (long long)plan->view_seed);
    pf_preprocess_text(&plan->preprocess, text, sizeof text);
    if (pf_backbone_plan_lacks_weights(plan))
        pf_say("%s (pixels alone, no weights are needed); %s%s", plan->name, text, views);
    else
        pf_say("%s (%s, sha256 %.8s), %s; %s%s", plan->name,
               plan->weights ? pf_weights_source(plan->weights)
               : plan->onnx  ? "ONNX"
                             : "TorchScript",
               plan->sha256, pf_precision_name(plan->precision), text, views);
    warn_of_borders(&plan->preprocess);
    if (plan->weights) pf_weights_compare_preprocess(plan->weights, &plan->preprocess);
}

/* ", 298 lack layer3, layer4": into text, which is returned. */
static const char *incomplete_text(const PfScanCounts *counts, const PfRequestedTaps *wanted,
                                   char *text, size_t size)
{
    const char *separator = "";
    *text = '\0';
    if (!counts->incomplete) return text;
    size_t used = (size_t)snprintf(text, size, ", %lld lack ", (long long)counts->incomplete);
    for (int t = 0; t < wanted->count && used < size; t++) {
        if (!(counts->lacking >> t & 1)) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", separator, wanted->taps[t].name);
        separator = ", ";
    }
    return text;
}

void pf_work_plan_print_counts(const PfScanCounts *counts, const PfRequestedTaps *wanted)
{
    char incomplete[400], before[48] = "";
    if (counts->rejected_before && counts->rejected_before == counts->rejected)
        snprintf(before, sizeof before, " before");
    else if (counts->rejected_before)
        snprintf(before, sizeof before, ", %lld of them before",
                 (long long)counts->rejected_before);
    pf_say("%lld images: %lld new%s, %lld reused, %lld rejected%s", (long long)counts->images,
           (long long)counts->fresh, incomplete_text(counts, wanted, incomplete, sizeof incomplete),
           (long long)counts->reused, (long long)counts->rejected, before);
    if (counts->hashed)
        pf_detail("%lld of them had to be read to be told from others", (long long)counts->hashed);
}

/* ---- sizes ---- */

static int64_t row_bytes(const PfCacheTap *tap)
{
    return pf_shape_count(&tap->shape) * (int64_t)pf_dtype_size(tap->dtype);
}

static int take_ratio(PfWorkPlan *plan, PfCache *cache, int tap, PfError *err)
{
    int index;
    char filters[100];
    int64_t stored, raw = row_bytes(&plan->wanted->taps[tap]) * pf_cache_row_count(cache);
    if (pf_cache_find_tap(cache, plan->wanted->taps[tap].name, &index, NULL)) return 0;
    if (pf_cache_tap_storage(cache, index, &stored, filters, sizeof filters, err)) return -1;
    if (raw > 0 && stored > 0) plan->ratio[tap] = (double)stored / (double)raw;
    return 0;
}

/* What HDF5 needs beside rows: it sets space aside in blocks, of which a cache of one tap and one
 * target has one, and with more of them, or with refused images, which nobody knows yet, two. */
static int64_t bytes_of_file(const PfWorkPlan *plan, const PfDatasetScan *scan)
{
    enum { BLOCKS = 72 << 10, EACH = 2 << 10 };
    int targets;
    pf_dataset_targets(scan->dataset, &targets);
    return BLOCKS + EACH * (int64_t)(plan->wanted->count + targets);
}

int pf_work_plan_make(PfWorkPlan *plan, const PfDatasetScan *scan, PfCache *cache, PfError *err)
{
    enum { BYTES_OF_SAMPLE = 96 }; /* digest, stamp, split, class, and what HDF5 adds to a path */
    for (int64_t i = 0; i < scan->count; i++) {
        const PfScannedSample *sample = &scan->samples[i];
        int64_t bytes = BYTES_OF_SAMPLE + (int64_t)strlen(sample->file.path);
        plan->cache_bytes += bytes;
        if (sample->missing) plan->journal_bytes += bytes;
        plan->rows += sample->state != PF_SAMPLE_REJECTED;
        for (int t = 0; t < plan->wanted->count; t++)
            plan->to_compute[t] += sample->missing >> t & 1;
    }
    plan->cache_bytes += bytes_of_file(plan, scan);
    for (int t = 0; t < plan->wanted->count && cache; t++)
        if (take_ratio(plan, cache, t, err)) return -1;
    return 0;
}

int pf_work_plan_measure(PfWorkPlan *plan, int tap, int n, const void *rows, PfError *err)
{
    PfTapLayout layout;
    PfChunkCodec *codec = NULL;
    size_t stored_bytes = 0;
    if (plan->ratio[tap] > 0) return 0;
    if (pf_tap_layout_plan(&plan->wanted->taps[tap], plan->compression, plan->level, &layout, err))
        return -1;
    if (n > layout.chunk_rows) n = (int)layout.chunk_rows;
    layout.format.raw_bytes = (size_t)n * layout.row_bytes;
    void *stored = pf_alloc_aligned(pf_chunk_bound(&layout.format), 1, err);
    int failed = !stored || pf_chunk_codec_new(&codec, err) ||
                 pf_chunk_encode(codec, &layout.format, rows, stored, &stored_bytes, err);
    pf_chunk_codec_free(&codec);
    free(stored);
    /* Whole chunks never become much larger, as a few small rows may. */
    double ratio = (double)stored_bytes / (double)layout.format.raw_bytes;
    if (!failed) plan->ratio[tap] = ratio < 1 ? ratio : 1;
    return failed ? -1 : 0;
}

static void print_tap(const PfWorkPlan *plan, int t)
{
    char raw_size[PF_SIZE_TEXT], size[PF_SIZE_TEXT], shape[PF_SHAPE_TEXT_SIZE];
    const PfCacheTap *tap = &plan->wanted->taps[t];
    int64_t raw = row_bytes(tap) * plan->rows;
    pf_say("tap %s %s %s: %s, about %s compressed", tap->name, pf_shape_text(&tap->shape, shape),
           pf_dtype_name(tap->dtype), pf_size_text(raw, raw_size),
           pf_size_text((int64_t)((double)raw * plan->ratio[t]), size));
}

void pf_work_plan_print_sizes(PfWorkPlan *plan)
{
    for (int t = 0; t < plan->wanted->count; t++) {
        if (!(plan->ratio[t] > 0) || plan->said >> t & 1) continue;
        print_tap(plan, t);
        plan->said |= (uint64_t)1 << t;
    }
}

/* ---- the disk ---- */

int64_t pf_work_plan_disk_free(const char *path)
{
    const char *fake = getenv("PF_FAKE_DISK_FREE");
    struct statvfs status;
    long long free_bytes;
    char *target = pf_atomic_file_target(path, NULL);
    const char *slash = target ? strrchr(target, '/') : NULL;
    char *folder = slash ? strndup(target, (size_t)(slash - target) + 1) : strdup(".");
    int failed = !target || !folder || statvfs(folder, &status);
    free(folder);
    free(target);
    if (fake && !pf_options_read_long(fake, strlen(fake), &free_bytes)) return free_bytes;
    return failed ? -1 : (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

/* Of a tap in the cache. Chunks that are not compressed are whole, whatever they hold. */
static int add_tap(const PfWorkPlan *plan, int t, int64_t *bytes, PfError *err)
{
    PfTapLayout layout;
    const PfCacheTap *tap = &plan->wanted->taps[t];
    if (pf_tap_layout_plan(tap, plan->compression, plan->level, &layout, err)) return -1;
    int64_t chunks = (plan->rows + layout.chunk_rows - 1) / layout.chunk_rows;
    if (plan->compression == PF_COMPRESS_NONE)
        *bytes += chunks * layout.chunk_rows * row_bytes(tap);
    else
        *bytes += (int64_t)(plan->ratio[t] * (double)row_bytes(tap) * (double)plan->rows);
    return 0;
}

static bool is_measured(const PfWorkPlan *plan)
{
    for (int t = 0; t < plan->wanted->count; t++)
        if (!(plan->ratio[t] > 0)) return false;
    return true;
}

int pf_work_plan_check_disk(PfWorkPlan *plan, PfError *err)
{
    char journal_size[PF_SIZE_TEXT], cache_size[PF_SIZE_TEXT], free_size[PF_SIZE_TEXT];
    int64_t cache = plan->cache_bytes, journal = plan->journal_bytes;
    int64_t available = pf_work_plan_disk_free(plan->output);
    if (!is_measured(plan) || plan->disk_checked) return 0;
    for (int t = 0; t < plan->wanted->count; t++) {
        double stored = plan->ratio[t] * (double)row_bytes(&plan->wanted->taps[t]);
        if (add_tap(plan, t, &cache, err)) return -1;
        journal += (int64_t)(stored * (double)plan->to_compute[t]);
    }
    pf_size_text(journal, journal_size);
    pf_size_text(cache, cache_size);
    pf_size_text(available, free_size);
    plan->disk_checked = true;
    if (available >= 0 && journal + cache > available)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': the disk has %s free; about %s are needed for the journal and %s for "
                       "the cache. Make room, or write to another disk with -o.",
                       plan->output, free_size, journal_size, cache_size);
    if (available >= 0 && journal)
        pf_say("disk: about %s for the cache, %s for the journal until then; %s free", cache_size,
               journal_size, free_size);
    else if (available >= 0)
        pf_say("disk: about %s for the cache; %s free", cache_size, free_size);
    return 0;
}
