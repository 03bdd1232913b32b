/* A folder of CIFAR binary files, packed into one input: is it CIFAR-100; which of its files;
 * length of the class names' file (16 bits, 0: there is none); that file; the records. */
#include "extract/dataset/dataset.h"
#include "fuzz.h"

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

static void read_samples(const PfDataset *dataset)
{
    static PfSampleBytes bytes;
    PfError err = {0};
    int class_count;
    pf_dataset_classes(dataset, &class_count);
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) {
        const PfSample *sample = &pf_dataset_samples(dataset)[i];
        FUZZ_CHECK(sample->class_index >= 0 && sample->class_index < class_count);
        FUZZ_CHECK(!pf_dataset_read(dataset, i, &bytes, &err));
        FUZZ_CHECK(bytes.width == 32 && bytes.height == 32 && bytes.size_bytes == 3072);
        fuzz_touch(bytes.data, bytes.size_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PfDataset *dataset;
    PfError err = {0};
    if (size < 4) return -1;
    if (pf_dataset_open(unpack(data, size), NULL, &dataset, &err)) {
        fuzz_check_refusal(&err);
        return 0;
    }
    read_samples(dataset);
    pf_dataset_close(&dataset);
    return 0;
}
