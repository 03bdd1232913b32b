/* An archive as it is, or a tar whose headers are given the checksums that they should have: listed
 * as a dataset, and its images read. */
#include <string.h>

#include "common/base/log.h"
#include "extract/dataset/dataset.h"
#include "fuzz.h"

enum { BLOCK = 512, MAGIC = 257, CHECKSUM = 148, CHECKSUM_SIZE = 8 };

/* Damage would not get past the checksums. */
static void sign_headers(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
        uint8_t *block = bytes + at;
        unsigned sum = 0;
        if (memcmp(block + MAGIC, "ustar", 5)) continue;
        memset(block + CHECKSUM, ' ', CHECKSUM_SIZE);
        for (int i = 0; i < BLOCK; i++) sum += block[i];
        for (int i = 5; i >= 0; i--, sum /= 8) block[CHECKSUM + i] = (uint8_t)('0' + sum % 8);
    }
}

static void read_samples(const PfDataset *dataset)
{
    static PfSampleBytes bytes;
    uint8_t head[64];
    int class_count;
    pf_dataset_classes(dataset, &class_count);
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) {
        const PfSample *sample = &pf_dataset_samples(dataset)[i];
        PfError err = {0};
        PfFileStamp stamp;
        FUZZ_CHECK(sample->class_index >= -1 && sample->class_index < class_count);
        FUZZ_CHECK(*sample->path);
        FUZZ_CHECK(!pf_dataset_stat(dataset, i, &stamp));
        fuzz_touch(head, pf_dataset_read_head(dataset, i, head, sizeof head));
        if (pf_dataset_read(dataset, i, &bytes, &err)) {
            fuzz_check_refusal(&err);
            continue;
        }
        FUZZ_CHECK(bytes.size_bytes == stamp.size_bytes);
        fuzz_touch(bytes.data, bytes.size_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PfDataset *dataset;
    PfError err = {0};
    uint8_t *bytes = malloc(size + 1);
    if (!bytes) return -1;
    memcpy(bytes, data, size);
    sign_headers(bytes, size);
    pf_log_setup("fuzz_archive", PF_QUIET);
    const char *path = fuzz_file(bytes, size);
    free(bytes);
    if (pf_dataset_open(path, NULL, &dataset, &err)) {
        fuzz_check_refusal(&err);
        return 0;
    }
    read_samples(dataset);
    pf_dataset_close(&dataset);
    return 0;
}
