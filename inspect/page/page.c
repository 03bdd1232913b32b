#include "inspect/page/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/random.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"
#include "train/metrics/classification.h"

#define THUMBNAIL_SIDE 96
#define THUMBNAIL_BYTES ((int64_t)12 << 20)
/* Rows that the page knows of, for the map and the cells of matrices. */
#define MOST_ROWS ((int64_t)100000)
/* Images on which points are drawn. */
#define MOST_POINT_IMAGES 24
/* Images of a cell that have thumbnails before others. */
#define MOST_CELL_IMAGES 24

typedef struct Writing {
    FILE *stream;
    const PfPageData *data;
    PfPageRowList first; /* what is to have thumbnails first, then the others */
    int32_t *carried;    /* (carried_count) ascending: rows that the page knows of */
    int64_t carried_count;
    cJSON *galleries;
    PfThumbnails thumbnails;
    uint8_t *is_carried; /* (rows) */
    uint8_t *is_drawn;   /* (rows) points are drawn on it */
} Writing;

void pf_page_add_fact(PfPageData *data, const char *name, const char *format, ...)
{
    va_list arguments;
    if (data->fact_count == PF_PAGE_FACTS) return;
    PfPageFact *fact = &data->facts[data->fact_count++];
    fact->name = name;
    va_start(arguments, format);
    vsnprintf(fact->text, sizeof fact->text, format, arguments);
    va_end(arguments);
}

/* ---- which rows are judged ---- */

static bool has_truth(const PfPageTarget *target, int64_t row)
{
    if (target->kind == PF_TARGET_CLASS)
        return target->labels && target->labels[row] >= 0 &&
               !(target->unknown && target->unknown[target->labels[row]]);
    for (int c = 0; target->values && c < target->width; c++)
        if (!isnan(target->values[row * target->width + c])) return true;
    return false;
}

bool pf_page_is_answered(const PfPageTarget *target, int64_t row)
{
    return target->outputs && !isnan(target->outputs[row * target->width]) &&
           has_truth(target, row);
}

static int judged_split(const PfPageData *data, const PfPageTarget *target)
{
    if (!data->splits) return PF_PAGE_NO_SPLITS;
    bool found[PF_SPLIT_COUNT] = {false};
    for (int64_t i = 0; i < data->rows; i++)
        if (!found[data->splits[i]] && pf_page_is_answered(target, i)) {
            found[data->splits[i]] = true;
            if (found[PF_SPLIT_TEST]) break;
        }
    return found[PF_SPLIT_TEST]  ? PF_SPLIT_TEST
           : found[PF_SPLIT_VAL] ? PF_SPLIT_VAL
                                 : PF_PAGE_ALL_SPLITS;
}

void pf_page_prepare(PfPageData *data)
{
    for (int t = 0; t < data->target_count; t++)
        data->targets[t].judged = judged_split(data, &data->targets[t]);
}

bool pf_page_is_judged(const PfPageData *data, const PfPageTarget *target, int64_t row)
{
    return pf_page_is_answered(target, row) &&
           (target->judged < 0 || data->splits[row] == target->judged);
}

const char *pf_page_judged_split(const PfPageTarget *target)
{
    return target->judged == PF_PAGE_NO_SPLITS ? "this set"
           : target->judged < 0 ? "all splits (a model may have learned from some of them)"
                                : pf_split_names[target->judged];
}

const PfPageTarget *pf_page_class_target(const PfPageData *data)
{
    for (int t = 0; t < data->target_count; t++) {
        const PfPageTarget *target = &data->targets[t];
        if (target->kind == PF_TARGET_CLASS &&
            (!data->inspected || !strcmp(data->inspected, target->name)))
            return target;
    }
    return NULL;
}

/* ---- data for the script ---- */

static int put_texts(FILE *stream, const char *key, const char *const *texts, const int32_t *rows,
                     int64_t count, PfError *err)
{
    pf_html_print(stream, ",\"%s\":[", key);
    for (int64_t i = 0; i < count; i++) {
        if (i) fputc(',', stream);
        if (pf_html_json(stream, cJSON_CreateString(texts[rows ? rows[i] : i]), err)) return -1;
    }
    fputs("]", stream);
    return 0;
}

static void put_row_numbers(const Writing *writing)
{
    fputs("\"rows\":[", writing->stream);
    for (int64_t i = 0; i < writing->carried_count; i++)
        pf_html_print(writing->stream, i ? ",%d" : "%d", writing->carried[i]);
    fputs("]", writing->stream);
}

