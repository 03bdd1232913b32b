/* ONNX files that ask for much, or say what is not so: what they may take of memory and time. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/onnx/fold.h"
#include "common/onnx/network.h"
#include "common/onnx/read.h"

/* ---- messages of protocol buffers ---- */

typedef struct Message {
    FILE *out;
    char *bytes;
    size_t size;
} Message;

static void begin(Message *message)
{
    message->out = open_memstream(&message->bytes, &message->size);
    ck_assert_ptr_nonnull(message->out);
}

static void put_varint(Message *message, uint64_t value)
{
    for (; value > 127; value >>= 7) putc((int)(value & 127) | 128, message->out);
    putc((int)value, message->out);
}

static void put_whole(Message *message, uint64_t number, uint64_t value)
{
    put_varint(message, number << 3);
    put_varint(message, value);
}

static void put_bytes(Message *message, uint64_t number, const void *bytes, size_t size)
{
    put_varint(message, number << 3 | 2);
    put_varint(message, size);
    if (size) fwrite(bytes, 1, size, message->out);
}

static void put_text(Message *message, uint64_t number, const char *text)
{
    put_bytes(message, number, text, strlen(text));
}

/* Ends the inner one. */
static void put_message(Message *message, uint64_t number, Message *inner)
{
    ck_assert_int_eq(fclose(inner->out), 0);
    put_bytes(message, number, inner->bytes, inner->size);
    free(inner->bytes);
}

/* ---- parts of models ---- */

enum { NODE = 1, INITIALIZER = 5, INPUT = 11, OUTPUT = 12 };
enum { FLOAT = 1, INT32 = 6, INT64 = 7, BOOL = 9 };

/* Begins a graph whose input is x, of (1, 3, any, any). */
static void begin_graph(Message *graph)
{
    static const uint64_t sizes[] = {1, 3, 0, 0};
    Message value, type, tensor, shape;
    begin(graph);
    begin(&value);
    begin(&type);
    begin(&tensor);
    begin(&shape);
    for (int i = 0; i < 4; i++) {
        Message dim;
        begin(&dim);
        if (sizes[i]) put_whole(&dim, 1, sizes[i]);
        put_message(&shape, 1, &dim);
    }
    put_whole(&tensor, 1, FLOAT);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, "x");
    put_message(&value, 2, &type);
    put_message(graph, INPUT, &value);
}

/* names: of the inputs, with blanks between; "-" is one that is left out. */
static void begin_node(Message *node, const char *type, const char *names, const char *output)
{
    char copy[200], *rest = copy;
    begin(node);
    snprintf(copy, sizeof copy, "%s", names);
    for (char *name; (name = strsep(&rest, " "));) put_text(node, 1, strcmp(name, "-") ? name : "");
    put_text(node, 2, output);
    put_text(node, 4, type);
}

static void put_node(Message *graph, const char *type, const char *names, const char *output)
{
    Message node;
    begin_node(&node, type, names, output);
    put_message(graph, NODE, &node);
}

static void put_whole_setting(Message *node, const char *name, uint64_t value)
{
    Message attribute;
    begin(&attribute);
    put_text(&attribute, 1, name);
    put_whole(&attribute, 3, value);
    put_whole(&attribute, 20, 2);
    put_message(node, 5, &attribute);
}

static void put_text_setting(Message *node, const char *name, const char *value)
{
    Message attribute;
    begin(&attribute);
    put_text(&attribute, 1, name);
    put_text(&attribute, 4, value);
    put_whole(&attribute, 20, 3);
    put_message(node, 5, &attribute);
}

/* A step with one setting that is a number. */
static void put_node_with(Message *graph, const char *type, const char *names, const char *output,
                          const char *setting, uint64_t value)
{
    Message node;
    begin_node(&node, type, names, output);
    put_whole_setting(&node, setting, value);
    put_message(graph, NODE, &node);
}

