/* Model files as predict reads them: opened, applied to features, its answers printed. */
#include <stdio.h>

#include "extract/backbone/plan.h"
#include "fuzz.h"
#include "predict/model/scorer.h"
#include "predict/writer.h"

enum { ROWS = 2 };

static void print(const PfScorer *scorer, const float *probabilities, int json)
{
    static FILE *nowhere;
    PfPredictionWriter writer;
    PfError err = {0};
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    FUZZ_CHECK(nowhere);
    PfPredictOptions options = {.top = 3, .threshold = 0.5, .csv_safe = 1, .reject = 101};
    FUZZ_CHECK(!pf_prediction_writer_begin(&writer, nowhere, json, scorer, &options, NULL, &err));
    for (int row = 0; row < ROWS; row++)
        pf_prediction_writer_add(&writer, row, "a,b.jpg",
                                 probabilities + (int64_t)row * scorer->outputs);
    FUZZ_CHECK(!pf_prediction_writer_end(&writer, &err));
}

static void score(PfScorer *scorer)
{
    const float *probabilities;
    PfError err = {0};
    FUZZ_CHECK(scorer->tap && scorer->features > 0 && scorer->outputs > 0);
    float *features = calloc((size_t)scorer->features * ROWS, sizeof *features);
    FUZZ_CHECK(features);
    FUZZ_CHECK(!pf_scorer_score(scorer, ROWS, features, PF_DTYPE_F32, &probabilities, &err));
    fuzz_touch(probabilities, (size_t)scorer->outputs * ROWS * sizeof *probabilities);
    print(scorer, probabilities, 0);
    print(scorer, probabilities, 1);
    free(features);
}

static void use(const PfModel *model)
{
    const cJSON *metadata = pf_model_metadata(model);
    PfPreprocess preprocess;
    PfScorer *scorer;
    PfError err = {0};
    if (pf_preprocess_json_read(cJSON_GetObjectItemCaseSensitive(metadata, "preprocess"),
                                &preprocess, &err))
        fuzz_check_refusal(&err);
    else
        FUZZ_CHECK(preprocess.crop > 0 && preprocess.resize >= 0);
    if (pf_scorer_new(model, &scorer, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    score(scorer);
    pf_scorer_free(&scorer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PfModel *model;
    PfError err = {0};
    if (size < 9 || data[8] != '{') return -1;
    if (pf_model_open(fuzz_file(data, size), &model, &err)) {
        fuzz_check_refusal(&err);
        return 0;
    }
    use(model);
    pf_model_close(&model);
    return 0;
}
