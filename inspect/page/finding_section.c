#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/split.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"

#define NOTE_SIZE 240
/* Most groups of duplicates that are shown. */
#define MOST_GROUPS ((int64_t)150)
/* Most images of one group. */
#define MOST_COPIES ((int64_t)24)
/* Most images whose numbers are far off. */
#define MOST_MISSES ((int64_t)48)

void pf_page_list_row(PfPageRowList *list, int64_t row)
{
    if (row < 0 || list->is_listed[row]) return;
    list->is_listed[row] = 1;
    list->rows[list->count++] = (int32_t)row;
}

static cJSON *add_gallery(cJSON *galleries, const char *id, const char *title, const char *note)
{
    cJSON *gallery = cJSON_CreateObject();
    cJSON_AddStringToObject(gallery, "id", id);
    cJSON_AddStringToObject(gallery, "title", title);
    cJSON_AddStringToObject(gallery, "note", note);
    cJSON_AddArrayToObject(gallery, "groups");
    cJSON_AddItemToArray(galleries, gallery);
    return gallery;
}

static cJSON *add_group(cJSON *gallery, const char *note)
{
    cJSON *group = cJSON_CreateObject();
    cJSON_AddStringToObject(group, "note", note);
    cJSON_AddArrayToObject(group, "rows");
    cJSON_AddArrayToObject(group, "notes");
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(gallery, "groups"), group);
    return group;
}

static void add_row(cJSON *group, PfPageRowList *list, int64_t row, const char *note)
{
    pf_page_list_row(list, row);
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(group, "rows"),
                         cJSON_CreateNumber((double)row));
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(group, "notes"),
                         cJSON_CreateString(note));
}

/* "12 images"; "the first 240 of 1234 images" */
static const char *count_text(int64_t shown, int64_t count, const char *what, char text[NOTE_SIZE])
{
    if (shown < count)
        snprintf(text, NOTE_SIZE, "the first %lld of %lld %s", (long long)shown, (long long)count,
                 what);
    else
        snprintf(text, NOTE_SIZE, "%lld %s", (long long)count, what);
    return text;
}

static const char *class_name(const PfPageTarget *target, int32_t index)
{
    return target && index >= 0 && index < target->width ? target->names[index] : "none";
}

/* ---- the findings ---- */

/* Each image with its split, which tells of leaks, and with its class where they differ. */
static void add_duplicate_group(cJSON *gallery, const PfPageData *data,
                                const PfDuplicateGroup *group, PfPageRowList *list)
{
    const int32_t *members = data->findings->duplicates.members + group->first;
    const PfPageTarget *target = pf_page_class_target(data);
    int64_t shown = pf_min(group->count, MOST_COPIES);
    char note[2 * NOTE_SIZE];
    snprintf(note, sizeof note, "%s%s%s",
             group->is_exact    ? "equal files"
             : group->by_pixels ? "alike by their pixels"
                                : "alike",
             group->crosses_splits ? ", in several splits" : "",
             group->has_two_labels ? ", of several classes" : "");
    if (!group->is_exact)
        snprintf(note + strlen(note), sizeof note - strlen(note), ", similarity %.4f",
                 group->similarity);
    if (shown < group->count)
        snprintf(note + strlen(note), sizeof note - strlen(note), "; the first %lld of %lld images",
                 (long long)shown, (long long)group->count);
    cJSON *item = add_group(gallery, note);
    for (int64_t m = 0; m < shown; m++) {
        const char *class =
            class_name(target, target && target->labels ? target->labels[members[m]] : -1);
        pf_format(note, sizeof note, "%s%s%s",
                  data->splits ? pf_split_names[data->splits[members[m]]] : "",
                  data->splits && group->has_two_labels ? ", " : "",
                  group->has_two_labels ? class : "");
        add_row(item, list, members[m], note);
    }
}