/* sizes: (rank) */
static void begin_tensor(Message *tensor, uint64_t type, const uint64_t *sizes, int rank)
{
    begin(tensor);
    for (int i = 0; i < rank; i++) put_whole(tensor, 1, sizes[i]);
    put_whole(tensor, 2, type);
}

static void put_tensor(Message *graph, const char *name, uint64_t type, const uint64_t *sizes,
                       int rank, const void *bytes, size_t size)
{
    Message tensor;
    begin_tensor(&tensor, type, sizes, rank);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, bytes, size);
    put_message(graph, INITIALIZER, &tensor);
}

static void put_output(Message *graph, const char *name)
{
    Message value;
    begin(&value);
    put_text(&value, 1, name);
    put_message(graph, OUTPUT, &value);
}

/* The model of a graph, which it ends, as exactly so many bytes of the heap: behind them a
 * sanitizer watches. */
static uint8_t *end_model(Message *graph, size_t *size)
{
    Message model, opset;
    begin(&model);
    begin(&opset);
    put_whole(&opset, 2, 13);
    put_message(&model, 8, &opset);
    put_message(&model, 7, graph);
    ck_assert_int_eq(fclose(model.out), 0);
    uint8_t *bytes = malloc(model.size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, model.bytes, model.size);
    free(model.bytes);
    *size = model.size;
    return bytes;
}

/* Ends the graph; its network must be refused with these words, or be made where they are NULL. */
static void check_network(Message *graph, const char *words)
{
    size_t size;
    PfOnnx *onnx;
    PfError err = {0};
    uint8_t *bytes = end_model(graph, &size);
    ck_assert_msg(!pf_onnx_open_bytes("x.onnx", bytes, size, &onnx, &err), "%s", err.message);
    const int failed = pf_onnx_build(onnx, 8, &err);
    ck_assert_msg(!failed == !words, "%s", failed ? err.message : "it was not refused");
    ck_assert_msg(!words || strstr(err.message, words), "%s", err.message);
    pf_onnx_free(&onnx);
    free(bytes);
}

/* ---- numbers that are not there ---- */

START_TEST(an_empty_constant_does_not_say_whether_a_dropout_trains)
{
    static const uint64_t none[] = {0};
    Message graph, tensor;
    begin_graph(&graph);
    put_node(&graph, "Dropout", "x - 123", "y");
    put_output(&graph, "y");
    put_tensor(&graph, "123", INT64, none, 1, NULL, 0); /* the last bytes of the file */
    check_network(&graph, "expected a network as it is outside of training");
    /* What lies behind it would be read as a small number: no training. */
    begin_graph(&graph);
    begin_tensor(&tensor, FLOAT, none, 1);
    put_bytes(&tensor, 9, NULL, 0);
    put_text(&tensor, 8, "123");
    put_message(&graph, INITIALIZER, &tensor);
    put_node(&graph, "Dropout", "x - 123", "y");
    put_output(&graph, "y");
    check_network(&graph, "expected a network as it is outside of training");
}
END_TEST

/* ---- files beside the model ---- */

static void put_entry(Message *tensor, const char *key, const char *value)
{
    Message entry;
    begin(&entry);
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(tensor, 13, &entry);
}

static uint8_t *model_of_files(const char *const *paths, int count, size_t *size)
{
    static const uint64_t sizes[] = {1000};
    Message graph;
    begin_graph(&graph);
    for (int i = 0; i < count; i++) {
        Message tensor;
        char name[20];
        begin_tensor(&tensor, FLOAT, sizes, 1);
        snprintf(name, sizeof name, "t%d", i);
        put_text(&tensor, 8, name);
        put_entry(&tensor, "location", paths[i]);
        put_whole(&tensor, 14, 1);
        put_message(&graph, INITIALIZER, &tensor);
    }
    put_node(&graph, "Relu", "x", "y");
    put_output(&graph, "y");
    return end_model(&graph, size);
}

