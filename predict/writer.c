#include "predict/writer.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/file/csv.h"
#include "predict/truth_columns.h"

static void write_json_string(FILE *stream, const char *text)
{
    cJSON *string = cJSON_CreateStringReference(text);
    char *quoted = pf_json_text(string);
    fputs(quoted ? quoted : "null", stream);
    cJSON_free(quoted);
    cJSON_Delete(string);
}

static void write_number(FILE *stream, double value)
{
    if (isfinite(value))
        fprintf(stream, "%.7g", value);
    else
        fputs("null", stream);
}

static void write_probability(FILE *stream, double value)
{
    if (isfinite(value))
        fprintf(stream, "%.6f", value);
    else
        fputs("null", stream);
}

/* The image is unlike anything that was trained on. */
static bool is_rejected(const PfPredictionWriter *writer)
{
    return writer->novelty > writer->reject;
}

/* The places of the classes that are shown, the most probable first; of an image without an answer,
 * whose outputs are NaN, any. */
static void find_top(const PfPredictionWriter *writer, const PfScorerTarget *target,
                     const float *probabilities, int shown)
{
    for (int i = 0; i < shown; i++) writer->indices[i] = i;
    if (isfinite(probabilities[0]))
        pf_scorer_top(probabilities, target->outputs, shown, writer->indices);
}

/* NaN is not. */
static bool is_told(const PfPredictionWriter *writer, float probability)
{
    return (double)probability > writer->threshold && !is_rejected(writer);
}

/* The classic form: one target, of classes. */
static bool is_plain(const PfScorer *scorer)
{
    return scorer->target_count == 1 && scorer->targets[0].kind == PF_TARGET_CLASS;
}

static int shown_classes(const PfPredictionWriter *writer, const PfScorerTarget *target)
{
    return (int)pf_min(writer->top, target->outputs);
}

/* ---- CSV ---- */

/* Two columns of a target: ",NAME<ending><number>" for each ending. */
static void head_columns(const PfPredictionWriter *writer, const char *name,
                         const char *const endings[2], const char *number)
{
    for (int i = 0; i < 2; i++) {
        char ending[32];
        snprintf(ending, sizeof ending, "%s%s", endings[i], number);
        fputc(',', writer->stream);
        pf_csv_write_column(&writer->csv, name, ending);
    }
}

static void head_class(const PfPredictionWriter *writer, const PfScorerTarget *target)
{
    bool plain = is_plain(writer->scorer);
    for (int i = 1; i <= shown_classes(writer, target); i++) {
        char number[16] = "";
        if (i > 1) snprintf(number, sizeof number, "%d", i);
        if (plain)
            fprintf(writer->stream, ",label%s,probability%s", number, number);
        else
            head_columns(writer, target->name, (const char *[]){"", "_probability"}, number);
    }
}

static void head_target(const PfPredictionWriter *writer, const PfScorerTarget *target)
{
    bool is_points = target->kind == PF_TARGET_KEYPOINTS;
    int columns = target->kind == PF_TARGET_MULTILABEL ? 1
                  : is_points                          ? target->outputs / 2
                                                       : target->outputs;
    if (target->kind == PF_TARGET_CLASS) {
        head_class(writer, target);
        return;
    }
    for (int c = 0; c < columns; c++) {
        char number[16] = "";
        if (is_points || columns > 1) snprintf(number, sizeof number, is_points ? "%d" : "_%d", c);
        if (is_points) {
            head_columns(writer, target->name, (const char *[]){"_x", "_y"}, number);
        } else {
            fputc(',', writer->stream);
            pf_csv_write_column(&writer->csv, target->name, number);
        }
    }
}

/* An empty field where there is no number. */
static void csv_number(const PfPredictionWriter *writer, const char *format, float value)
{
    fprintf(writer->stream, isfinite(value) ? format : ",", (double)value);
}

static void csv_class(PfPredictionWriter *writer, const PfScorerTarget *target,
                      const float *probabilities)
{
    int shown = shown_classes(writer, target);
    find_top(writer, target, probabilities, shown);
    for (int i = 0; i < shown; i++) {
        float probability = probabilities[writer->indices[i]];
        fputc(',', writer->stream);
        if (!is_rejected(writer) && isfinite(probability))
            pf_csv_write_field(&writer->csv, target->classes[writer->indices[i]]);
        csv_number(writer, ",%.6f", probability);
    }
}

