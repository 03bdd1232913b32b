#include "prediction_writer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* A CSV field (RFC 4180): quoted only where it must be. */
static void write_field(FILE *stream, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"') fputc('"', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static void write_json_string(FILE *stream, const char *text)
{
    cJSON *string = cJSON_CreateStringReference(text);
    char *quoted = cJSON_PrintUnformatted(string);
    fputs(quoted ? quoted : "null", stream);
    cJSON_free(quoted);
    cJSON_Delete(string);
}

int pf_prediction_writer_begin(PfPredictionWriter *writer, FILE *stream, const PfScorer *scorer,
                               int json, int top, PfError *err)
{
    *writer = (PfPredictionWriter){
        .stream = stream,
        .scorer = scorer,
        .json = json,
        .top = top < scorer->class_count ? top : scorer->class_count,
    };
    writer->indices = pf_calloc((size_t)writer->top, sizeof *writer->indices, err);
    if (!writer->indices) return -1;
    if (json) {
        fputs("[", stream);
        return 0;
    }
    fputs("path,label,probability", stream);
    for (int i = 2; i <= writer->top; i++) fprintf(stream, ",label%d,probability%d", i, i);
    fputc('\n', stream);
    return 0;
}

static void add_csv(PfPredictionWriter *writer, const char *path, const float *probabilities)
{
    write_field(writer->stream, path);
    for (int i = 0; i < writer->top; i++) {
        int class_index = writer->indices[i];
        fputc(',', writer->stream);
        write_field(writer->stream, writer->scorer->classes[class_index]);
        fprintf(writer->stream, ",%.6f", (double)probabilities[class_index]);
    }
    fputc('\n', writer->stream);
}

static void write_label(PfPredictionWriter *writer, const float *probabilities, int class_index)
{
    fputs("\"label\": ", writer->stream);
    write_json_string(writer->stream, writer->scorer->classes[class_index]);
    fprintf(writer->stream, ", \"probability\": %.6f", (double)probabilities[class_index]);
}

static void add_json(PfPredictionWriter *writer, const char *path, const float *probabilities)
{
    fputs(writer->written ? ",\n {\"path\": " : "\n {\"path\": ", writer->stream);
    write_json_string(writer->stream, path);
    fputs(", ", writer->stream);
    write_label(writer, probabilities, writer->indices[0]);
    fputs(", \"top\": [", writer->stream);
    for (int i = 0; i < writer->top; i++) {
        fputs(i ? ", {" : "{", writer->stream);
        write_label(writer, probabilities, writer->indices[i]);
        fputc('}', writer->stream);
    }
    fputs("]}", writer->stream);
}

void pf_prediction_writer_add(PfPredictionWriter *writer, const char *path,
                              const float *probabilities)
{
    pf_scorer_top(writer->scorer, probabilities, writer->top, writer->indices);
    if (writer->json)
        add_json(writer, path, probabilities);
    else
        add_csv(writer, path, probabilities);
    writer->written++;
}

int pf_prediction_writer_end(PfPredictionWriter *writer, PfError *err)
{
    if (writer->json) fputs(writer->written ? "\n]\n" : "]\n", writer->stream);
    free(writer->indices);
    writer->indices = NULL;
    if (fflush(writer->stream) || ferror(writer->stream))
        return pf_fail_errno(err, "cannot write the predictions");
    return 0;
}