/* The budget for folding, beside what the model's own bytes are worth. */
static size_t budget_of(int folder, const char *const *paths, int count)
{
    size_t size;
    PfOnnxModel *model;
    PfError err = {0};
    uint8_t *bytes = model_of_files(paths, count, &size);
    ck_assert_msg(!pf_onnx_model_new("x.onnx", bytes, size, folder, &model, &err), "%s",
                  err.message);
    ck_assert_uint_eq(model->data_count, (size_t)count);
    for (int i = 1; i < count; i++) ck_assert_ptr_eq(model->data[i].bytes, model->data[0].bytes);
    const size_t budget = model->budget - size;
    pf_onnx_model_free(&model);
    free(bytes);
    return budget;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_file_under_several_names_is_one_file)
{
    static const char *const paths[] = {"w.bin", "./w.bin", "././w.bin", "hard.bin", "soft.bin"};
    static const float numbers[1000];
    char folder[] = "/tmp/permafrost-onnx-XXXXXX", sha256[PF_SHA256_TEXT_SIZE], lines[1000];
    char command[100];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    write_file("w.bin", numbers, sizeof numbers);
    ck_assert(!link("w.bin", "hard.bin") && !symlink("w.bin", "soft.bin"));
    const int fd = open(".", O_RDONLY | O_DIRECTORY);
    ck_assert_uint_eq(budget_of(fd, paths, 5), budget_of(fd, paths, 1));
    close(fd);
    /* Its digest is that of the names, each with what lies there. */
    size_t size;
    PfOnnx *onnx;
    PfError err = {0};
    uint8_t *bytes = model_of_files(paths, 2, &size);
    write_file("x.onnx", bytes, size);
    ck_assert_msg(!pf_onnx_open("x.onnx", NULL, &onnx, &err), "%s", err.message);
    pf_digest_sha256_text(bytes, size, lines);
    pf_digest_sha256_text(numbers, sizeof numbers, sha256);
    snprintf(lines + 64, sizeof lines - 64, "\n%s  ./w.bin\n%s  w.bin\n", sha256, sha256);
    pf_digest_sha256_text(lines, strlen(lines), sha256);
    ck_assert_str_eq(pf_onnx_sha256(onnx), sha256);
    pf_onnx_free(&onnx);
    free(bytes);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- work ---- */

/* How often the model's only step is folded before its budget is spent; at most `most`. */
static int folds_of(Message *graph, int most)
{
    size_t size;
    PfOnnxModel *model;
    PfError err = {0};
    int count = 0;
    put_output(graph, "y");
    uint8_t *bytes = end_model(graph, &size);
    ck_assert_msg(!pf_onnx_model_new("x.onnx", bytes, size, -1, &model, &err), "%s", err.message);
    while (count < most && !pf_onnx_fold(model, &model->steps[0], &err)) count++;
    ck_assert_msg(!count || model->steps[0].is_gone, "the step was not folded");
    pf_onnx_model_free(&model);
    free(bytes);
    return count;
}

/* A few kilobytes of nodes must not do megabytes of work each. */
START_TEST(work_on_constants_is_taken_from_the_budget)
{
    enum { COUNT = 1 << 16 };
    static const uint64_t one[] = {1}, rows[] = {COUNT, 1}, many[] = {COUNT};
    static const int64_t zeros[COUNT];
    Message graph;
    begin_graph(&graph);
    put_tensor(&graph, "in", FLOAT, one, 1, zeros, 4);
    put_tensor(&graph, "which", INT64, rows, 2, zeros, sizeof zeros);
    put_tensor(&graph, "from", FLOAT, many, 1, zeros, 4 * COUNT);
    put_node(&graph, "ScatterND", "in which from", "y");
    const int scatters = folds_of(&graph, 5000);
    ck_assert_msg(scatters > 10 && scatters < 5000, "%d", scatters);
    begin_graph(&graph);
    put_tensor(&graph, "in", INT64, many, 1, zeros, sizeof zeros);
    put_node(&graph, "ReduceProd", "in", "y");
    const int products = folds_of(&graph, 5000);
    ck_assert_msg(products > 10 && products < 5000, "%d", products);
}
END_TEST

/* What the node, whose output is "y", makes of the graph's constants. *model, *bytes: to be freed.
 */
static const PfOnnxTensor *fold_node(Message *graph, Message *node, PfOnnxModel **model,
                                     uint8_t **bytes)
{
    size_t size;
    PfError err = {0};
    put_message(graph, NODE, node);
    put_output(graph, "y");
    *bytes = end_model(graph, &size);
    ck_assert_msg(!pf_onnx_model_new("x.onnx", *bytes, size, -1, model, &err), "%s", err.message);
    ck_assert_msg(!pf_onnx_fold(*model, &(*model)->steps[0], &err), "%s", err.message);
    return (*model)->values[(*model)->steps[0].outputs[0]].constant;
}

/* Of a row of weights only those are looked at that are not 0. */
START_TEST(constants_are_resized_by_the_weights_that_they_have)
{
    static const uint64_t sizes[] = {2, 2, 2}, three[] = {3};
    static const float numbers[] = {0, 10, 1, 11, 20, 30, 21, 31};
    static const int64_t wanted[] = {2, 4, 2};
    static const float expected[] = {0,  10, 0.25f,  10.25f, 0.75f,  10.75f, 1,  11,
                                     20, 30, 20.25f, 30.25f, 20.75f, 30.75f, 21, 31};
    Message graph, node, attribute;
    begin_graph(&graph);
    put_tensor(&graph, "in", FLOAT, sizes, 3, numbers, sizeof numbers);
    put_tensor(&graph, "sizes", INT64, three, 1, wanted, sizeof wanted);
    begin_node(&node, "Resize", "in - - sizes", "y");
    begin(&attribute);
    put_text(&attribute, 1, "mode");
    put_text(&attribute, 4, "linear");
    put_whole(&attribute, 20, 3);
    put_message(&node, 5, &attribute);
    uint8_t *bytes;
    PfOnnxModel *model;
    const PfOnnxTensor *made = fold_node(&graph, &node, &model, &bytes);
    ck_assert_mem_eq(made->data, expected, sizeof expected);
    pf_onnx_model_free(&model);
    free(bytes);
}
END_TEST

/* Numbers that the standard's own test of the operator expects: what lies outside repeats the
 * border, also where what is made smaller is smoothed. */
START_TEST(what_is_smoothed_repeats_its_border)
{
    static const uint64_t sizes[] = {1, 1, 4, 4}, four[] = {4};
    static const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const float scales[] = {1, 1, 0.6f, 0.6f};
    static const float expected[] = {2.875f, 4.5f, 9.375f, 11};
    Message graph, node;
    begin_graph(&graph);
    put_tensor(&graph, "in", FLOAT, sizes, 4, numbers, sizeof numbers);
    put_tensor(&graph, "scales", FLOAT, four, 1, scales, sizeof scales);
    begin_node(&node, "Resize", "in - scales", "y");
    put_text_setting(&node, "mode", "linear");
    put_whole_setting(&node, "antialias", 1);
    uint8_t *bytes;
    PfOnnxModel *model;
    const PfOnnxTensor *made = fold_node(&graph, &node, &model, &bytes);
    ck_assert_int_eq(made->dims.sizes[2] * made->dims.sizes[3], 4);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq_tol(((const float *)made->data)[i], expected[i], 1e-5f);
    pf_onnx_model_free(&model);
    free(bytes);
}
END_TEST

/* What is computed of integers has 64 bits, and a file may have constants of 32. */
START_TEST(integers_of_two_widths_go_together)
{
    static const uint64_t one[] = {1}, two[] = {2}, pair[] = {1, 1};
    static const int64_t channel[] = {1}, last = 2, first_two[] = {0, 1};
    static const int32_t places[] = {64}, all[] = {-1};
    static const uint8_t is_first[] = {0};
    Message graph;
    begin_graph(&graph);
    put_tensor(&graph, "first_two", INT64, two, 1, first_two, sizeof first_two);
    put_tensor(&graph, "channel", INT64, pair, 2, channel, sizeof channel);
    put_tensor(&graph, "last", INT64, pair, 2, &last, sizeof last);
    put_tensor(&graph, "places", INT32, one, 1, places, sizeof places);
    put_tensor(&graph, "all", INT32, one, 1, all, sizeof all);
    put_tensor(&graph, "is_first", BOOL, one, 1, is_first, sizeof is_first);
    put_node(&graph, "Shape", "x", "shape");
    put_node_with(&graph, "Cast", "shape", "narrow", "to", INT32);
    put_node(&graph, "Gather", "narrow first_two", "begin");
    put_node_with(&graph, "Concat", "begin places", "joined", "axis", 0); /* 1, 3, 64 */
    put_node(&graph, "ScatterND", "joined last all", "spread");           /* 1, 3, -1 */
    put_node(&graph, "GatherND", "spread channel", "three");
    put_node(&graph, "Where", "is_first all three", "chosen"); /* 3 */
    put_node_with(&graph, "Concat", "all chosen places", "whole", "axis", 0);
    put_node_with(&graph, "Cast", "whole", "wide", "to", INT64);
    put_node(&graph, "Reshape", "x wide", "y");
    put_output(&graph, "y");
    check_network(&graph, NULL);
}
END_TEST

/* A model with two functions of one name, of which only the second has operators that are read. */
START_TEST(of_two_functions_the_one_that_is_meant_is_called)
{
    static const char *const overloads[] = {"other", "meant"}, *const types[] = {"Multinomial",
                                                                                 "Relu"};
    Message graph, node, more;
    PfOnnx *onnx;
    PfError err = {0};
    begin_graph(&graph);
    begin_node(&node, "F", "x", "y");
    put_text(&node, 7, "mine");
    put_text(&node, 8, "meant");
    put_message(&graph, NODE, &node);
    put_output(&graph, "y");
    size_t size;
    uint8_t *plain = end_model(&graph, &size);
    begin(&more);
    fwrite(plain, 1, size, more.out);
    free(plain);
    for (int i = 0; i < 2; i++) {
        Message function;
        begin(&function);
        put_text(&function, 1, "F");
        put_text(&function, 4, "a");
        put_text(&function, 5, "b");
        begin_node(&node, types[i], "a", "b");
        put_message(&function, 7, &node);
        put_text(&function, 10, "mine");
        put_text(&function, 13, overloads[i]);
        put_message(&more, 25, &function);
    }
    ck_assert_int_eq(fclose(more.out), 0);
    ck_assert_msg(!pf_onnx_open_bytes("x.onnx", more.bytes, more.size, &onnx, &err), "%s",
                  err.message);
    ck_assert_msg(!pf_onnx_build(onnx, 8, &err), "%s", err.message);
    pf_onnx_free(&onnx);
    free(more.bytes);
}
END_TEST

/* A chain of steps, and softmaxes whose masks are looked for along all of it. */
static void put_chain(Message *graph, const char *type, const char *second, int length, int looks)
{
    static const uint64_t one[] = {1};
    static const float number = 1, zero;
    char from[40] = "x", to[40], names[100];
    begin_graph(graph);
    put_tensor(graph, "zero", FLOAT, one, 1, &zero, sizeof zero);
    put_tensor(graph, "one", FLOAT, one, 1, &number, sizeof number);
    for (int i = 0; i < length; i++) {
        snprintf(names, sizeof names, second, from, i % 2);
        snprintf(to, sizeof to, "c%d", i);
        put_node(graph, type, names, to);
        memcpy(from, to, sizeof from);
    }
    for (int i = 0; i < looks; i++) {
        snprintf(to, sizeof to, "s%d", i);
        put_node(graph, "Softmax", from, to);
        snprintf(names, sizeof names, "n%d", i);
        put_node(graph, "IsNaN", to, names);
        snprintf(names, sizeof names, "n%d zero s%d", i, i);
        snprintf(to, sizeof to, "w%d", i);
        put_node(graph, "Where", names, to);
    }
    put_output(graph, "w0");
}

START_TEST(masks_are_not_looked_for_among_all_tensors)
{
    static const uint64_t four[] = {4};
    static const int64_t shapes[2][4] = {{1, 3, 8, 8}, {1, 3, 64, 1}};
    Message graph;
    clock_t start = clock();
    put_chain(&graph, "Add", "%s one", 4000, 2000);
    check_network(&graph, NULL);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 15);
    start = clock();
    put_chain(&graph, "Reshape", "%s shape%d", 4000, 2000);
    put_tensor(&graph, "shape0", INT64, four, 1, shapes[1], sizeof shapes[1]);
    put_tensor(&graph, "shape1", INT64, four, 1, shapes[0], sizeof shapes[0]);
    check_network(&graph, NULL);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 15);
}
END_TEST