/* "indoor;people" */
static void csv_labels(PfPredictionWriter *writer, const PfScorerTarget *target,
                       const float *probabilities)
{
    char *text = NULL;
    size_t size;
    FILE *joined = open_memstream(&text, &size);
    int found = 0;
    for (int c = 0; joined && c < target->outputs; c++)
        if (is_told(writer, probabilities[c]))
            fprintf(joined, "%s%s", found++ ? ";" : "", target->classes[c]);
    if (joined) fclose(joined);
    fputc(',', writer->stream);
    pf_csv_write_field(&writer->csv, text ? text : "");
    free(text);
}

static void csv_target(PfPredictionWriter *writer, const PfScorerTarget *target,
                       const float *outputs)
{
    if (target->kind == PF_TARGET_CLASS) {
        csv_class(writer, target, outputs);
    } else if (target->kind == PF_TARGET_MULTILABEL) {
        csv_labels(writer, target, outputs);
    } else {
        for (int c = 0; c < target->outputs; c++) csv_number(writer, ",%.7g", outputs[c]);
    }
}

/* ---- JSON ---- */

static void json_class_members(PfPredictionWriter *writer, const PfScorerTarget *target,
                               const float *probabilities, int index)
{
    fputs("\"label\": ", writer->stream);
    if (is_rejected(writer) || !isfinite(probabilities[index]))
        fputs("null", writer->stream);
    else
        write_json_string(writer->stream, target->classes[index]);
    fputs(", \"probability\": ", writer->stream);
    write_probability(writer->stream, (double)probabilities[index]);
}

static void json_class(PfPredictionWriter *writer, const PfScorerTarget *target,
                       const float *probabilities)
{
    int shown = shown_classes(writer, target);
    find_top(writer, target, probabilities, shown);
    json_class_members(writer, target, probabilities, writer->indices[0]);
    fputs(", \"top\": [", writer->stream);
    for (int i = 0; i < shown; i++) {
        fputs(i ? ", {" : "{", writer->stream);
        json_class_members(writer, target, probabilities, writer->indices[i]);
        fputc('}', writer->stream);
    }
    fputc(']', writer->stream);
}

static void json_labels(PfPredictionWriter *writer, const PfScorerTarget *target,
                        const float *probabilities)
{
    int found = 0;
    fputs("{\"labels\": [", writer->stream);
    for (int c = 0; c < target->outputs; c++) {
        if (!is_told(writer, probabilities[c])) continue;
        if (found++) fputs(", ", writer->stream);
        write_json_string(writer->stream, target->classes[c]);
    }
    fputs("], \"probabilities\": {", writer->stream);
    for (int c = 0; c < target->outputs; c++) {
        if (c) fputs(", ", writer->stream);
        write_json_string(writer->stream, target->classes[c]);
        fputs(": ", writer->stream);
        write_probability(writer->stream, (double)probabilities[c]);
    }
    fputs("}}", writer->stream);
}

/* A number, a list of them, or a list of points. */
static void json_numbers(PfPredictionWriter *writer, const PfScorerTarget *target,
                         const float *outputs)
{
    bool points = target->kind == PF_TARGET_KEYPOINTS, is_list = points || target->outputs > 1;
    if (is_list) fputc('[', writer->stream);
    for (int c = 0; c < target->outputs; c++) {
        if (c) fputs(", ", writer->stream);
        if (points && c % 2 == 0) fputc('[', writer->stream);
        write_number(writer->stream, (double)outputs[c]);
        if (points && c % 2) fputc(']', writer->stream);
    }
    if (is_list) fputc(']', writer->stream);
}

static void json_target(PfPredictionWriter *writer, const PfScorerTarget *target,
                        const float *outputs)
{
    write_json_string(writer->stream, target->name);
    fputs(": ", writer->stream);
    if (target->kind == PF_TARGET_CLASS) {
        fputc('{', writer->stream);
        json_class(writer, target, outputs);
        fputc('}', writer->stream);
    } else if (target->kind == PF_TARGET_MULTILABEL) {
        json_labels(writer, target, outputs);
    } else {
        json_numbers(writer, target, outputs);
    }
}

/* ---- images ---- */

