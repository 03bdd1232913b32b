/* Model files and the safetensors they are written as. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/model/model_file.h"
#include "common/weights/weights.h"

static char folder[] = "/tmp/permafrost-model-XXXXXX", path[64];

static void make_folder(void)
{
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* no temporary file was left in it */
}

static const float weight[6] = {1, 2, 3, 4, 5, 6}, bias[2] = {7, 8};
static const PfNamedTensor tensors[3] = {{"fc.weight", {PF_DTYPE_F32, {2, {2, 3}}, weight}},
                                         {"fc.bias", {PF_DTYPE_F32, {1, {2}}, bias}},
                                         {"other.bias", {PF_DTYPE_F32, {1, {1}}, bias}}};

#define TARGET                                                                                     \
    "{\"name\":\"label\",\"kind\":\"class\",\"classes\":[\"ant\",\"b\u00e9e\"],"                   \
    "\"weight\":\"fc.weight\",\"bias\":\"fc.bias\"}"
#define GOOD "{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[" TARGET "]}"

#define HIDDEN(layers)                                                                             \
    "{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"layers\":[" layers "],"                      \
    "\"targets\":[" TARGET "]}"
#define LAYER "{\"weight\":\"fc.weight\",\"bias\":\"fc.bias\",\"activation\":"

static void write_model(const char *json, size_t count)
{
    PfError err = {0};
    cJSON *metadata = cJSON_Parse(json);
    ck_assert_ptr_nonnull(metadata);
    ck_assert_msg(!pf_model_write(path, tensors, count, metadata, &err), "%s", err.message);
    cJSON_Delete(metadata);
}

START_TEST(a_model_comes_back_as_it_was_written)
{
    PfModel *model;
    PfError err = {0};
    write_model(GOOD, 2);
    ck_assert_msg(!pf_model_open(path, &model, &err), "%s", err.message);
    cJSON *expected = cJSON_Parse(GOOD);
    ck_assert(pf_model_has_digest(model));
    cJSON *found = cJSON_Duplicate(pf_model_metadata(model), 1);
    cJSON_DeleteItemFromObject(found, "digest");
    ck_assert(cJSON_Compare(found, expected, 1));
    cJSON_Delete(found);
    cJSON_Delete(expected);
    ck_assert_mem_eq(pf_model_tensor(model, "fc.weight")->data, weight, sizeof weight);
    ck_assert_mem_eq(pf_model_tensor(model, "fc.bias")->data, bias, sizeof bias);
    ck_assert_ptr_null(pf_model_tensor(model, "fc"));
    pf_model_close(&model);
    ck_assert_ptr_null(model);
}
END_TEST

static void expect_failure(const char *part)
{
    PfModel *model;
    PfError err = {0};
    ck_assert_int_eq(pf_model_open(path, &model, &err), -1);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, part), "'%s' lacks '%s'",
                  err.message, part);
}

