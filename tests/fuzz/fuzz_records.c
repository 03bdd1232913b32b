/* A folder of CIFAR's pickles or of idx files, packed into one input: which kind; 16 bits of the
 * length of its first file, the class names or the labels (0: there is none); that file; the file
 * of the pixels. */
#include "extract/dataset/dataset.h"
#include "fuzz.h"

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
        FUZZ_CHECK(bytes.width > 0 && bytes.height > 0);
        FUZZ_CHECK(bytes.size_bytes == 3 * (size_t)bytes.width * (size_t)bytes.height);
        fuzz_touch(bytes.data, bytes.size_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PfDataset *dataset;
    PfError err = {0};
    if (size < 3) return -1;
    if (pf_dataset_open(unpack(data, size), NULL, &dataset, &err)) {
        fuzz_check_refusal(&err);
        return 0;
    }
    read_samples(dataset);
    pf_dataset_close(&dataset);
    return 0;
}