static void add_duplicates(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    const PfDuplicates *found = &data->findings->duplicates;
    int64_t shown = pf_min(found->group_count, MOST_GROUPS);
    char note[2 * NOTE_SIZE], count[NOTE_SIZE];
    if (!found->status.done || !found->group_count) return;
    snprintf(
        note, sizeof note,
        "%s of images whose features have a cosine similarity of %.4f or more%s; %lld reach over "
        "splits, %lld have more than one label.",
        count_text(shown, found->group_count, "groups", count), found->threshold,
        found->hashed_rows ? ", or whose pixels are alike" : "", (long long)found->leak_groups,
        (long long)found->two_label_groups);
    cJSON *gallery = add_gallery(galleries, "duplicates", "Duplicates", note);
    for (int64_t g = 0; g < shown; g++) add_duplicate_group(gallery, data, &found->groups[g], list);
}

static void add_labels(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    const PfLabelErrors *found = &data->findings->labels;
    const PfPageTarget *target = pf_page_class_target(data);
    int64_t shown = pf_min(found->count, PF_PAGE_MOST_TILES);
    char note[2 * NOTE_SIZE], count[NOTE_SIZE];
    if (!found->status.done || !found->count) return;
    snprintf(note, sizeof note,
             "%s, the least likely first: what stands under them, and what they are more probably. "
             "By %s, right on %.0f %% of all images; the fewer that are, the less this list means.",
             count_text(shown, found->count, "labels", count),
             found->folds ? "heads that had not seen the image" : "the model",
             100 * found->accuracy);
    cJSON *gallery = add_gallery(galleries, "labels", "Labels that look wrong", note);
    cJSON *group = add_group(gallery, "");
    for (int64_t i = 0; i < shown; i++) {
        const PfLabelError *error = &found->errors[i];
        pf_format(note, sizeof note, "%s (%.3f), rather %s (%.3f)",
                  class_name(target, error->given), error->self_confidence,
                  class_name(target, error->suggested), error->suggested_probability);
        add_row(group, list, error->row, note);
    }
}

static void add_outliers(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    const PfOutliers *found = &data->findings->outliers;
    int64_t shown = pf_min(found->count, PF_PAGE_MOST_TILES);
    char note[2 * NOTE_SIZE], count[NOTE_SIZE];
    if (!found->status.done || !found->count) return;
    snprintf(note, sizeof note,
             "%s whose neighbour number %d is %.3f away or more (cosine distance; %.3f is usual).",
             count_text(shown, found->count, "images", count), found->k, found->threshold,
             found->typical);
    cJSON *group = add_group(add_gallery(galleries, "outliers", "Outliers", note), "");
    for (int64_t i = 0; i < shown; i++) {
        snprintf(note, sizeof note, "%.3f", found->outliers[i].distance);
        add_row(group, list, found->outliers[i].row, note);
    }
}

static void add_odd(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    const PfOddImages *found = &data->findings->odd;
    int64_t shown = pf_min(found->count, PF_PAGE_MOST_TILES);
    char note[2 * NOTE_SIZE], count[NOTE_SIZE];
    if (!found->status.done || !found->count) return;
    snprintf(note, sizeof note, "%s that are odd by their size or pixels.",
             count_text(shown, found->count, "images", count));
    cJSON *group = add_group(add_gallery(galleries, "odd", "Odd images", note), "");
    for (int64_t i = 0; i < shown; i++) {
        *note = '\0';
        for (int bit = 0; bit < PF_ODDITY_COUNT; bit++)
            if (found->images[i].oddities >> bit & 1)
                snprintf(note + strlen(note), sizeof note - strlen(note), "%s%s", *note ? ", " : "",
                         pf_oddity_names[bit]);
        add_row(group, list, found->images[i].row, note);
    }
}

static void add_next(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    const PfNextLabels *found = &data->findings->next;
    int64_t shown = pf_min(found->count, PF_PAGE_MOST_TILES);
    char note[NOTE_SIZE];
    if (!found->status.done || !found->count) return;
    snprintf(note, sizeof note, "Of %lld images without a label, those to label first.",
             (long long)found->unlabelled);
    cJSON *group = add_group(add_gallery(galleries, "next", "What to label next", note), "");
    for (int64_t i = 0; i < shown; i++) {
        snprintf(note, sizeof note, "uncertainty %.3f", found->rows[i].uncertainty);
        add_row(group, list, found->rows[i].row, note);
    }
}