int pf_prediction_writer_begin(PfPredictionWriter *writer, FILE *stream, bool json,
                               const PfScorer *scorer, const PfPredictOptions *options,
                               const PfLabelledSet *labelled, PfError *err)
{
    int most = 1;
    for (int t = 0; t < scorer->target_count; t++)
        most = (int)pf_max(most, scorer->targets[t].outputs);
    *writer = (PfPredictionWriter){.stream = stream,
                                   .scorer = scorer,
                                   .labelled = labelled,
                                   .json = json,
                                   .top = options->top,
                                   .threshold = options->threshold < 0 ? 0.5 : options->threshold,
                                   .tells_novelty = options->novelty,
                                   .reject = options->reject,
                                   .csv = {.stream = stream,
                                           .is_terminal = isatty(fileno(stream)),
                                           .shields_formulas = options->csv_safe}};
    writer->indices = pf_calloc((size_t)most, sizeof *writer->indices, err);
    writer->truth = pf_calloc((size_t)scorer->outputs, sizeof *writer->truth, err);
    if (!writer->indices || !writer->truth) return -1;
    if (json && labelled) fputs("{\"predictions\": ", stream);
    fputs(json ? "[" : "path", stream);
    for (int t = 0; !json && t < scorer->target_count; t++)
        head_target(writer, &scorer->targets[t]);
    if (!json && labelled) pf_truth_columns_head(&writer->csv, scorer);
    if (!json && writer->tells_novelty) fputs(",novelty", stream);
    if (!json) fputc('\n', stream);
    return 0;
}

static void add_csv(PfPredictionWriter *writer, int64_t row, const char *path, const float *outputs)
{
    const PfScorer *scorer = writer->scorer;
    pf_csv_write_field(&writer->csv, path);
    for (int t = 0; t < scorer->target_count; t++)
        csv_target(writer, &scorer->targets[t], outputs + scorer->targets[t].first);
    if (writer->labelled)
        pf_truth_columns_write(&writer->csv, writer->labelled, row, writer->truth);
    if (writer->tells_novelty)
        fprintf(writer->stream, isfinite(writer->novelty) ? ",%.1f" : ",", writer->novelty);
    fputc('\n', writer->stream);
}

/* `, "true": ..., "split": ...` */
static void json_truth(PfPredictionWriter *writer, int64_t row)
{
    cJSON *json = pf_truth_columns_json(writer->labelled, row, writer->truth), *item;
    cJSON_ArrayForEach(item, json)
    {
        char *text = pf_json_text(item);
        fputs(", ", writer->stream);
        write_json_string(writer->stream, item->string);
        fprintf(writer->stream, ": %s", text ? text : "null");
        cJSON_free(text);
    }
    cJSON_Delete(json);
}

static void add_json(PfPredictionWriter *writer, int64_t row, const char *path,
                     const float *outputs)
{
    const PfScorer *scorer = writer->scorer;
    fputs(writer->written ? ",\n {\"path\": " : "\n {\"path\": ", writer->stream);
    write_json_string(writer->stream, path);
    fputs(", ", writer->stream);
    if (is_plain(scorer)) json_class(writer, &scorer->targets[0], outputs);
    for (int t = 0; t < scorer->target_count && !is_plain(scorer); t++) {
        if (t) fputs(", ", writer->stream);
        json_target(writer, &scorer->targets[t], outputs + scorer->targets[t].first);
    }
    if (writer->labelled) json_truth(writer, row);
    if (writer->tells_novelty)
        fprintf(writer->stream,
                isfinite(writer->novelty) ? ", \"novelty\": %.1f" : ", \"novelty\": null",
                writer->novelty);
    fputc('}', writer->stream);
}

void pf_prediction_writer_add(PfPredictionWriter *writer, int64_t row, const char *path,
                              const float *outputs)
{
    if (writer->json)
        add_json(writer, row, path, outputs);
    else
        add_csv(writer, row, path, outputs);
    writer->written++;
    writer->rejected += is_rejected(writer);
}

/* errno says why. */
static int fail_write(const PfPredictionWriter *writer, PfError *err)
{
    if (!writer->path) return pf_fail_errno(err, "cannot write the predictions to standard output");
    return pf_fail_errno(err, "cannot write the predictions to '%s'", writer->path);
}

int pf_prediction_writer_check(const PfPredictionWriter *writer, PfError *err)
{
    return ferror(writer->stream) ? fail_write(writer, err) : 0;
}

int pf_prediction_writer_end(PfPredictionWriter *writer, PfError *err)
{
    if (writer->json) fputs(writer->written ? "\n]" : "]", writer->stream);
    if (writer->json && writer->labelled)
        fprintf(writer->stream, ",\n\"evaluation\": %s}",
                writer->evaluation ? writer->evaluation : "null");
    if (writer->json) fputc('\n', writer->stream);
    free(writer->indices);
    free(writer->truth);
    writer->indices = NULL;
    writer->truth = NULL;
    return fflush(writer->stream) || ferror(writer->stream) ? fail_write(writer, err) : 0;
}