static void put_splits(const Writing *writing)
{
    if (!writing->data->splits) return;
    fputs(",\"splits\":[", writing->stream);
    for (int64_t i = 0; i < writing->carried_count; i++)
        pf_html_print(writing->stream, i ? ",%d" : "%d",
                      writing->data->splits[writing->carried[i]]);
    fputs("]", writing->stream);
}

/* Largest first of the row's outputs: the class, and its probability in thousandths. */
static void put_class_rows(const Writing *writing, const PfPageTarget *target)
{
    FILE *stream = writing->stream;
    const char *comma = "";
    fputs(",\"labels\":[", stream);
    for (int64_t i = 0; i < writing->carried_count; i++, comma = ",")
        pf_html_print(stream, "%s%d", comma,
                      target->labels ? target->labels[writing->carried[i]] : -1);
    fputs("]", stream);
    if (!target->outputs) return;
    for (int pass = 0; pass < 3; pass++) {
        pf_html_print(stream, pass == 0   ? ",\"predicted\":["
                              : pass == 1 ? "],\"p\":["
                                          : "],\"judged\":[");
        comma = "";
        for (int64_t i = 0; i < writing->carried_count; i++, comma = ",") {
            int64_t row = writing->carried[i];
            const float *p = target->outputs + row * target->width;
            int best = pf_page_predicted_class(target, row);
            bool is_there = !isnan(p[0]);
            pf_html_print(stream, "%s%d", comma,
                          pass == 0   ? (is_there ? best : -1)
                          : pass == 1 ? (is_there ? (int)lrintf(1000 * p[best]) : 0)
                                      : pf_page_is_judged(writing->data, target, row));
        }
    }
    fputs("]", stream);
}

static void put_numbers(FILE *stream, const char *key, const float *values, int count)
{
    pf_html_print(stream, ",\"%s\":[", key);
    for (int i = 0; i < count; i++)
        if (isfinite(values[i]))
            pf_html_print(stream, i ? ",%.5g" : "%.5g", values[i]);
        else
            pf_html_print(stream, i ? ",null" : "null");
    fputs("]", stream);
}

/* Numbers, by which the map can be coloured: the first column. */
static void put_value_rows(const Writing *writing, const PfPageTarget *target)
{
    for (int64_t i = 0; i < writing->carried_count; i++) {
        float value = target->values[(int64_t)writing->carried[i] * target->width];
        pf_html_print(writing->stream, i ? "," : ",\"values\":[");
        if (isfinite(value))
            pf_html_print(writing->stream, "%.5g", value);
        else
            fputs("null", writing->stream);
    }
    fputs("]", writing->stream);
}

/* Whether there are points to draw: what is judged, what was predicted, or what is true. */
static bool has_points(const PfPageData *data, const PfPageTarget *target, int64_t row)
{
    if (target->kind != PF_TARGET_KEYPOINTS) return false;
    if (target->outputs && target->values) return pf_page_is_judged(data, target, row);
    if (target->outputs) return !isnan(target->outputs[row * target->width]);
    return has_truth(target, row);
}

/* Classes that the model does not know. */
static void put_unknown(FILE *stream, const PfPageTarget *target)
{
    const char *comma = "";
    fputs(",\"unknown\":[", stream);
    for (int c = 0; target->unknown && c < target->width; c++) {
        if (!target->unknown[c]) continue;
        pf_html_print(stream, "%s%d", comma, c);
        comma = ",";
    }
    fputs("]", stream);
}

/* Where points are drawn, and on which images. */
static void put_point_rows(const Writing *writing, const PfPageTarget *target)
{
    const PfPageData *data = writing->data;
    FILE *stream = writing->stream;
    int drawn = 0;
    fputs(",\"points\":[", stream);
    for (int64_t row = 0; row < data->rows && drawn < MOST_POINT_IMAGES; row++) {
        if (!writing->is_drawn[row] || !writing->is_carried[row]) continue;
        if (!has_points(data, target, row) || !data->widths || data->widths[row] < 1) continue;
        pf_html_print(stream, "%s{\"row\":%lld,\"width\":%d,\"height\":%d", drawn++ ? "," : "",
                      (long long)row, data->widths[row], data->heights[row]);
        if (target->values)
            put_numbers(stream, "true", target->values + row * target->width, target->width);
        if (target->outputs)
            put_numbers(stream, "found", target->outputs + row * target->width, target->width);
        fputs("}", stream);
    }
    fputs("]", stream);
}

