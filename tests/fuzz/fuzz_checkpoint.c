/* Checkpoints as `train --resume` reads them: into the arrays of its run, or none of it. */
#include "fuzz.h"
#include "train/head/checkpoint.h"

typedef struct State {
    float weight[6];
    int64_t step;
} State;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    State state = {.step = -1};
    PfCheckpoint *checkpoint;
    PfError err = {0};
    int found = 0;
    if (size < 9 || data[8] != '{') return -1;
    FUZZ_CHECK(!pf_checkpoint_new(fuzz_file(data, size), "a run", &checkpoint, &err));
    FUZZ_CHECK(!pf_checkpoint_add(checkpoint, "weight", state.weight, sizeof state.weight, &err));
    FUZZ_CHECK(!pf_checkpoint_add(checkpoint, "step", &state.step, sizeof state.step, &err));
    if (pf_checkpoint_read(checkpoint, &found, &err)) {
        fuzz_check_refusal(&err);
        FUZZ_CHECK(state.step == -1 && state.weight[0] == 0);
    } else {
        FUZZ_CHECK(found);
    }
    fuzz_touch(&state, sizeof state);
    pf_checkpoint_free(&checkpoint);
    return 0;
}
