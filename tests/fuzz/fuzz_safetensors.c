/* .safetensors files. */
#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 9 || data[8] != '{') return -1;
    fuzz_weights(data, size);
    return 0;
}
