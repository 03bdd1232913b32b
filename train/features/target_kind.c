#include "train/features/target_kind.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "train/metrics/classification.h"
#include "train/metrics/keypoints.h"
#include "train/metrics/multilabel.h"
#include "train/metrics/regression.h"

/* ---- columns of the head ---- */

static int class_count(const PfCacheTarget *target)
{
    return target->class_count;
}

static int width(const PfCacheTarget *target)
{
    return target->width;
}

static void describe_classes(int outputs, char *text, size_t size)
{
    snprintf(text, size, " with %d classes", outputs);
}

static void describe_labels(int outputs, char *text, size_t size)
{
    snprintf(text, size, " with %d labels", outputs);
}

static void describe_numbers(int outputs, char *text, size_t size)
{
    snprintf(text, size, ", %d number%s", outputs, outputs > 1 ? "s" : "");
}

static void describe_points(int outputs, char *text, size_t size)
{
    snprintf(text, size, " with %d points", outputs / 2);
}

/* ---- reading ---- */

static int read_classes(PfCache *cache, int index, PfTargetRows *rows, PfError *err)
{
    return pf_cache_read_classes(cache, index, rows->labels, err);
}

static int read_values(PfCache *cache, int index, PfTargetRows *rows, PfError *err)
{
    return pf_cache_read_values(cache, index, rows->values, err);
}

static int read_crop(const PfCache *cache, int *resize, int *crop, bool *squash, PfError *err)
{
    cJSON *identity = pf_json_read(pf_cache_identity(cache));
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(identity, "preprocess");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(object, "crop");
    const cJSON *shorter = cJSON_GetObjectItemCaseSensitive(object, "resize");
    bool known = cJSON_IsNumber(size) && size->valueint > 0 && cJSON_IsNumber(shorter);
    *crop = known ? size->valueint : 0;
    *resize = known ? shorter->valueint : 0;
    *squash = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "squash"));
    cJSON_Delete(identity);
    if (known) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' does not say how its images were cropped, so key points cannot be learned "
                   "from it",
                   pf_cache_path(cache));
}

/* Points are learned in crop coordinates: that is what the network saw. */
static int read_points(PfCache *cache, int index, PfTargetRows *rows, PfError *err)
{
    size_t count = (size_t)rows->rows;
    int resize, crop;
    bool squash;
    if (read_values(cache, index, rows, err)) return -1;
    int32_t *widths = pf_calloc(count, sizeof *widths, err);
    int32_t *heights = pf_calloc(count, sizeof *heights, err);
    rows->frames = pf_calloc(count, sizeof *rows->frames, err);
    int failed = !widths || !heights || !rows->frames ||
                 read_crop(cache, &resize, &crop, &squash, err) ||
                 pf_cache_read_image_sizes(cache, widths, heights, err);
    for (size_t i = 0; i < count && !failed; i++) {
        rows->frames[i] = pf_crop_geometry_frame(resize, crop, squash, widths[i], heights[i]);
        pf_crop_geometry_points_to_crop(&rows->frames[i], rows->values + i * (size_t)rows->outputs,
                                        rows->outputs / 2);
    }
    free(widths);
    free(heights);
    return failed ? -1 : 0;
}

/* ---- the table ---- */

static const PfTargetTraits target_kinds[] = {
    [PF_TARGET_CLASS] =
        {
            .holds = "classes",
            .loss = PF_LOSS_CROSS_ENTROPY,
            .has_classes = true,
            .score = PF_SCORE_ACCURACY,
            .score_name = "accuracy",
            .metrics = &pf_classification,
            .outputs = class_count,
            .read = read_classes,
            .describe = describe_classes,
        },
    [PF_TARGET_REGRESSION] =
        {
            .holds = "numbers",
            .loss = PF_LOSS_SQUARED,
            .is_scaled = true,
            .score = PF_SCORE_R2,
            .score_name = "score",
            .metrics = &pf_regression,
            .outputs = width,
            .read = read_values,
            .describe = describe_numbers,
        },
    [PF_TARGET_MULTILABEL] =
        {
            .holds = "labels",
            .loss = PF_LOSS_BINARY,
            .score = PF_SCORE_ACCURACY,
            .score_name = "score",
            .metrics = &pf_multilabel,
            .outputs = width,
            .read = read_values,
            .describe = describe_labels,
        },
    [PF_TARGET_KEYPOINTS] =
        {
            .holds = "numbers",
            .loss = PF_LOSS_SQUARED,
            .is_scaled = true,
            .is_of_one_view = true,
            .score = PF_SCORE_R2,
            .score_name = "score",
            .metrics = &pf_keypoints,
            .outputs = width,
            .read = read_points,
            .describe = describe_points,
        },
};

