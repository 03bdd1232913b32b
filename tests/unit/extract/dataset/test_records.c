/* CIFAR's pickles and idx files: what they claim is compared with what is there. Their rows and
 * pixels are compared with torchvision's in tests/parity/dataset_parity.py. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "extract/dataset/dataset.h"

static char top[64];
static PfDataset *dataset;
static PfError err;

static void make_top(void)
{
    strcpy(top, "/tmp/pf_records_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    dataset = NULL;
    err = (PfError){0};
}

static void remove_top(void)
{
    char command[192];
    pf_dataset_close(&dataset);
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    ck_assert_int_eq(system(command), 0);
}

static const char *in_top(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

static void make_file(const char *name, const void *data, size_t size)
{
    FILE *stream = fopen(in_top(name), "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(data, 1, size, stream), size);
    ck_assert_int_eq(fclose(stream), 0);
}

static void assert_fails(const char *operand, PfExit code, const char *words)
{
    ck_assert_int_eq(pf_dataset_open(operand, NULL, &dataset, &err), -1);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
    ck_assert_int_eq(err.exit_code, code);
}

static void open_dataset(const char *operand)
{
    pf_dataset_close(&dataset);
    if (pf_dataset_open(operand, NULL, &dataset, &err)) ck_abort_msg("%s", err.message);
}

static const char *class_name(int index)
{
    int count;
    const char *const *classes = pf_dataset_classes(dataset, &count);
    ck_assert_int_lt(index, count);
    return classes[index];
}

/* ---- pickles ---- */

static uint8_t pickle[40000];
static size_t pickle_size;

static void put(const void *bytes, size_t size)
{
    ck_assert_uint_le(pickle_size + size, sizeof pickle);
    memcpy(pickle + pickle_size, bytes, size);
    pickle_size += size;
}

static void put_text(const char *text)
{
    const uint8_t head[2] = {'U', (uint8_t)strlen(text)};
    put(head, 2);
    put(text, strlen(text));
}

/* An opcode and a number of four bytes. */
static void put_number(char opcode, uint32_t number)
{
    const uint8_t bytes[5] = {(uint8_t)opcode, (uint8_t)number, (uint8_t)(number >> 8),
                              (uint8_t)(number >> 16), (uint8_t)(number >> 24)};
    put(bytes, 5);
}

/* What a batch says, and has. */
typedef struct Batch {
    const char *labels_key, *type, *call;
    uint32_t rows, columns; /* claimed */
    uint32_t bytes;         /* of pixels that are there */
    int labels, label;
    bool is_fortran;
} Batch;

static const Batch sound = {.labels_key = "labels",
                            .type = "u1",
                            .call = "cnumpy.core.multiarray\n_reconstruct\n",
                            .rows = 3,
                            .columns = 3072,
                            .bytes = 3 * 3072,
                            .labels = 3,
                            .label = 7};

static void put_array(const Batch *batch)
{
    put(batch->call, strlen(batch->call));
    put("cnumpy\nndarray\nK\0\x85U\1b\x87R(K\1", 26);
    put_number('J', batch->rows);
    put_number('J', batch->columns);
    put("\x86"
        "cnumpy\ndtype\n",
        14);
    put_text(batch->type);
    put("K\0K\1\x87R(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb", 29);
    put(batch->is_fortran ? "\x88" : "\x89", 1);
    put_number('T', batch->bytes);
    for (uint32_t i = 0; i < batch->bytes; i++) pickle[pickle_size++] = (uint8_t)(i % 251);
    put("tb", 2);
}

static void make_batch(const char *name, const Batch *batch)
{
    pickle_size = 0;
    put("\x80\2}(", 4);
    put_text(batch->labels_key);
    put("](", 2);
    for (int i = 0; i < batch->labels; i++) put_number('J', (uint32_t)batch->label);
    put("e", 1);
    put_text("data");
    put_array(batch);
    put("u.", 2);
    make_file(name, pickle, pickle_size);
}

