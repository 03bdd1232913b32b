/* JSON texts as they stand in caches and models: identities that are compared, preprocessing. */
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/model/preprocess_json.h"
#include "extract/plan/identity.h"
#include "fuzz.h"

/* One of two equal names, or an infinite number, may differ from itself; it is no failure. */
static void compare(cJSON *object)
{
    char *notes = NULL;
    PfError err = {0};
    FUZZ_CHECK(pf_identity_diff(object, "one", object, "the other", &notes, &err) >= 0);
    free(notes);
    notes = NULL;
    FUZZ_CHECK(pf_identity_diff(object, "one", NULL, "the other", &notes, &err) >= 0);
    free(notes);
}

static void read_preprocess(const cJSON *object)
{
    PfPreprocess preprocess, again;
    PfError err = {0};
    if (pf_preprocess_json_read(object, &preprocess, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    FUZZ_CHECK(preprocess.crop > 0 && preprocess.crop <= PF_SIDE_MAX);
    cJSON *written = pf_preprocess_json_new(&preprocess);
    FUZZ_CHECK(written && !pf_preprocess_json_read(written, &again, &err));
    FUZZ_CHECK(again.crop == preprocess.crop && again.resize == preprocess.resize);
    cJSON_Delete(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PfError err = {0};
    char *text = malloc(size + 1);
    FUZZ_CHECK(text);
    memcpy(text, data, size);
    text[size] = 0;
    cJSON *object = pf_json_parse(text, "a.h5", "identity", &err);
    free(text);
    if (!object) {
        fuzz_check_refusal(&err);
        return 0;
    }
    compare(object);
    read_preprocess(object);
    read_preprocess(cJSON_GetObjectItemCaseSensitive(object, "preprocess"));
    cJSON_Delete(object);
    return 0;
}
