#include "predict/output.h"

#include <string.h>

#include "common/base/log.h"
#include "common/file/output.h"

/* What the options ask for, -o first. */
typedef struct Places {
    int count;
    const char *paths[PF_PREDICTION_OUTPUTS]; /* "-": stdout */
    bool are_json[PF_PREDICTION_OUTPUTS];
    PfOutput outputs[PF_PREDICTION_OUTPUTS];
} Places;

static void add_place(Places *places, const char *option, const char *path, bool is_json)
{
    int i = places->count++;
    places->paths[i] = path;
    places->are_json[i] = is_json;
    places->outputs[i] = (PfOutput){option, path, is_json ? PF_CONTENT_ROWS_JSON : PF_CONTENT_ROWS};
}

static void find_places(const PfPredictOptions *options, Places *places)
{
    *places = (Places){0};
    if (options->output)
        add_place(places, "-o", options->output, pf_output_has_suffix(options->output, ".json"));
    if (options->json) add_place(places, "--json", options->json, true);
    if (!places->count) add_place(places, "-o", "-", false);
}

int pf_prediction_output_check(const PfPredictOptions *options, PfError *err)
{
    Places places;
    find_places(options, &places);
    if (pf_output_check_all(places.outputs, places.count, &options->network.model,
                            (const char *[]){"the model"}, 1, err))
        return -1;
    if (pf_output_takes_stdout(places.outputs, places.count)) pf_log_show_on(stderr);
    for (int i = 0; i < places.count; i++) {
        if (!strcmp(places.paths[i], "-")) continue;
        for (int o = 0; o < options->operand_count; o++)
            if (pf_output_check_input(&places.outputs[i], options->operands[o],
                                      "what is to be predicted", err))
                return -1;
        if (pf_atomic_file_check(places.paths[i], err)) return -1;
    }
    return 0;
}

int pf_prediction_output_begin(PfPredictionOutput *output, const PfScorer *scorer,
                               const PfPredictOptions *options, const PfLabelledSet *labelled,
                               PfError *err)
{
    Places places;
    find_places(options, &places);
    *output = (PfPredictionOutput){0};
    for (int i = 0; i < places.count; i++) {
        bool is_file = strcmp(places.paths[i], "-") != 0;
        if (is_file && pf_atomic_file_begin(places.paths[i], &output->files[i], err)) return -1;
        FILE *stream = is_file ? pf_atomic_file_stream(output->files[i]) : stdout;
        output->count++;
        if (pf_prediction_writer_begin(&output->writers[i], stream, places.are_json[i], scorer,
                                       options, labelled, err))
            return -1;
        if (is_file) output->writers[i].path = places.paths[i];
    }
    return 0;
}

void pf_prediction_output_set_novelty(PfPredictionOutput *output, double novelty)
{
    for (int i = 0; i < output->count; i++) output->writers[i].novelty = novelty;
}

void pf_prediction_output_set_evaluation(PfPredictionOutput *output, const char *json)
{
    for (int i = 0; i < output->count; i++) output->writers[i].evaluation = json;
}

void pf_prediction_output_add(PfPredictionOutput *output, int64_t row, const char *path,
                              const float *outputs)
{
    for (int i = 0; i < output->count; i++)
        pf_prediction_writer_add(&output->writers[i], row, path, outputs);
}

int pf_prediction_output_check_written(const PfPredictionOutput *output, PfError *err)
{
    for (int i = 0; i < output->count; i++)
        if (pf_prediction_writer_check(&output->writers[i], err)) return -1;
    return 0;
}

void pf_prediction_output_flush(PfPredictionOutput *output)
{
    for (int i = 0; i < output->count; i++)
        if (!output->files[i]) fflush(output->writers[i].stream); /* its end tells failures */
}

int64_t pf_prediction_output_rows(const PfPredictionOutput *output)
{
    return output->count ? output->writers[0].written : 0;
}

int64_t pf_prediction_output_rejected(const PfPredictionOutput *output)
{
    return output->count ? output->writers[0].rejected : 0;
}

int pf_prediction_output_end(PfPredictionOutput *output, bool has_failed, PfError *err)
{
    int failed = 0;
    for (int i = 0; i < output->count; i++) {
        if (pf_prediction_writer_end(&output->writers[i], has_failed || failed ? NULL : err))
            failed = -1;
        if (!output->files[i]) continue;
        if (has_failed || failed)
            pf_atomic_file_abandon(&output->files[i]);
        else
            failed = pf_atomic_file_commit(&output->files[i], err);
    }
    output->count = 0;
    return failed;
}