static void make_names(const char *name, const char *key, int count)
{
    pickle_size = 0;
    put("\x80\2}(", 4);
    put_text(key);
    put("](", 2);
    for (int i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "name%d", i);
        put_text(text);
    }
    put("eu.", 3);
    make_file(name, pickle, pickle_size);
}

START_TEST(pickles_of_cifar_give_rows_and_pixels)
{
    Batch second = sound;
    second.label = 2;
    make_names("batches.meta", "label_names", 10);
    make_batch("data_batch_1", &sound);
    make_batch("test_batch", &second);
    open_dataset(top);
    const PfSample *samples = pf_dataset_samples(dataset);
    ck_assert_str_eq(pf_dataset_kind(dataset), "CIFAR-10 pickles");
    ck_assert_int_eq(pf_dataset_count(dataset), 6);
    ck_assert_str_eq(samples[5].path, "test_batch#2");
    ck_assert_int_eq(samples[5].split, PF_SPLIT_TEST);
    ck_assert_int_eq(samples[5].class_index, 2);
    ck_assert_str_eq(class_name(samples[0].class_index), "name7");
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, 4, &bytes, &err), 0);
    ck_assert_uint_eq(bytes.size_bytes, 3072);
    for (size_t i = 0; i < 1024; i++)
        for (size_t c = 0; c < 3; c++)
            ck_assert_uint_eq(bytes.data[3 * i + c], (3072 + 1024 * c + i) % 251);
    pf_sample_bytes_free(&bytes);
}
END_TEST

START_TEST(the_fine_label_of_cifar_100_is_taken)
{
    Batch batch = sound;
    batch.labels_key = "fine_labels";
    batch.label = 99;
    make_batch("train", &batch);
    open_dataset(top);
    ck_assert_str_eq(pf_dataset_kind(dataset), "CIFAR-100 pickles");
    ck_assert_str_eq(class_name(pf_dataset_samples(dataset)[0].class_index), "99");
    make_names("meta", "fine_label_names", 100);
    open_dataset(top);
    ck_assert_str_eq(class_name(99), "name99");
}
END_TEST

#define BROKEN(member, value, words)                                                               \
    do {                                                                                           \
        Batch batch = sound;                                                                       \
        batch.member = value;                                                                      \
        make_batch("data_batch_1", &batch);                                                        \
        assert_fails(top, PF_EXIT_FAILED, words);                                                  \
    } while (0)

START_TEST(pickles_that_claim_too_much_are_refused)
{
    BROKEN(bytes, 3 * 3072 - 1, "shape says 9216 bytes, and there are 9215");
    BROKEN(bytes, 3 * 3072 + 1, "shape says 9216 bytes, and there are 9217");
    BROKEN(rows, 4, "shape says 12288 bytes");
    BROKEN(rows, 0x7fffffff, "and there are 9216");
    BROKEN(rows, (uint32_t)-3, "in a way that NumPy does not");
    BROKEN(columns, 1024, "shape says 3072 bytes");
    BROKEN(labels, 2, "'labels' in data_batch_1 has 2 items, expected 3");
    BROKEN(label, 10, "record 0 of data_batch_1 has a label that is no whole number from 0 to 9");
    BROKEN(label, -1, "no whole number from 0 to 9");
    BROKEN(labels_key, "coarse", "has no list 'labels'");
    BROKEN(type, "f4", "is of type 'f4'");
    BROKEN(is_fortran, true, "column by column");
    make_batch("data_batch_1", &sound);
    make_names("batches.meta", "label_names", 9);
    assert_fails(top, PF_EXIT_FAILED, "'label_names' in batches.meta has 9 items, expected 10");
    make_names("batches.meta", "names", 10);
    assert_fails(top, PF_EXIT_FAILED, "has no list 'label_names'");
}
END_TEST

