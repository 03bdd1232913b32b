/* Tensors of networks that files have under other names or in other pieces. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/weights/safetensors.h"
#include "common/weights/weights.h"

#define MOST 4

static float *numbers(int64_t count, float first)
{
    float *made = malloc((size_t)count * sizeof *made);
    for (int64_t i = 0; i < count; i++) made[i] = first + (float)i;
    return made;
}

typedef struct Part {
    const char *name;
    PfShape shape;
    float first;
} Part;

/* A file with these tensors, whose numbers count up, opened for the network. */
static PfWeights *load(const char *network, const Part *parts, size_t count)
{
    char path[] = "/tmp/permafrost-composed-XXXXXX";
    PfNamedTensor tensors[MOST];
    PfArch *arch;
    PfError err = {0};
    PfWeights *weights;
    const PfWeightsEntry *entry;
    close(mkstemp(path));
    for (size_t i = 0; i < count; i++)
        tensors[i] = (PfNamedTensor){
            .name = parts[i].name,
            .view = {.dtype = PF_DTYPE_F32,
                     .shape = parts[i].shape,
                     .data = numbers(pf_shape_count(&parts[i].shape), parts[i].first)}};
    ck_assert_msg(!pf_safetensors_write(path, tensors, count, NULL, NULL, 0, &err), "%s",
                  err.message);
    ck_assert_msg(!pf_arch_new(network, &arch, &err), "%s", err.message);
    ck_assert_msg(!pf_weights_load(arch, path, NULL, &weights, &entry, &err), "%s", err.message);
    for (size_t i = 0; i < count; i++) free((void *)(uintptr_t)tensors[i].view.data);
    pf_arch_free(&arch);
    unlink(path);
    return weights;
}

static const float *find(const PfWeights *weights, const char *name, int64_t count)
{
    const PfTensorView *view = pf_weights_find_tensor(weights, name);
    ck_assert_msg(view != NULL, "no %s", name);
    ck_assert_int_eq(pf_shape_count(&view->shape), count);
    return view->data;
}

START_TEST(queries_keys_and_values_are_joined)
{
    static const char *const names[][4] = {
        {"embeddings.patch_embeddings.projection.weight",
         "encoder.layer.11.attention.attention.query.bias",
         "encoder.layer.11.attention.attention.key.bias",
         "encoder.layer.11.attention.attention.value.bias"},
        {"dinov2.embeddings.patch_embeddings.projection.weight",
         "dinov2.encoder.layer.11.attention.q_proj.bias",
         "dinov2.encoder.layer.11.attention.k_proj.bias",
         "dinov2.encoder.layer.11.attention.v_proj.bias"},
    };
    for (int i = 0; i < 2; i++) {
        const PfShape width = {1, {384}};
        const Part parts[] = {{names[i][0], {4, {384, 3, 14, 14}}, 0},
                              {names[i][1], width, 1000},
                              {names[i][2], width, 2000},
                              {names[i][3], width, 3000}};
        PfWeights *weights = load("dinov2_vits14", parts, 4);
        const float *qkv = find(weights, "blocks.11.attn.qkv.bias", 1152);
        ck_assert(qkv[0] == 1000 && qkv[383] == 1383 && qkv[384] == 2000 && qkv[1151] == 3383);
        find(weights, "patch_embed.proj.weight", (int64_t)384 * 3 * 14 * 14);
        ck_assert_ptr_null(pf_weights_find_tensor(weights, "blocks.10.attn.qkv.bias"));
        pf_weights_close(&weights);
    }
}
END_TEST

START_TEST(clips_projection_is_turned)
{
    const Part parts[] = {
        {"vision_model.embeddings.patch_embedding.weight", {4, {768, 3, 32, 32}}, 0},
        {"visual_projection.weight", {2, {512, 768}}, 0}};
    PfWeights *weights = load("clip_vit_b_32", parts, 2);
    const float *turned = find(weights, "proj", (int64_t)768 * 512);
    ck_assert(turned[0] == 0 && turned[1] == 768 && turned[512] == 1);
    pf_weights_close(&weights);
}
END_TEST

START_TEST(siglips_pool_is_cut)
{
    const Part parts[] = {{"embeddings.patch_embedding.weight", {4, {768, 3, 16, 16}}, 0},
                          {"head.attention.in_proj_bias", {1, {2304}}, 0}};
    PfWeights *weights = load("siglip_vit_b_16", parts, 2);
    ck_assert(find(weights, "attn_pool.q.bias", 768)[767] == 767);
    ck_assert(find(weights, "attn_pool.kv.bias", 1536)[0] == 768);
    pf_weights_close(&weights);
}
END_TEST

START_TEST(timms_positions_have_none_of_the_class_token)
{
    const Part parts[] = {{"reg_token", {3, {1, 4, 384}}, 0},
                          {"pos_embed", {3, {1, 1369, 384}}, 7}};
    PfWeights *weights = load("dinov2_vits14_reg", parts, 2);
    const float *positions = find(weights, "pos_embed", (int64_t)1370 * 384);
    ck_assert(positions[0] == 0 && positions[383] == 0 && positions[384] == 7);
    find(weights, "register_tokens", (int64_t)4 * 384);
    pf_weights_close(&weights);
}
END_TEST

START_TEST(other_networks_and_sizes_are_left_alone)
{
    const Part parts[] = {{"reg_token", {3, {1, 4, 384}}, 0},
                          {"pos_embed", {3, {1, 1368, 384}}, 7}};
    PfWeights *weights = load("dinov2_vits14_reg", parts, 2);
    find(weights, "pos_embed", (int64_t)1368 * 384);
    pf_weights_close(&weights);
    weights = load("resnet18", parts, 2);
    ck_assert_ptr_null(pf_weights_find_tensor(weights, "register_tokens"));
    pf_weights_close(&weights);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("composed_names");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, queries_keys_and_values_are_joined);
    tcase_add_test(tests, clips_projection_is_turned);
    tcase_add_test(tests, siglips_pool_is_cut);
    tcase_add_test(tests, timms_positions_have_none_of_the_class_token);
    tcase_add_test(tests, other_networks_and_sizes_are_left_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
