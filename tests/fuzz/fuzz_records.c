/* A folder of CIFAR's pickles or of idx files, packed into one input: which kind; 16 bits of the
 * length of its first file, the class names or the labels (0: there is none); that file; the file
 * of the pixels. */
#include "fuzz.h"
#include "fuzz_samples.h"

static const char *const names[][2] = {
    {"batches.meta", "data_batch_1"},
    {"meta", "test"},
    {"train-labels-idx1-ubyte", "train-images-idx3-ubyte"},
    {"emnist-letters-test-labels.idx1-ubyte.gz", "emnist-letters-test-images.idx3-ubyte.gz"},
};

static const char *unpack(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder();
    const char *const *kind = names[data[0] % 4];
    size_t first_size = data[1] | (size_t)data[2] << 8;
    data += 3;
    size -= 3;
    if (first_size > size) first_size = size;
    if (first_size) fuzz_put(kind[0], data, first_size);
    fuzz_put(kind[1], data + first_size, size - first_size);
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return -1;
    fuzz_samples(unpack(data, size), 0);
    return 0;
}