START_TEST(cut_pickles_and_other_shapes_are_refused)
{
    make_batch("data_batch_1", &sound);
    ck_assert_int_eq(truncate(in_top("data_batch_1"), (off_t)pickle_size - 100), 0);
    assert_fails(top, PF_EXIT_FAILED, "truncated?");
    Batch batch = sound;
    batch.columns = 1024;
    batch.rows = 9;
    make_batch("data_batch_1", &batch);
    assert_fails(top, PF_EXIT_FAILED, "expected (N, 3072) of uint8");
    make_file("data_batch_1", "\x80\2].", 4);
    assert_fails(top, PF_EXIT_FAILED, "something else than a dict");
    make_file("data_batch_1", "\x80\2}.", 4);
    assert_fails(top, PF_EXIT_FAILED, "has no array 'data'");
}
END_TEST

/* Names of weights are not those of arrays, and no code runs. */
START_TEST(pickles_that_ask_for_other_names_are_refused)
{
    Batch batch = sound;
    batch.call = "cposix\nsystem\n";
    make_batch("data_batch_1", &batch);
    assert_fails(top, PF_EXIT_FAILED, "asks for 'posix.system', which a file of NumPy arrays");
    batch.call = "ctorch._utils\n_rebuild_tensor_v2\n";
    make_batch("data_batch_1", &batch);
    assert_fails(top, PF_EXIT_FAILED, "asks for 'torch._utils._rebuild_tensor_v2'");
    batch.call = "cnumpy\nndarray\n";
    make_batch("data_batch_1", &batch);
    assert_fails(top, PF_EXIT_FAILED, "calls 'numpy.ndarray'");
}
END_TEST

START_TEST(a_file_called_train_may_be_anything)
{
    make_file("train", "a.jpg\nb.jpg\n", 12);
    ck_assert_int_eq(mkdir(in_top("a"), 0777), 0);
    make_file("a/1.jpg", "x", 1);
    open_dataset(top);
    ck_assert_str_eq(pf_dataset_kind(dataset), "class folders");
}
END_TEST

/* ---- idx files ---- */

typedef struct Idx {
    int type, rank;
    uint32_t dims[3];
    size_t bytes;
} Idx;

static size_t pack_idx(const Idx *idx, uint8_t *out)
{
    size_t size = 4;
    memcpy(out, (const uint8_t[]){0, 0, (uint8_t)idx->type, (uint8_t)idx->rank}, 4);
    for (int i = 0; i < idx->rank && i < 3; i++, size += 4)
        for (int b = 0; b < 4; b++) out[size + (size_t)b] = (uint8_t)(idx->dims[i] >> (24 - 8 * b));
    for (size_t i = 0; i < idx->bytes; i++) out[size + i] = (uint8_t)(i % 10);
    return size + idx->bytes;
}

static void make_idx(const char *name, Idx idx)
{
    uint8_t bytes[4096];
    make_file(name, bytes, pack_idx(&idx, bytes));
}