START_TEST(models_that_contradict_themselves_are_refused)
{
    static const struct {
        const char *json;
        size_t tensor_count;
        const char *part;
    } cases[] = {
        {"{}", 2, "metadata is damaged"},
        {"[]", 2, "metadata is damaged"},
        {"{\"version\":3,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[" TARGET "]}", 2,
         "of version 3"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[]}", 2, "no target"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3]}", 2, "no target"},
        {"{\"version\":1,\"tap_shape\":[3],\"targets\":[" TARGET "]}", 2, "does not name its tap"},
        {"{\"version\":1,\"tap\":3,\"tap_shape\":[3],\"targets\":[" TARGET "]}", 2, "its tap"},
        {"{\"version\":1,\"tap\":\"t\",\"targets\":[" TARGET "]}", 2, "tap_shape"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[{\"weight\":\"fc.weight\","
         "\"bias\":\"fc.bias\",\"classes\":[\"a\",null]}]}",
         2, "not a list of names"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[{\"weight\":\"fc.weight\","
         "\"bias\":\"fc.bias\",\"classes\":[]}]}",
         2, "not a list of names"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[-3],\"targets\":[" TARGET "]}", 2,
         "tap_shape"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[2e9,2e9,2e9],\"targets\":[" TARGET "]}", 2,
         "tap_shape"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3,7],\"targets\":[" TARGET "]}", 2,
         "its weight is (2,3) with 2 biases, but its classes and features are (2,21)"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[{\"weight\":\"fc.weight\","
         "\"bias\":"
         "\"fc.bias\",\"classes\":[\"a\"]}]}",
         2, "are (1,3)"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[{\"bias\":\"fc.bias\"}]}", 2,
         "does not name its weight"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[{\"weight\":\"fc.bias\","
         "\"bias\":"
         "\"fc.bias\"}]}",
         2, "'fc.bias' is f32 (2), expected 2 axes"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[{\"weight\":\"fc.weight\","
         "\"bias\":"
         "\"other.bias\"}]}",
         3, "(2,3) with 1 biases"},
        {GOOD, 1, "'fc.bias' is missing"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3],\"targets\":[" TARGET "," TARGET "]}", 2,
         "need 16 numbers, and the file holds 8: they share tensors"},
        {HIDDEN("{\"activation\":\"tanh\"}"), 2, "activation 'tanh'"},
        {HIDDEN("{\"norm\":\"group\"}"), 2, "norm 'group'"},
        {HIDDEN(LAYER "\"relu\"}," LAYER "\"gelu\"}"), 2, "not alike"},
        {"{\"version\":1,\"tap\":\"t\",\"tap_shape\":[3e9],\"targets\":[" TARGET "]}", 2,
         "tap_shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_model(cases[i].json, cases[i].tensor_count);
        expect_failure(cases[i].part);
    }
}
END_TEST

/* Of every floating point type, in any tensor of the file, wherever it stands. */
START_TEST(numbers_that_are_not_finite_are_refused_by_name)
{
    static const struct {
        PfDtype dtype;
        uint64_t bits;
        const char *words; /* NULL: it is finite */
    } cases[] = {
        {PF_DTYPE_F32, 0x7fc00000u, "holds nan"},
        {PF_DTYPE_F32, 0xff800000u, "holds an infinite number"},
        {PF_DTYPE_F32, 0xff7fffffu, NULL},
        {PF_DTYPE_F16, 0x7c00u, "holds an infinite number"},
        {PF_DTYPE_F16, 0xfe01u, "holds nan"},
        {PF_DTYPE_F16, 0x7bffu, NULL},
        {PF_DTYPE_BF16, 0x7f80u, "holds an infinite number"},
        {PF_DTYPE_BF16, 0x7f7fu, NULL},
        {PF_DTYPE_F64, 0x7ff8000000000000u, "holds nan"},
        {PF_DTYPE_F64, 0x7fe0000000000000u, NULL},
        {PF_DTYPE_I32, 0x7fc00000u, NULL},
    };
    static const int64_t counts[] = {1, 7, 4096, 10000};
    cJSON *metadata = cJSON_Parse(GOOD);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            size_t size = pf_dtype_size(cases[i].dtype), count = (size_t)counts[c];
            uint8_t *bytes = calloc(count, size);
            memcpy(bytes + (count - 1) * size, &cases[i].bits, size);
            PfNamedTensor with_it[] = {
                tensors[0], tensors[1], {"net.x", {cases[i].dtype, {1, {counts[c]}}, bytes}}};
            ck_assert(!pf_model_write(path, with_it, 3, metadata, NULL));
            PfModel *model;
            PfError err = {0};
            if (!cases[i].words)
                ck_assert_msg(!pf_model_open(path, &model, &err), "%s", err.message);
            else
                expect_failure(cases[i].words);
            if (cases[i].words) expect_failure("tensor 'net.x'");
            if (!cases[i].words) pf_model_close(&model);
            free(bytes);
        }
    cJSON_Delete(metadata);
}
END_TEST

/* A model of GOOD's metadata whose weight has these sides; holes stand for its numbers. */
static void write_sparse_model(int64_t rows, int64_t columns)
{
    long long size = rows * columns * 2;
    char *quoted = NULL, *header = NULL;
    cJSON *text = cJSON_CreateString(GOOD);
    quoted = cJSON_PrintUnformatted(text);
    ck_assert_int_gt(
        asprintf(
            &header,
            "{\"fc.weight\":{\"dtype\":\"F16\",\"shape\":[%lld,%lld],\"data_offsets\":[0,%lld]},"
            "\"fc.bias\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[%lld,%lld]},"
            "\"__metadata__\":{\"permafrost\":%s}}",
            (long long)rows, (long long)columns, size, size, size + 4, quoted),
        0);
    uint64_t length = strlen(header);
    FILE *file = fopen(path, "w");
    ck_assert(fwrite(&length, sizeof length, 1, file) == 1 && fputs(header, file) >= 0);
    ck_assert(!fflush(file) && !ftruncate(fileno(file), (off_t)(8 + length) + size + 4));
    fclose(file);
    cJSON_free(quoted);
    cJSON_Delete(text);
    free(header);
}

START_TEST(sides_that_are_no_int_are_refused)
{
    write_sparse_model(0, ((int64_t)1 << 32) + 3);
    expect_failure("tensor 'fc.weight' is (0,4294967299); each side must be from 1 to 2147483647");
    write_sparse_model(2, 0);
    expect_failure("each side must be from 1");
    /* 17 GB that the file has, and the disk has not. */
    write_sparse_model(2, ((int64_t)1 << 32) + 3);
    PfModel *model;
    PfError err = {0};
    ck_assert_int_eq(pf_model_open(path, &model, &err), -1);
    ck_assert_msg(strstr(err.message, "holes") || strstr(err.message, "each side"), "%s",
                  err.message);
}
END_TEST

START_TEST(weights_are_no_model)
{
    ck_assert_int_eq(pf_safetensors_write(path, tensors, 2, NULL, NULL, 0, NULL), 0);
    expect_failure("not a model that train wrote");
    FILE *file = fopen(path, "w");
    fputs("hello", file);
    fclose(file);
    expect_failure("expected a .safetensors");
    unlink(path);
    expect_failure("cannot open");
}
END_TEST

START_TEST(every_kind_of_tensor_is_written)
{
    static const uint8_t bytes[64] = {1, 2, 3};
    static const char *const keys[] = {"a \"quoted\" key", "b"}, *const values[] = {"\n\t\u00e9",
                                                                                    ""};
    static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    PfNamedTensor all[10];
    for (int dtype = PF_DTYPE_F32; dtype <= PF_DTYPE_BOOL; dtype++)
        all[dtype] = (PfNamedTensor){
            names[dtype], {(PfDtype)dtype, {dtype % 4, {1, 2, dtype % 3}}, bytes + dtype}};
    PfWeights *weights;
    PfError err = {0};
    ck_assert_int_eq(pf_safetensors_write(path, all, 10, keys, values, 2, NULL), 0);
    ck_assert_msg(!pf_weights_open(path, &weights, &err), "%s", err.message);
    for (int i = 0; i < 2; i++) ck_assert_str_eq(pf_weights_metadata(weights, keys[i]), values[i]);
    size_t count;
    const PfNamedTensor *read = pf_weights_tensors(weights, &count);
    ck_assert_uint_eq(count, 10);
    ck_assert_uint_eq((uintptr_t)read[0].view.data % 8, 0);
    for (size_t i = 0; i < count; i++) {
        const PfTensorView *view = &read[i].view;
        ck_assert_str_eq(read[i].name, names[i]);
        ck_assert_int_eq(view->dtype, all[i].view.dtype);
        ck_assert(pf_shape_equal(&view->shape, &all[i].view.shape));
        ck_assert(!memcmp(view->data, all[i].view.data,
                          (size_t)pf_shape_count(&view->shape) * pf_dtype_size(view->dtype)));
    }
    pf_weights_close(&weights);
}
END_TEST

START_TEST(a_name_is_not_written_twice)
{
    PfError err = {0};
    const PfNamedTensor twice[] = {tensors[0], tensors[1], tensors[0]};
    unlink(path);
    ck_assert_int_eq(pf_safetensors_write(path, twice, 3, NULL, NULL, 0, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "two of its tensors have the name"));
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file)
{
    PfError err = {0};
    write_model(GOOD, 2);
    ck_assert_int_eq(pf_safetensors_write("/nonexistent/m", tensors, 2, NULL, NULL, 0, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "'/nonexistent/m'"));
    /* A full disk, as far as this process can tell. */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100});
    ck_assert_int_eq(pf_safetensors_write(path, tensors, 2, NULL, NULL, 0, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "cannot write"));
    PfModel *model;
    ck_assert_int_eq(pf_model_open(path, &model, NULL), 0);
    pf_model_close(&model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_file");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, a_model_comes_back_as_it_was_written);
    tcase_add_test(cases, models_that_contradict_themselves_are_refused);
    tcase_add_test(cases, numbers_that_are_not_finite_are_refused_by_name);
    tcase_add_test(cases, sides_that_are_no_int_are_refused);
    tcase_add_test(cases, weights_are_no_model);
    tcase_add_test(cases, every_kind_of_tensor_is_written);
    tcase_add_test(cases, a_name_is_not_written_twice);
    tcase_add_test(cases, a_failed_write_leaves_the_old_file);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