static void add_near(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    const PfNearImages *found = &data->findings->near;
    char note[2 * NOTE_SIZE];
    if (!found->status.done) return;
    pf_format(note, sizeof note, "The images nearest to %s.",
              data->is_anonymous ? "the given one" : found->image);
    cJSON *group = add_group(add_gallery(galleries, "near", "Nearest images", note), "");
    for (int64_t i = 0; i < found->count; i++) {
        snprintf(note, sizeof note, "similarity %.4f", found->images[i].similarity);
        add_row(group, list, found->images[i].row, note);
    }
}

void pf_page_add_findings(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    if (!data->findings) return;
    add_near(galleries, data, list);
    add_labels(galleries, data, list);
    add_duplicates(galleries, data, list);
    add_outliers(galleries, data, list);
    add_odd(galleries, data, list);
    add_next(galleries, data, list);
}

/* ---- mistakes ---- */

int pf_page_predicted_class(const PfPageTarget *target, int64_t row)
{
    const float *p = target->outputs + row * target->width;
    int best = 0;
    for (int c = 1; c < target->width; c++)
        if (p[c] > p[best]) best = c;
    return best;
}

int64_t pf_page_mistakes(const PfPageData *data, int64_t most, int32_t *rows)
{
    const PfPageTarget *target = pf_page_class_target(data);
    int64_t count = 0;
    if (!target || !target->outputs || !target->labels) return 0;
    for (int64_t i = 0; i < data->rows; i++) {
        if (!pf_page_is_judged(data, target, i)) continue;
        int best = pf_page_predicted_class(target, i);
        float p = target->outputs[i * target->width + best];
        if (best == target->labels[i]) continue;
        int64_t place = count < most ? count++ : most; /* insertion; the list is short */
        for (; place > 0; place--) {
            int64_t other = rows[place - 1];
            float q =
                target->outputs[other * target->width + pf_page_predicted_class(target, other)];
            if (q >= p) break;
            if (place < most) rows[place] = rows[place - 1];
        }
        if (place < most) rows[place] = (int32_t)i;
    }
    return count;
}

void pf_page_add_mistakes(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    int32_t rows[PF_PAGE_MOST_TILES];
    int64_t count = pf_page_mistakes(data, PF_PAGE_MOST_TILES, rows);
    const PfPageTarget *target = pf_page_class_target(data);
    char note[2 * NOTE_SIZE];
    if (!target || !target->outputs || !target->labels) return;
    snprintf(note, sizeof note, "Of %s, the most confident first%s%s.",
             pf_page_judged_split(target),
             count == PF_PAGE_MOST_TILES ? "; no more than 240 are shown" : "",
             data->nearest ? "; beside each the training images nearest to it" : "");
    cJSON *group = add_group(add_gallery(galleries, "mistakes", "Mistakes", note), "");
    for (int64_t i = 0; i < count; i++) {
        int best = pf_page_predicted_class(target, rows[i]);
        pf_format(note, sizeof note, "%s, taken for %s (%.3f)",
                  class_name(target, target->labels[rows[i]]), class_name(target, best),
                  target->outputs[(int64_t)rows[i] * target->width + best]);
        add_row(group, list, rows[i], note);
        for (int n = 0; data->nearest && n < data->nearest_count; n++)
            pf_page_list_row(list, data->nearest[(int64_t)rows[i] * data->nearest_count + n]);
    }
}

/* ---- numbers that are far off ---- */

typedef struct Miss {
    int32_t row;
    float distance;
} Miss;

static int compare_misses(const void *a, const void *b)
{
    const Miss *left = a, *right = b;
    if (left->distance != right->distance) return left->distance < right->distance ? 1 : -1;
    return (left->row > right->row) - (left->row < right->row);
}