static void make_packed(const char *name, Idx idx)
{
    uint8_t bytes[4096];
    size_t size = pack_idx(&idx, bytes);
    gzFile stream = gzopen(in_top(name), "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(gzwrite(stream, bytes, (unsigned)size), (int)size);
    ck_assert_int_eq(gzclose(stream), Z_OK);
}

static const Idx images = {8, 3, {12, 4, 5}, 240}, labels = {8, 1, {12}, 12};

START_TEST(idx_files_give_grey_images)
{
    make_idx("train-images-idx3-ubyte", images);
    make_idx("train-labels-idx1-ubyte", labels);
    make_packed("t10k-images.idx3-ubyte.gz", images);
    make_packed("t10k-labels.idx1-ubyte.gz", labels);
    open_dataset(top);
    const PfSample *samples = pf_dataset_samples(dataset);
    ck_assert_int_eq(pf_dataset_count(dataset), 24);
    ck_assert_str_eq(samples[23].path, "t10k-images.idx3-ubyte.gz#11");
    ck_assert_int_eq(samples[23].split, PF_SPLIT_TEST);
    ck_assert_int_eq(samples[23].class_index, 1);
    ck_assert_str_eq(class_name(9), "9");
    PfSampleBytes bytes = {0};
    for (int i = 1; i < 24; i += 12) {
        ck_assert_int_eq(pf_dataset_read(dataset, i, &bytes, &err), 0);
        ck_assert(bytes.width == 5 && bytes.height == 4 && bytes.size_bytes == 60);
        for (size_t b = 0; b < 60; b++) ck_assert_uint_eq(bytes.data[b], (20 + b / 3) % 10);
    }
    struct stat status;
    ck_assert_int_eq(stat(in_top("t10k-images.idx3-ubyte.gz"), &status), 0);
    ck_assert(pf_dataset_has_file(dataset, &status));
    pf_sample_bytes_free(&bytes);
}
END_TEST

START_TEST(idx_files_may_lie_in_a_folder_raw)
{
    ck_assert_int_eq(mkdir(in_top("raw"), 0777), 0);
    make_idx("raw/train-images-idx3-ubyte", images);
    make_idx("raw/train-labels-idx1-ubyte", labels);
    open_dataset(top);
    PfSampleBytes bytes = {0};
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "train-images-idx3-ubyte#0");
    ck_assert_int_eq(pf_dataset_read(dataset, 0, &bytes, &err), 0);
    pf_sample_bytes_free(&bytes);
}
END_TEST

START_TEST(idx_files_of_several_sets_are_asked_about)
{
    make_idx("emnist-letters-train-images-idx3-ubyte", images);
    make_idx("emnist-letters-train-labels-idx1-ubyte", labels);
    make_idx("emnist-digits-test-images-idx3-ubyte", images);
    make_idx("emnist-digits-test-labels-idx1-ubyte", labels);
    assert_fails(top, PF_EXIT_USAGE, "of several sets");
    open_dataset(in_top("emnist-letters-train-images-idx3-ubyte"));
    ck_assert_int_eq(pf_dataset_count(dataset), 12);
    ck_assert_str_eq(class_name(26), "26");
    int warnings;
    const char *const *warning = pf_dataset_warnings(dataset, &warnings);
    ck_assert_int_eq(warnings, 1);
    ck_assert_ptr_nonnull(strstr(warning[0], "'emnist-letters-test-images-idx3-ubyte'"));
    open_dataset(in_top("emnist-digits-test-labels-idx1-ubyte"));
    ck_assert_int_eq(pf_dataset_samples(dataset)[0].split, PF_SPLIT_TEST);
}
END_TEST

#define BROKEN_IDX(name, idx, words)                                                               \
    do {                                                                                           \
        make_idx("train-images-idx3-ubyte", images);                                               \
        make_idx("train-labels-idx1-ubyte", labels);                                               \
        make_idx(name, idx);                                                                       \
        assert_fails(top, PF_EXIT_FAILED, words);                                                  \
    } while (0)

