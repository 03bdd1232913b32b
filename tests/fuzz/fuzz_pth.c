/* torch .pth files, zip and legacy. */
#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || (data[0] != 'P' && data[0] != 0x80)) return -1;
    fuzz_weights(data, size);
    return 0;
}