/* Of numbers the first column counts, of points the mean distance. */
static float distance_of(const PfPageTarget *target, int64_t row)
{
    const float *truth = target->values + row * target->width;
    const float *found = target->outputs + row * target->width;
    double sum = 0;
    int count = 0;
    if (target->kind == PF_TARGET_REGRESSION) return fabsf(found[0] - truth[0]);
    for (int p = 0; p + 1 < target->width; p += 2) {
        double distance = hypot(found[p] - truth[p], found[p + 1] - truth[p + 1]);
        if (isfinite(distance)) sum += distance, count++;
    }
    return count ? (float)(sum / count) : NAN;
}

static void add_misses_of(cJSON *galleries, const PfPageData *data, int number, const Miss *misses,
                          int64_t count, PfPageRowList *list)
{
    const PfPageTarget *target = &data->targets[number];
    char id[24], title[NOTE_SIZE], note[NOTE_SIZE];
    int64_t shown = pf_min(count, MOST_MISSES);
    snprintf(id, sizeof id, "misses-%d", number);
    pf_format(title, sizeof title, "Farthest off: %s", target->name);
    snprintf(note, sizeof note,
             "The %lld images of %s whose prediction is farthest from the truth.", (long long)shown,
             pf_page_judged_split(target));
    cJSON *group = add_group(add_gallery(galleries, id, title, note), "");
    for (int64_t i = 0; i < shown; i++) {
        int64_t first = (int64_t)misses[i].row * target->width;
        if (target->kind == PF_TARGET_REGRESSION)
            snprintf(note, sizeof note, "%.4g, taken for %.4g", target->values[first],
                     target->outputs[first]);
        else
            snprintf(note, sizeof note, "%.3g pixels", misses[i].distance);
        add_row(group, list, misses[i].row, note);
    }
}

int pf_page_add_misses(cJSON *galleries, const PfPageData *data, PfPageRowList *list, PfError *err)
{
    Miss *misses = pf_calloc((size_t)data->rows + 1, sizeof *misses, err);
    if (!misses) return -1;
    for (int t = 0; t < data->target_count; t++) {
        const PfPageTarget *target = &data->targets[t];
        bool is_distant =
            target->kind == PF_TARGET_REGRESSION || target->kind == PF_TARGET_KEYPOINTS;
        int64_t count = 0;
        for (int64_t i = 0; is_distant && target->values && i < data->rows; i++) {
            float distance = pf_page_is_judged(data, target, i) ? distance_of(target, i) : NAN;
            if (!isnan(distance)) misses[count++] = (Miss){(int32_t)i, distance};
        }
        if (!count) continue;
        qsort(misses, (size_t)count, sizeof *misses, compare_misses);
        add_misses_of(galleries, data, t, misses, count, list);
    }
    free(misses);
    return 0;
}

/* ---- galleries of the caller's ---- */

static cJSON *picture_json(const PfPageTile *tile)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    pf_html_base64(stream, tile->jpeg, tile->size);
    fclose(stream);
    cJSON *json = cJSON_CreateString(text);
    free(text);
    return json;
}

void pf_page_add_galleries(cJSON *galleries, const PfPageData *data, PfPageRowList *list)
{
    for (int g = 0; g < data->gallery_count; g++) {
        const PfPageGallery *from = &data->galleries[g];
        char id[24];
        snprintf(id, sizeof id, "list-%d", g);
        cJSON *gallery = add_gallery(galleries, id, from->title, from->note);
        cJSON *group = add_group(gallery, "");
        cJSON *pictures = cJSON_AddArrayToObject(group, "pictures");
        for (int64_t i = 0; i < from->count; i++) {
            add_row(group, list, from->tiles[i].row, from->tiles[i].caption);
            cJSON_AddItemToArray(pictures, from->tiles[i].jpeg ? picture_json(&from->tiles[i])
                                                               : cJSON_CreateNull());
        }
    }
}