START_TEST(idx_files_that_claim_too_much_are_refused)
{
    const char *i = "train-images-idx3-ubyte", *l = "train-labels-idx1-ubyte";
    BROKEN_IDX(i, ((Idx){8, 3, {12, 4, 5}, 239}), "claims 240 bytes after its header of 16, and");
    BROKEN_IDX(i, ((Idx){8, 3, {12, 4, 5}, 241}), "and there are 241");
    BROKEN_IDX(i, ((Idx){8, 3, {0xffffffff, 4096, 4096}, 241}), "and there are 241");
    BROKEN_IDX(i, ((Idx){8, 3, {12, 4097, 1}, 9}), "a side of 4097 pixels");
    BROKEN_IDX(i, ((Idx){8, 3, {12, 4, 0}, 0}), "a side of 0 pixels");
    BROKEN_IDX(i, ((Idx){8, 2, {12, 20}, 240}), "along 2 axes; expected unsigned bytes (0x08)");
    BROKEN_IDX(i, ((Idx){13, 3, {12, 4, 5}, 960}), "holds 32-bit floats (type 0x0d)");
    BROKEN_IDX(l, ((Idx){8, 1, {11}, 11}), "has 11 labels for 12 images");
    BROKEN_IDX(l, ((Idx){8, 3, {12, 1, 1}, 12}), "along 3 axes; expected");
    make_file(l, "\0\0\10\1\0\0\0\14\1\1\1\1\1\1\1\1\1\1\1\12", 20);
    assert_fails(top, PF_EXIT_FAILED, "there is a label 10; files of these names have 0 to 9");
    make_file(i, "\0\0\10\3\0\0", 6);
    assert_fails(top, PF_EXIT_FAILED, "ends within its header");
    make_file(i, "P5 28 28 255\n", 13);
    assert_fails(top, PF_EXIT_FAILED, "is no idx file");
    make_idx(i, images);
    ck_assert_int_eq(unlink(in_top(l)), 0);
    assert_fails(top, PF_EXIT_FAILED, "without its labels (train-labels-idx1-ubyte)");
}
END_TEST

START_TEST(other_idx_files_are_refused_by_name)
{
    make_idx("qmnist-train-images-idx3-ubyte", images);
    make_idx("qmnist-train-labels-idx2-int", labels);
    assert_fails(top, PF_EXIT_FAILED, "holds labels by its name (idx2-int); only idx1-ubyte");
    ck_assert_int_eq(unlink(in_top("qmnist-train-images-idx3-ubyte")), 0);
    make_idx("qmnist-train-images-idx4-float", images);
    assert_fails(top, PF_EXIT_FAILED, "holds images by its name (idx4-float); only idx3-ubyte");
}
END_TEST

START_TEST(packed_idx_files_unpack_to_what_they_claim)
{
    const char *name = "train-images-idx3-ubyte.gz";
    struct stat status;
    make_idx("train-labels-idx1-ubyte", labels);
    make_packed(name, (Idx){8, 3, {12, 4, 5}, 200});
    assert_fails(top, PF_EXIT_FAILED, "cannot be unpacked: it ends too soon");
    make_packed(name, (Idx){8, 3, {12, 4, 5}, 250});
    assert_fails(top, PF_EXIT_FAILED, "and there are more");
    make_packed(name, (Idx){8, 3, {4000000, 4096, 1}, 250});
    assert_fails(top, PF_EXIT_FAILED, "claims to unpack to 16384000000 bytes");
    make_packed(name, images);
    ck_assert_int_eq(stat(in_top(name), &status), 0);
    ck_assert_int_eq(truncate(in_top(name), status.st_size - 5), 0);
    assert_fails(top, PF_EXIT_FAILED, "cannot be unpacked");
    make_idx(name, images);
    assert_fails(top, PF_EXIT_FAILED, "is not packed by gzip");
    make_packed(name, images);
    open_dataset(top);
    ck_assert_int_eq(pf_dataset_count(dataset), 12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("records");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, make_top, remove_top);
    tcase_add_test(cases, pickles_of_cifar_give_rows_and_pixels);
    tcase_add_test(cases, the_fine_label_of_cifar_100_is_taken);
    tcase_add_test(cases, pickles_that_claim_too_much_are_refused);
    tcase_add_test(cases, cut_pickles_and_other_shapes_are_refused);
    tcase_add_test(cases, pickles_that_ask_for_other_names_are_refused);
    tcase_add_test(cases, a_file_called_train_may_be_anything);
    tcase_add_test(cases, idx_files_give_grey_images);
    tcase_add_test(cases, idx_files_may_lie_in_a_folder_raw);
    tcase_add_test(cases, idx_files_of_several_sets_are_asked_about);
    tcase_add_test(cases, idx_files_that_claim_too_much_are_refused);
    tcase_add_test(cases, other_idx_files_are_refused_by_name);
    tcase_add_test(cases, packed_idx_files_unpack_to_what_they_claim);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
