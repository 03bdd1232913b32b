#include "fuzz_samples.h"

#include "extract/dataset/dataset.h"
#include "fuzz.h"

static void read_samples(const PfDataset *dataset, int side)
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
        FUZZ_CHECK(!side || (bytes.width == side && bytes.height == side));
        FUZZ_CHECK(bytes.size_bytes == 3 * (size_t)bytes.width * (size_t)bytes.height);
        fuzz_touch(bytes.data, bytes.size_bytes);
    }
}

void fuzz_samples(const char *folder, int side)
{
    PfDataset *dataset;
    PfError err = {0};
    if (pf_dataset_open(folder, NULL, &dataset, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    read_samples(dataset, side);
    pf_dataset_close(&dataset);
}
