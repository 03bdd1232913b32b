/* Prints what a dataset holds, for tests: list_dataset DATASET [VAL [TEST]]
 *
 *   kind\tclass folders
 *   class\tants
 *   sample\ttrain\t0\tants/1.jpg        (split, class index, path)
 *   warning\t...
 *
 * With PF_LIST_READ set in the environment, every sample is read as well; with PF_LIST_READ=pixels
 * those that come decoded are printed:
 *
 *   pixels\t32\t32\t00ff...         (width, height, RGB in hexadecimal digits) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "extract/dataset/dataset.h"

static void print_dataset(const PfDataset *dataset)
{
    static const char *const split_names[PF_SPLIT_COUNT] = {"train", "val", "test"};
    int count;
    printf("kind\t%s\n", pf_dataset_kind(dataset));
    const char *const *classes = pf_dataset_classes(dataset, &count);
    for (int i = 0; i < count; i++) printf("class\t%s\n", classes[i]);
    const PfSample *samples = pf_dataset_samples(dataset);
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++)
        printf("sample\t%s\t%d\t%s\n", split_names[samples[i].split], samples[i].class_index,
               samples[i].path);
    const char *const *warnings = pf_dataset_warnings(dataset, &count);
    for (int i = 0; i < count; i++) printf("warning\t%s\n", warnings[i]);
}

static void print_pixels(const PfSampleBytes *bytes)
{
    printf("pixels\t%d\t%d\t", bytes->width, bytes->height);
    for (size_t i = 0; i < bytes->size_bytes; i++) printf("%02x", bytes->data[i]);
    printf("\n");
}

static void read_samples(const PfDataset *dataset)
{
    const bool prints = !strcmp(getenv("PF_LIST_READ"), "pixels");
    PfSampleBytes bytes = {0};
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) {
        PfError err = {0};
        if (pf_dataset_read(dataset, i, &bytes, &err))
            printf("rejected\t%s\t%s\n", pf_dataset_samples(dataset)[i].path, err.message);
        else if (prints && bytes.width)
            print_pixels(&bytes);
    }
    pf_sample_bytes_free(&bytes);
}

int main(int argc, char **argv)
{
    pf_log_setup("list_dataset", PF_NORMAL);
    if (argc < 2) {
        fprintf(stderr, "usage: list_dataset DATASET [VAL [TEST]]\n");
        return PF_EXIT_USAGE;
    }
    PfDatasetOptions options = {.split_by_path = 1};
    if (argc > 2) options.val_fraction = atof(argv[2]);
    if (argc > 3) options.test_fraction = atof(argv[3]);
    PfDataset *dataset;
    PfError err = {0};
    double started = pf_clock_seconds();
    if (pf_dataset_open(argv[1], &options, &dataset, &err)) return pf_log_error(&err);
    pf_say("%lld images listed in %.3f s, peak memory %.1f MB",
           (long long)pf_dataset_count(dataset), pf_clock_seconds() - started,
           (double)pf_memory_peak_bytes() / 1e6);
    print_dataset(dataset);
    if (getenv("PF_LIST_READ")) read_samples(dataset);
    pf_dataset_close(&dataset);
    return PF_EXIT_DONE;
}