static int put_targets(const Writing *writing, PfError *err)
{
    const PfPageData *data = writing->data;
    FILE *stream = writing->stream;
    fputs(",\"targets\":[", stream);
    for (int t = 0; t < data->target_count; t++) {
        const PfPageTarget *target = &data->targets[t];
        pf_html_print(stream, "%s{\"kind\":\"%s\",\"name\":", t ? "," : "",
                      pf_target_kind_name(target->kind));
        if (pf_html_json(stream, cJSON_CreateString(target->name), err)) return -1;
        if (target->names && put_texts(stream, "names", target->names, NULL, target->width, err))
            return -1;
        if (target->kind == PF_TARGET_CLASS) put_class_rows(writing, target);
        if (target->kind == PF_TARGET_CLASS) put_unknown(stream, target);
        if (target->kind == PF_TARGET_REGRESSION && target->values && data->map)
            put_value_rows(writing, target);
        if (target->kind == PF_TARGET_KEYPOINTS) put_point_rows(writing, target);
        fputs("}", stream);
    }
    fputs("]", stream);
    return 0;
}

/* Positions as whole numbers from 0 to 65535 on both axes, as far apart on the one as on the other;
 * -1: none. */
static int put_map(const Writing *writing, const float *map, const char *name, const char *comma,
                   PfError *err)
{
    FILE *stream = writing->stream;
    float low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int64_t i = 0; i < 2 * writing->data->rows; i++) {
        if (isnan(map[i])) continue;
        low[i % 2] = fminf(low[i % 2], map[i]);
        high[i % 2] = fmaxf(high[i % 2], map[i]);
    }
    float side = fmaxf(fmaxf(high[0] - low[0], high[1] - low[1]), 1e-30f);
    pf_html_print(stream, "%s{\"name\":", comma);
    if (pf_html_json(stream, cJSON_CreateString(name), err)) return -1;
    for (int axis = 0; axis < 2; axis++) {
        float middle = (low[axis] + high[axis]) / 2;
        pf_html_print(stream, ",\"%s\":[", axis ? "y" : "x");
        for (int64_t i = 0; i < writing->carried_count; i++) {
            float value = map[2 * (int64_t)writing->carried[i] + axis];
            int place = isnan(value) ? -1 : (int)lrintf(((value - middle) / side + 0.5f) * 65535);
            pf_html_print(stream, i ? ",%d" : "%d", place);
        }
        fputs("]", stream);
    }
    fputs("}", stream);
    return 0;
}

static void put_nearest(const Writing *writing)
{
    const PfPageData *data = writing->data;
    const char *comma = "";
    if (!data->nearest) return;
    fputs(",\"nearest\":{", writing->stream);
    for (int64_t i = 0; i < writing->carried_count; i++) {
        int64_t row = writing->carried[i];
        const int32_t *near = data->nearest + row * data->nearest_count;
        if (near[0] < 0) continue;
        pf_html_print(writing->stream, "%s\"%lld\":[", comma, (long long)row);
        for (int n = 0; n < data->nearest_count && near[n] >= 0; n++)
            pf_html_print(writing->stream, n ? ",%d" : "%d", near[n]);
        fputs("]", writing->stream);
        comma = ",";
    }
    fputs("}", writing->stream);
}

static int put_data(Writing *writing, PfError *err)
{
    const PfPageData *data = writing->data;
    FILE *stream = writing->stream;
    fputs("<script type=\"application/json\" id=\"data\">{", stream);
    put_row_numbers(writing);
    put_splits(writing);
    const PfPageTarget *classes = pf_page_class_target(data);
    if (classes) pf_html_print(stream, ",\"classes\":%d", (int)(classes - data->targets));
    if (data->paths && !data->is_anonymous &&
        put_texts(stream, "paths", data->paths, writing->carried, writing->carried_count, err))
        return -1;
    if (put_targets(writing, err)) return -1;
    put_nearest(writing);
    fputs(",\"maps\":[", stream);
    if (data->map && put_map(writing, data->map, data->map_name, "", err)) return -1;
    if (data->other_map && put_map(writing, data->other_map, data->other_map_name, ",", err))
        return -1;
    fputs("],\"galleries\":", stream);
    cJSON *galleries = writing->galleries;
    writing->galleries = NULL;
    if (pf_html_json(stream, galleries, err)) return -1;
    fputs("}</script>\n", stream);
    return 0;
}