/* Constants of many numbers that many steps look at. */
START_TEST(looks_at_constants_are_taken_from_the_budget)
{
    enum { COUNT = 3 * 256 * 256, STEPS = 19000 };
    static const uint64_t sizes[] = {1, 3, 256, 256};
    static float zeros[COUNT];
    char from[40] = "x", to[40], names[100];
    Message graph;
    const clock_t start = clock();
    begin_graph(&graph);
    put_tensor(&graph, "zeros", FLOAT, sizes, 4, zeros, sizeof zeros);
    for (int i = 0; i < STEPS; i++) {
        snprintf(names, sizeof names, "%s zeros", from);
        snprintf(to, sizeof to, "c%d", i);
        put_node(&graph, "Add", names, to);
        memcpy(from, to, sizeof from);
    }
    put_output(&graph, from);
    size_t size;
    PfOnnx *onnx;
    PfError err = {0};
    uint8_t *bytes = end_model(&graph, &size);
    ck_assert_msg(!pf_onnx_open_bytes("x.onnx", bytes, size, &onnx, &err), "%s", err.message);
    ck_assert_msg(!pf_onnx_build(onnx, 256, &err), "%s", err.message);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 12);
    pf_onnx_free(&onnx);
    free(bytes);
}
END_TEST

/* ---- sizes ---- */

