/* Feeds bytes to the weight readers and reads every tensor they find.
 *
 * With libFuzzer: cmake -DPF_FUZZ=ON (clang), then build/tests/fuzz_weights
 * CORPUS_DIR. Without: reads the files given as arguments. */
#include <stdio.h>
#include <stdlib.h>

#include "digest.h"
#include "weights_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    PfWeights *weights;
    PfError err = {0};
    if (pf_weights_open_bytes("fuzzed", bytes, size, &weights, &err)) {
        if (weights || !err.message[0]) abort();
        return 0;
    }
    size_t count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    for (size_t i = 0; i < count; i++) {
        const PfTensorView *view = &tensors[i].view;
        uint8_t digest[16];
        pf_xxh128(view->data, (size_t)pf_shape_count(&view->shape) * pf_dtype_size(view->dtype),
                  digest);
        if (pf_weights_find_tensor(weights, tensors[i].name) != view) abort();
    }
    pf_weights_close(&weights);
    return 0;
}

#ifndef PF_FUZZ
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file || fseek(file, 0, SEEK_END)) return 1;
        long size = ftell(file);
        uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
        rewind(file);
        if (size < 0 || !bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) return 1;
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, (size_t)size);
        free(bytes);
    }
    return 0;
}
#endif
