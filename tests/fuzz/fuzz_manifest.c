/* A manifest beside two images: a byte that chooses options, one that chooses the ending, and the
 * file. */
#include <string.h>

#include "common/file/csv.h"
#include "extract/dataset/dataset.h"
#include "fuzz.h"

static const char *const endings[] = {"list.csv", "list.tsv", "list.txt", "list.lst"};
static const char *const targets[][2] = {
    {"tags:multilabel", "age:regression"},
    {"age:class", "tags"},
    {"look:multilabel=red,round", "age"},
    {"eye:keypoints=x..y", "pair:regression=y,x"},
};

/* Bits of the first byte: 0-2 what is said of the table, 3 whether targets are asked for, 4-5
 * which, 6 the reading of the first versions. */
static PfDatasetOptions choose_options(uint8_t bits)
{
    static const PfTableOptions tables[] = {
        {0},
        {.no_header = 1, .suffix = ".jpg"},
        {.decimal = ",", .separator = ","},
        {.decimal = ".", .separator = " \t"},
        {.encoding = "WINDOWS-1252", .split_column = "none"},
        {.encoding = "UTF-16LE"},
        {.split_column = "set=0,1"},
        {.split_column = "fold"},
    };
    return (PfDatasetOptions){
        .table = tables[bits & 7],
        .targets = targets[bits >> 4 & 3],
        .target_count = bits & 8 ? 2 : 0,
        .as_before = bits >> 6 & 1,
    };
}

static void read_records(const char *path, const PfCsvOptions *options)
{
    PfCsvReader *reader;
    const char *const *fields;
    int count, status;
    PfError err = {0};
    if (pf_csv_open(path, options, &reader, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    int64_t line = 0;
    while ((status = pf_csv_next(reader, &fields, &count, &err)) > 0) {
        FUZZ_CHECK(count > 0 && pf_csv_line(reader) > line);
        line = pf_csv_line(reader);
        for (int i = 0; i < count; i++) fuzz_touch(fields[i], strlen(fields[i]));
    }
    if (status < 0) fuzz_check_refusal(&err);
    pf_csv_close(&reader);
}

static void check_row(const PfDataset *dataset, int64_t row)
{
    int count;
    const PfCacheTarget *found = pf_dataset_targets(dataset, &count);
    const int32_t *indices = pf_dataset_class_indices(dataset, row);
    const float *values = pf_dataset_values(dataset, row);
    const PfSample *sample = &pf_dataset_samples(dataset)[row];
    FUZZ_CHECK(*sample->path && sample->split < PF_SPLIT_COUNT);
    for (int t = 0; t < count; t++) {
        FUZZ_CHECK(*found[t].name && found[t].width > 0);
        if (found[t].kind == PF_TARGET_CLASS) {
            FUZZ_CHECK(*indices >= -1 && *indices < found[t].class_count);
            indices++;
        } else {
            fuzz_touch(values, (size_t)found[t].width * sizeof *values);
            values += found[t].width;
        }
    }
}

static void check_dataset(const PfDataset *dataset)
{
    int count;
    const PfCacheTarget *found = pf_dataset_targets(dataset, &count);
    for (int t = 0; t < count; t++)
        for (int i = 0; i < found[t].class_count; i++)
            fuzz_touch(found[t].classes[i], strlen(found[t].classes[i]));
    FUZZ_CHECK(pf_dataset_count(dataset) > 0);
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) check_row(dataset, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[128];
    PfDataset *dataset;
    PfError err = {0};
    if (size < 2) return -1;
    PfDatasetOptions options = choose_options(data[0]);
    const char *name = endings[data[1] & 3];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    fuzz_put("a.jpg", "x", 1);
    fuzz_put("b.png", "x", 1);
    fuzz_put(name, data + 2, size - 2);
    read_records(path, &(PfCsvOptions){options.table.encoding, options.as_before});
    if (pf_dataset_open(path, &options, &dataset, &err)) {
        fuzz_check_refusal(&err);
        return 0;
    }
    check_dataset(dataset);
    pf_dataset_close(&dataset);
    return 0;
}
