/* A folder of CIFAR binary files, packed into one input: is it CIFAR-100; which of its files;
 * length of the class names' file (16 bits, 0: there is none); that file; the records. */
#include "fuzz.h"
#include "fuzz_samples.h"

static const char *const names[2][6] = {
    {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
     "data_batch_5.bin", "test_batch.bin"},
    {"train.bin", "test.bin", "train.bin", "test.bin", "train.bin", "test.bin"},
};

static const char *unpack(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder();
    int is_100 = data[0] & 1;
    size_t names_size = data[2] | (size_t)data[3] << 8;
    data += 4;
    size -= 4;
    if (names_size > size) names_size = size;
    if (names_size)
        fuzz_put(is_100 ? "fine_label_names.txt" : "batches.meta.txt", data, names_size);
    fuzz_put(names[is_100][data[-3] % 6], data + names_size, size - names_size);
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) return -1;
    fuzz_samples(unpack(data, size), 32);
    return 0;
}