static void put_thumbnails(const Writing *writing)
{
    const char *comma = "";
    fputs("<script type=\"application/json\" id=\"thumbnails\">{", writing->stream);
    for (int64_t i = 0; i < writing->thumbnails.count; i++) {
        const PfThumbnail *item = &writing->thumbnails.items[i];
        if (!item->jpeg) continue;
        pf_html_print(writing->stream, "%s\"%d\":\"", comma, item->row);
        pf_html_base64(writing->stream, item->jpeg, item->size);
        fputs("\"", writing->stream);
        comma = ",";
    }
    fputs("}</script>\n", writing->stream);
}

/* ---- which rows ---- */

typedef struct Answer {
    float probability;
    int32_t row;
} Answer;

static int compare_answers(const void *a, const void *b)
{
    const Answer *left = a, *right = b;
    if (left->probability != right->probability)
        return left->probability < right->probability ? 1 : -1;
    return (left->row > right->row) - (left->row < right->row);
}

/* The first images that a click on a cell of a confusion matrix shows: the most confident. */
static int list_cells(Writing *writing, const PfPageTarget *target, PfError *err)
{
    const PfPageData *data = writing->data;
    size_t width = (size_t)target->width;
    int64_t count = 0;
    if (target->kind != PF_TARGET_CLASS || !target->outputs || width > PF_CONFUSION_MAX_CLASSES)
        return 0;
    Answer *answers = pf_calloc((size_t)data->rows + 1, sizeof *answers, err);
    uint8_t *listed = pf_calloc(width * width, 1, err);
    int failed = !answers || !listed;
    for (int64_t i = 0; i < data->rows && !failed; i++)
        if (pf_page_is_judged(data, target, i))
            answers[count++] =
                (Answer){target->outputs[i * target->width + pf_page_predicted_class(target, i)],
                         (int32_t)i};
    if (!failed) qsort(answers, (size_t)count, sizeof *answers, compare_answers);
    for (int64_t i = 0; i < count && !failed; i++) {
        int32_t row = answers[i].row;
        size_t cell =
            (size_t)target->labels[row] * width + (size_t)pf_page_predicted_class(target, row);
        if (listed[cell]++ < MOST_CELL_IMAGES)
            pf_page_list_row(&writing->first, row);
        else
            listed[cell] = MOST_CELL_IMAGES;
    }
    free(answers);
    free(listed);
    return failed ? -1 : 0;
}

/* Behind the rows that galleries show: those that points are drawn on, the first
 * of each cell, then all others in an order
 * drawn at random, so that whatever has no room is missing evenly. */
static int list_others(Writing *writing, PfError *err)
{
    const PfPageData *data = writing->data;
    PfRandom random = pf_random_seeded(0, 1);
    int32_t *order = pf_calloc((size_t)data->rows + 1, sizeof *order, err);
    if (!order) return -1;
    for (int64_t i = 0; i < data->rows; i++) order[i] = (int32_t)i;
    pf_random_shuffle(&random, order, (size_t)data->rows);
    for (int t = 0; t < data->target_count; t++) {
        const PfPageTarget *target = &data->targets[t];
        int drawn = 0;
        for (int64_t i = 0; i < data->rows && drawn < MOST_POINT_IMAGES; i++)
            if (has_points(data, target, order[i])) {
                writing->is_drawn[order[i]] = 1;
                drawn++;
                pf_page_list_row(&writing->first, order[i]);
            }
    }
    int failed = 0;
    for (int t = 0; t < data->target_count && !failed; t++)
        failed = list_cells(writing, &data->targets[t], err);
    for (int64_t i = 0; i < data->rows && data->map; i++)
        if (!isnan(data->map[2 * (int64_t)order[i]])) pf_page_list_row(&writing->first, order[i]);
    for (int64_t i = 0; i < data->rows; i++) pf_page_list_row(&writing->first, order[i]);
    free(order);
    return failed;
}