enum { KIND_COUNT = sizeof target_kinds / sizeof *target_kinds };
_Static_assert(KIND_COUNT == PF_TARGET_KEYPOINTS + 1, "a kind of the caches has no row");

const PfTargetTraits *pf_target_traits(PfTargetKind kind)
{
    assert((unsigned)kind < KIND_COUNT);
    return &target_kinds[kind];
}

/* ---- is it complete ---- */

/* What a row lacks, or NULL. */
static const char *missing_column(const PfTargetTraits *kind)
{
    const PfMetrics *metrics = kind->metrics;
    if (!kind->holds) return "what it holds";
    if (!kind->score || !kind->score_name) return "a score";
    if (kind->score == PF_SCORE_R2 && !kind->is_scaled) return "the spread that R2 divides by";
    if (!kind->outputs || !kind->read || !kind->describe) return "a function";
    if (!metrics) return "metrics";
    if (!metrics->fields || !metrics->size || !metrics->main_name) return "fields of its metrics";
    if (!metrics->start || !metrics->add || !metrics->finish || !metrics->stop || !metrics->clear ||
        !metrics->print || !metrics->add_json)
        return "a function of its metrics";
    return NULL;
}

static int fail_incomplete(const char *what, const char *name, const char *lacks, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "this build is incomplete: the %s '%s' lacks %s", what,
                   name, lacks);
}

/* A loss of classes says how it is taken of their logits, and no other does. */
static int check_loss(PfLossKind kind, PfError *err)
{
    const PfLoss *loss = pf_loss(kind);
    const char *lacks = NULL;
    bool serves_classes = false;
    for (int k = 0; k < KIND_COUNT; k++)
        serves_classes |= target_kinds[k].has_classes && pf_loss_serves(kind, (PfTargetKind)k);
    if (!loss->serves || loss->serves >> KIND_COUNT) lacks = "kinds that it serves";
    if (serves_classes != (loss->classes != PF_CLASSES_NONE)) lacks = "a way to take classes";
    if (!(loss->parameter.least <= loss->parameter.initial) ||
        !(loss->parameter.initial <= loss->parameter.most))
        lacks = "bounds of its parameter";
    return lacks ? fail_incomplete("loss", loss->word, lacks, err) : 0;
}

int pf_target_kinds_check(PfError *err)
{
    for (int k = 0; k < KIND_COUNT; k++) {
        const char *name = pf_target_kind_name((PfTargetKind)k);
        const char *lacks = missing_column(&target_kinds[k]);
        if (!lacks && !pf_loss_serves(target_kinds[k].loss, (PfTargetKind)k)) lacks = "its loss";
        if (lacks) return fail_incomplete("kind of targets", name, lacks, err);
    }
    for (int l = 0; l < PF_LOSS_COUNT; l++)
        if (check_loss((PfLossKind)l, err)) return -1;
    return 0;
}

/* ---- which losses go with which kinds ---- */

/* Adds word to "a or b", unless it ends in it. */
static void add_word(char *text, size_t size, const char *word)
{
    size_t used = strlen(text), length = strlen(word);
    if (used >= length && !strcmp(text + used - length, word)) return;
    snprintf(text + used, size - used, "%s%s", used ? " or " : "", word);
}

const char *pf_target_kinds_served(PfLossKind loss, char text[PF_TARGET_KINDS_SERVED_TEXT])
{
    *text = '\0';
    for (int k = 0; k < KIND_COUNT; k++)
        if (pf_loss_serves(loss, (PfTargetKind)k))
            add_word(text, PF_TARGET_KINDS_SERVED_TEXT, target_kinds[k].holds);
    return text;
}

const char *pf_target_kind_convex_losses(PfTargetKind kind, char text[PF_TARGET_KIND_LOSSES_TEXT])
{
    *text = '\0';
    for (int l = 0; l < PF_LOSS_COUNT; l++)
        if (pf_loss_serves((PfLossKind)l, kind) && pf_loss((PfLossKind)l)->is_convex &&
            !isnan(pf_loss((PfLossKind)l)->curvature(1)))
            add_word(text, PF_TARGET_KIND_LOSSES_TEXT, pf_loss((PfLossKind)l)->word);
    return text;
}