/* Its window reaches over 2^34 pixels. */
START_TEST(a_window_that_overflows_is_refused)
{
    static const uint64_t four[] = {4};
    static const int64_t sizes[] = {1, 3, 1, 1 << 20};
    Message graph, node, attribute;
    begin_graph(&graph);
    put_tensor(&graph, "sizes", INT64, four, 1, sizes, sizeof sizes);
    put_node(&graph, "ConstantOfShape", "sizes", "w");
    begin_node(&node, "Conv", "x w", "y");
    begin(&attribute);
    put_text(&attribute, 1, "auto_pad");
    put_text(&attribute, 4, "SAME_UPPER");
    put_whole(&attribute, 20, 3);
    put_message(&node, 5, &attribute);
    begin(&attribute);
    put_text(&attribute, 1, "dilations");
    put_whole(&attribute, 8, 1);
    put_whole(&attribute, 8, 1 << 14);
    put_whole(&attribute, 20, 7);
    put_message(&node, 5, &attribute);
    put_message(&graph, NODE, &node);
    put_output(&graph, "y");
    check_network(&graph, "expected groups and a window that fit its weights");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tcase = tcase_create("hostile");
    tcase_add_test(tcase, an_empty_constant_does_not_say_whether_a_dropout_trains);
    tcase_add_test(tcase, a_file_under_several_names_is_one_file);
    tcase_add_test(tcase, work_on_constants_is_taken_from_the_budget);
    tcase_add_test(tcase, constants_are_resized_by_the_weights_that_they_have);
    tcase_add_test(tcase, what_is_smoothed_repeats_its_border);
    tcase_add_test(tcase, integers_of_two_widths_go_together);
    tcase_add_test(tcase, of_two_functions_the_one_that_is_meant_is_called);
    tcase_add_test(tcase, masks_are_not_looked_for_among_all_tensors);
    tcase_add_test(tcase, looks_at_constants_are_taken_from_the_budget);
    tcase_add_test(tcase, a_window_that_overflows_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
