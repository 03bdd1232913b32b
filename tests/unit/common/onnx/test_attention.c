/* Attention found in ONNX files as exporters write them. The files are make_attention.py's. */
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/onnx/network.h"

#define FOLDER PF_SOURCE_DIR "/tests/unit/common/onnx/attention"

static int count(const PfArch *arch, PfOp op)
{
    int found = 0;
    for (int i = 0; i < arch->node_count; i++) found += arch->nodes[i].op == op;
    return found;
}

static const PfNode *first(const PfArch *arch, PfOp op)
{
    for (int i = 0; i < arch->node_count; i++)
        if (arch->nodes[i].op == op) return &arch->nodes[i];
    return NULL;
}

/* Every network has one block, of two heads of two channels. */
static void check_file(const char *name)
{
    char path[4096];
    PfOnnx *onnx;
    PfError err = {0};
    snprintf(path, sizeof path, FOLDER "/%s", name);
    ck_assert_msg(!pf_onnx_open(path, NULL, &onnx, &err), "%s", err.message);
    ck_assert_msg(!pf_onnx_build(onnx, 8, &err), "%s", err.message);
    const PfArch *arch = pf_onnx_arch(onnx);
    ck_assert_msg(count(arch, PF_OP_ATTENTION) == 1, "%s: no attention was found", name);
    ck_assert_msg(!count(arch, PF_OP_SOFTMAX), "%s: a softmax is left", name);
    ck_assert_msg(!count(arch, PF_OP_MATMUL), "%s: a product is left", name);
    const PfNode *attention = first(arch, PF_OP_ATTENTION);
    ck_assert_int_eq(attention->heads, 2);
    ck_assert_msg(fabsf(attention->scale - sqrtf(0.5f)) < 1e-6f, "%s: scale %g", name,
                  (double)attention->scale);
    for (int i = 0; i < 3; i++) ck_assert_int_lt(attention->inputs[i], attention - arch->nodes);
    PfShape *shapes = calloc((size_t)arch->node_count, sizeof *shapes);
    ck_assert_msg(!pf_arch_infer_shapes(arch, 8, 8, shapes, &err), "%s: %s", name, err.message);
    free(shapes);
    pf_onnx_free(&onnx);
}

START_TEST(attention_is_found_in_every_exporters_form)
{
    DIR *folder = opendir(FOLDER);
    int files = 0;
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strstr(entry->d_name, ".onnx")) continue;
        check_file(entry->d_name);
        files++;
    }
    closedir(folder);
    ck_assert_int_eq(files, 16);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("attention");
    TCase *tcase = tcase_create("attention");
    tcase_add_test(tcase, attention_is_found_in_every_exporters_form);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