static int choose_rows(Writing *writing, PfError *err)
{
    const PfPageData *data = writing->data;
    PfPageRowList *first = &writing->first;
    first->rows = pf_calloc((size_t)data->rows + 1, sizeof *first->rows, err);
    first->is_listed = pf_calloc((size_t)data->rows + 1, 1, err);
    writing->carried = pf_calloc((size_t)data->rows + 1, sizeof *writing->carried, err);
    writing->is_carried = pf_calloc((size_t)data->rows + 1, 1, err);
    writing->is_drawn = pf_calloc((size_t)data->rows + 1, 1, err);
    if (!first->rows || !first->is_listed || !writing->carried || !writing->is_carried ||
        !writing->is_drawn)
        return -1;
    writing->galleries = cJSON_CreateArray();
    pf_page_add_mistakes(writing->galleries, data, first);
    if (pf_page_add_misses(writing->galleries, data, first, err)) return -1;
    pf_page_add_galleries(writing->galleries, data, first);
    pf_page_add_findings(writing->galleries, data, first);
    if (list_others(writing, err)) return -1;
    for (int64_t i = 0; i < pf_min(first->count, MOST_ROWS); i++)
        writing->is_carried[first->rows[i]] = 1;
    for (int64_t i = 0; i < data->rows; i++)
        if (writing->is_carried[i]) writing->carried[writing->carried_count++] = (int32_t)i;
    return 0;
}

static int make_thumbnails(Writing *writing, PfError *err)
{
    const PfPageData *data = writing->data;
    int64_t bytes = data->bytes ? data->bytes : THUMBNAIL_BYTES;
    if (!data->images) return 0;
    /* Four characters stand for three bytes. */
    return pf_thumbnails_make(data->images, writing->first.rows,
                              pf_min(writing->first.count, MOST_ROWS),
                              data->side ? data->side : THUMBNAIL_SIDE, bytes * 3 / 4,
                              data->threads, data->interrupted, &writing->thumbnails, err);
}

static void put_foot(const Writing *writing)
{
    const PfPageData *data = writing->data;
    FILE *stream = writing->stream;
    pf_html_print(stream, "</main>\n<footer>");
    if (!data->images)
        pf_html_print(stream, "<p id=\"left-out\">No thumbnails: %s.</p>",
                      data->images_reason ? data->images_reason : "nobody asked for them");
    if (data->images && writing->thumbnails.left_out)
        pf_html_print(stream,
                      "<p id=\"left-out\">Thumbnails of %lld images were left out to keep the page "
                      "small.</p>",
                      (long long)writing->thumbnails.left_out);
    if (data->images && writing->thumbnails.unreadable)
        pf_html_print(stream,
                      "<p id=\"unreadable\">%lld images could not be read, or have changed.</p>",
                      (long long)writing->thumbnails.unreadable);
    if (writing->carried_count < data->rows)
        pf_html_print(stream, "<p>The map and the cells show %lld of %lld images.</p>",
                      (long long)writing->carried_count, (long long)data->rows);
    pf_html_print(stream, "<p>Made by permafrost " PF_VERSION ". This page asks nothing of a "
                          "network.</p></footer>\n");
}

static int put_page(Writing *writing, PfError *err)
{
    const PfPageData *data = writing->data;
    FILE *stream = writing->stream;
    pf_page_put_head(stream, data);
    if (data->findings) pf_page_findings_section(stream, data->findings);
    if (data->result && pf_page_run_section(stream, data, err)) return -1;
    for (int t = 0; t < data->target_count; t++) {
        const PfPageTarget *target = &data->targets[t];
        if (target->kind == PF_TARGET_CLASS ? pf_page_class_section(stream, data, target, t, err)
                                            : pf_page_value_section(stream, data, target, t, err))
            return -1;
    }
    if (pf_page_score_sections(stream, data, err)) return -1;
    if (data->map) pf_html_print(stream, "<section id=\"map\"><h2>Map</h2></section>\n");
    pf_html_print(stream, "<div id=\"galleries\"></div>");
    put_foot(writing);
    if (put_data(writing, err)) return -1;
    put_thumbnails(writing);
    fputs("<script>", stream);
    fwrite(pf_page_js, 1, strlen(pf_page_js), stream);
    fputs("</script></body></html>\n", stream);
    return 0;
}

int pf_page_write(const char *path, const PfPageData *data, PfError *err)
{
    Writing writing = {.data = data};
    PfAtomicFile *file = NULL;
    int failed = choose_rows(&writing, err) || make_thumbnails(&writing, err) ||
                 pf_atomic_file_begin(path, &file, err);
    if (!failed) {
        writing.stream = pf_atomic_file_stream(file);
        failed = put_page(&writing, err);
        if (failed)
            pf_atomic_file_abandon(&file);
        else
            failed = pf_atomic_file_commit(&file, err);
    }
    cJSON_Delete(writing.galleries);
    pf_thumbnails_free(&writing.thumbnails);
    free(writing.first.rows);
    free(writing.first.is_listed);
    free(writing.carried);
    free(writing.is_carried);
    free(writing.is_drawn);
    return failed ? -1 : 0;
}
