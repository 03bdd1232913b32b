/* Finding, loading and checking weights. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file/atomic_file.h"
#include "common/weights/safetensors.h"
#include "common/weights/weights.h"

static char folder[] = "/tmp/permafrost-weights-XXXXXX";

static void make_folder(void)
{
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    unsetenv("TORCH_HOME");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", folder, 1);
}

static void remove_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static PfArch *new_arch(const char *name)
{
    PfArch *arch;
    PfError err = {0};
    ck_assert_msg(!pf_arch_new(name, &arch, &err), "%s", err.message);
    return arch;
}

static PfWeights *new_random(const char *name, uint64_t seed)
{
    PfWeights *weights;
    PfError err = {0};
    PfArch *arch = new_arch(name);
    ck_assert_msg(!pf_weights_random(arch, seed, &weights, &err), "%s", err.message);
    pf_arch_free(&arch);
    return weights;
}

/* Standard deviation of a tensor, whose mean must be near 0. */
static double deviation(const PfWeights *weights, const char *name)
{
    const PfTensorView *view = pf_weights_find_tensor(weights, name);
    const float *values = view->data;
    int64_t count = pf_shape_count(&view->shape);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
    }
    double result = sqrt(squares / (double)count);
    ck_assert_double_lt(fabs(sum / (double)count), 5 * result / sqrt((double)count));
    return result;
}

/* Whether every value of a tensor is the given one. */
static int is_constant(const PfWeights *weights, const char *name, float value)
{
    const PfTensorView *view = pf_weights_find_tensor(weights, name);
    for (int64_t i = 0; i < pf_shape_count(&view->shape); i++)
        if (((const float *)view->data)[i] != value) return 0;
    return 1;
}

START_TEST(random_resnet_has_torchvisions_distributions)
{
    PfWeights *weights = new_random("resnet18", 0);
    /* sqrt(2 / (out_channels * k * k)); 5 standard errors of a standard deviation. */
    ck_assert_double_eq_tol(deviation(weights, "conv1.weight"), sqrt(2.0 / (64 * 49)), 6e-4);
    ck_assert_double_eq_tol(deviation(weights, "layer4.1.conv2.weight"), sqrt(2.0 / (512 * 9)),
                            5e-5);
    ck_assert_double_eq_tol(deviation(weights, "fc.weight"), 1 / sqrt(3.0 * 512), 2e-4);
    ck_assert(is_constant(weights, "bn1.weight", 1) && is_constant(weights, "bn1.bias", 0));
    ck_assert(is_constant(weights, "layer1.0.bn2.running_mean", 0));
    ck_assert(is_constant(weights, "layer1.0.bn2.running_var", 1));
    pf_weights_close(&weights);
}
END_TEST

START_TEST(random_vgg_has_torchvisions_distributions)
{
    /* In miniature: a whole VGG draws 130 million numbers. */
    PfNode nodes[3] = {
        {.op = PF_OP_INPUT},
        {.op = PF_OP_CONV, .input_count = 1, .in_channels = 64, .out_channels = 256},
        {.op = PF_OP_LINEAR, .input_count = 1, .in_channels = 256, .out_channels = 512}};
    PfArch arch = {.family = "VGG", .nodes = nodes, .node_count = 3};
    strcpy(nodes[1].module, "features.0");
    strcpy(nodes[2].module, "classifier.0");
    nodes[1].kernel[0] = nodes[1].kernel[1] = 3;
    nodes[1].groups = nodes[1].bias = nodes[2].bias = 1;
    nodes[2].inputs[0] = 1;
    PfWeights *weights;
    ck_assert_int_eq(pf_weights_random(&arch, 0, &weights, NULL), 0);
    ck_assert_double_eq_tol(deviation(weights, "features.0.weight"), sqrt(2.0 / (256 * 9)), 3e-4);
    ck_assert_double_eq_tol(deviation(weights, "classifier.0.weight"), 0.01, 1e-4);
    ck_assert(is_constant(weights, "features.0.bias", 0));
    ck_assert(is_constant(weights, "classifier.0.bias", 0));
    pf_weights_close(&weights);
}
END_TEST

START_TEST(random_weights_are_the_same_everywhere)
{
    PfWeights *weights = new_random("resnet18", 7), *other = new_random("resnet34", 7);
    PfWeights *reseeded = new_random("resnet18", 8);
    const float *values = pf_weights_find_tensor(weights, "conv1.weight")->data;
    const float *others = pf_weights_find_tensor(other, "conv1.weight")->data;
    const float *reseeded_values = pf_weights_find_tensor(reseeded, "conv1.weight")->data;
    ck_assert_mem_eq(values, others, 1000 * sizeof *values);
    ck_assert(values[0] != reseeded_values[0] && values[1] != reseeded_values[1]);
    /* These bits are part of "random:7": caches and timings refer to them. */
    char digest[PF_SHA256_TEXT_SIZE];
    pf_digest_sha256_text(values, 64 * 3 * 49 * sizeof *values, digest);
    ck_assert_str_eq(digest, "15ff7bec7d2432f46c5d699173f7bd1dacc0669ecf8b1c3457a5a97614829492");
    pf_digest_sha256_text("random:7:resnet18", 17, digest);
    ck_assert_str_eq(pf_weights_sha256(weights), digest);
    ck_assert_str_eq(pf_weights_source(weights), "random:7");
    pf_weights_close(&weights);
    pf_weights_close(&other);
    pf_weights_close(&reseeded);
}
END_TEST

/* ---- fitting ---- */

/* Writes the tensors of weights, the one called `changed` with another shape or,
 * where the shape is NULL, not at all; opens the file. */
static PfWeights *rewrite(PfWeights *weights, const char *changed, const PfShape *shape)
{
    char path[100];
    size_t count, kept = 0;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    PfNamedTensor *copy = calloc(count, sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 0; i < count; i++) {
        int is_changed = changed && !strcmp(tensors[i].name, changed);
        if (is_changed && !shape) continue;
        copy[kept] = tensors[i];
        if (is_changed) copy[kept].view.shape = *shape;
        kept++;
    }
    PfError err = {0};
    PfWeights *opened;
    snprintf(path, sizeof path, "%s/w.safetensors", folder);
    ck_assert_msg(!pf_safetensors_write(path, copy, kept, NULL, NULL, 0, &err), "%s", err.message);
    ck_assert_msg(!pf_weights_open(path, &opened, &err), "%s", err.message);
    free(copy);
    return opened;
}

static void expect_misfit(const PfWeights *weights, const char *arch_name, const char *const *parts)
{
    PfError err = {0};
    PfArch *arch = new_arch(arch_name);
    ck_assert_int_eq(pf_weights_check(weights, arch, arch->node_count - 1, &err), -1);
    for (; *parts; parts++)
        ck_assert_msg(strstr(err.message, *parts) != NULL, "'%s' lacks '%s'", err.message, *parts);
    pf_arch_free(&arch);
}

START_TEST(weights_that_fit_are_accepted)
{
    PfWeights *weights = new_random("resnet18_w16", 0), *file = rewrite(weights, NULL, NULL);
    PfArch *arch = new_arch("resnet18_w16");
    PfError err = {0};
    ck_assert_msg(!pf_weights_check(file, arch, arch->node_count - 1, &err), "%s", err.message);
    pf_weights_close(&file);
    /* Another classifier matters only where the classifier is needed. */
    int tap;
    PfShape three = {2, {1, 1280}};
    ck_assert_int_eq(pf_arch_find_tap(arch, arch->default_tap, &tap, NULL), 0);
    file = rewrite(weights, "fc.weight", &three);
    ck_assert_msg(!pf_weights_check(file, arch, tap, &err), "%s", err.message);
    expect_misfit(file, "resnet18_w16",
                  (const char *[]){"1 of ", "'fc.weight' is (1,1280), expected (10,128)", NULL});
    pf_weights_close(&file);
    pf_weights_close(&weights);
    pf_arch_free(&arch);
}
END_TEST

START_TEST(missing_and_misshaped_tensors_are_named)
{
    PfWeights *weights = new_random("resnet18_w16", 0);
    PfWeights *file = rewrite(weights, "layer1.0.conv1.weight", NULL);
    expect_misfit(file, "resnet18_w16",
                  (const char *[]){"w.safetensors': 1 of 102 tensors do not fit resnet18_w16",
                                   "'layer1.0.conv1.weight' is missing, expected (16,16,3,3)",
                                   "the first is 'conv1.weight'", NULL});
    pf_weights_close(&file);
    PfShape flat = {1, {16 * 16 * 9}};
    file = rewrite(weights, "layer1.0.conv1.weight", &flat);
    expect_misfit(
        file, "resnet18_w16",
        (const char *[]){"'layer1.0.conv1.weight' is (2304), expected (16,16,3,3)", NULL});
    pf_weights_close(&file);
    pf_weights_close(&weights);
}
END_TEST

START_TEST(weights_of_another_network_are_recognised)
{
    PfWeights *weights = new_random("resnet18", 0);
    expect_misfit(weights, "resnet50",
                  (const char *[]){"'layer1.0.conv1.weight' is (64,64,3,3), expected (64,64,1,1)",
                                   "\n  and ", " more\n", "these look like resnet18 weights",
                                   NULL});
    pf_weights_close(&weights);
    /* Every tensor that resnet18 needs is there, and its numbers would be nonsense. */
    weights = new_random("resnet34", 0);
    expect_misfit(weights, "resnet18",
                  (const char *[]){"these are resnet34 weights", "--backbone resnet34", NULL});
    pf_weights_close(&weights);
}
END_TEST

START_TEST(integer_weights_are_refused)
{
    static const int64_t numbers[16];
    PfNode nodes[2] = {{.name = "input", .op = PF_OP_INPUT},
                       {.name = "fc",
                        .module = "fc",
                        .op = PF_OP_LINEAR,
                        .input_count = 1,
                        .in_channels = 4,
                        .out_channels = 4}};
    PfArch arch = {.name = "tiny", .family = "Tiny", .nodes = nodes, .node_count = 2};
    PfNamedTensor tensor = {"fc.weight", {PF_DTYPE_I64, {2, {4, 4}}, numbers}};
    char path[100];
    PfWeights *weights;
    PfError err = {0};
    snprintf(path, sizeof path, "%s/int.safetensors", folder);
    ck_assert_int_eq(pf_safetensors_write(path, &tensor, 1, NULL, NULL, 0, NULL), 0);
    ck_assert_int_eq(pf_weights_open(path, &weights, NULL), 0);
    ck_assert_int_eq(pf_weights_check(weights, &arch, 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "'fc.weight' is i64, expected a floating point"));
    pf_weights_close(&weights);
}
END_TEST

/* ---- published weights ---- */

static char published_file[64];
static const PfWeightsEntry published = {
    .name = "V1", .file = published_file, .url = "https://example.org/models/"};
static const PfArch tiny = {.name = "tiny", .weights = &published, .weights_count = 1};

/* Writes a file under `below` of the test's folder, named as published, with
 * the right hash in its name or a wrong one. */
static void publish(const char *below, int right)
{
    static const float numbers[4] = {1, 2, 3, 4};
    PfNamedTensor tensor = {"w", {PF_DTYPE_F32, {1, {4}}, numbers}};
    char path[200], command[500];
    PfWeights *weights;
    snprintf(command, sizeof command, "mkdir -p '%s/%s/hub/checkpoints'", folder, below);
    ck_assert_int_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/some.safetensors", folder);
    ck_assert_int_eq(pf_safetensors_write(path, &tensor, 1, NULL, NULL, 0, NULL), 0);
    ck_assert_int_eq(pf_weights_open(path, &weights, NULL), 0);
    snprintf(published_file, sizeof published_file, "tiny-%.8s.safetensors",
             right ? pf_weights_sha256(weights) : "0123abcd");
    pf_weights_close(&weights);
    snprintf(command, sizeof command, "cp '%s' '%s/%s/hub/checkpoints/%s'", path, folder, below,
             published_file);
    ck_assert_int_eq(system(command), 0);
}

static void expect_found(const char *below)
{
    PfWeights *weights;
    const PfWeightsEntry *entry;
    PfError err = {0};
    ck_assert_msg(!pf_weights_load(&tiny, NULL, NULL, &weights, &entry, &err), "%s", err.message);
    ck_assert_ptr_eq(entry, &published);
    ck_assert_msg(strstr(pf_weights_source(weights), below) != NULL, "found in %s",
                  pf_weights_source(weights));
    pf_weights_close(&weights);
}

START_TEST(published_weights_are_found_where_torch_hub_keeps_them)
{
    char path[200];
    publish(".cache/torch", 1);
    expect_found("/.cache/torch/hub/checkpoints/tiny-");
    publish("xdg/torch", 1);
    snprintf(path, sizeof path, "%s/xdg", folder);
    setenv("XDG_CACHE_HOME", path, 1);
    expect_found("/xdg/torch/hub/checkpoints/tiny-");
    publish("home", 1);
    snprintf(path, sizeof path, "%s/home", folder);
    setenv("TORCH_HOME", path, 1);
    expect_found("/home/hub/checkpoints/tiny-");
    setenv("TORCH_HOME", "/nonexistent", 1);
    expect_found("/xdg/torch/hub/checkpoints/tiny-");
}
END_TEST

static void expect_load_failure(const PfArch *arch, const char *spec, PfExit code, const char *part)
{
    PfWeights *weights;
    const PfWeightsEntry *entry;
    PfError err = {0};
    ck_assert_int_eq(pf_weights_load(arch, spec, NULL, &weights, &entry, &err), -1);
    ck_assert_ptr_null(weights);
    ck_assert_int_eq(err.exit_code, code);
    ck_assert_msg(strstr(err.message, part) != NULL, "'%s' lacks '%s'", err.message, part);
}

START_TEST(a_published_name_with_another_hash_is_refused)
{
    publish(".cache/torch", 0);
    expect_load_failure(&tiny, NULL, PF_EXIT_FAILED, "its name says 0123abcd");
    expect_load_failure(&tiny, NULL, PF_EXIT_FAILED,
                        "fetch https://example.org/models/tiny-0123abcd.safetensors again");
}
END_TEST

START_TEST(older_names_of_published_files_are_read_as_todays)
{
    static const float numbers[4] = {1, 2, 3, 4};
    static const char *const names[][2] = {
        {"features.denseblock1.denselayer2.norm.1.running_mean",
         "features.denseblock1.denselayer2.norm1.running_mean"},
        {"features.denseblock4.denselayer16.conv.2.weight",
         "features.denseblock4.denselayer16.conv2.weight"},
        {"encoder.layers.encoder_layer_11.mlp.linear_1.weight",
         "encoder.layers.encoder_layer_11.mlp.0.weight"},
        {"encoder.layers.encoder_layer_0.mlp.linear_2.bias",
         "encoder.layers.encoder_layer_0.mlp.3.bias"},
        {"features.norm.1.weight", "features.norm.1.weight"},
    };
    PfNamedTensor tensors[sizeof names / sizeof names[0]];
    char path[200];
    PfWeights *weights;
    const PfWeightsEntry *entry;
    PfArch any = {.name = "any"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        tensors[i] = (PfNamedTensor){names[i][0], {PF_DTYPE_F32, {1, {4}}, numbers}};
    snprintf(path, sizeof path, "%s/older.safetensors", folder);
    ck_assert_int_eq(
        pf_safetensors_write(path, tensors, sizeof names / sizeof names[0], NULL, NULL, 0, NULL),
        0);
    ck_assert_int_eq(pf_weights_load(&any, path, NULL, &weights, &entry, NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(pf_weights_find_tensor(weights, names[i][1]) != NULL, "%s", names[i][1]);
    pf_weights_close(&weights);
}
END_TEST

static int check_for(const PfWeights *weights, const char *network, PfError *err)
{
    PfArch *arch;
    ck_assert_int_eq(pf_arch_new(network, &arch, NULL), 0);
    const int failed = pf_weights_check(weights, arch, 0, err);
    pf_arch_free(&arch);
    return failed;
}

/* Blocks are numbered through; a stage ends where the channels change. */
START_TEST(names_of_efficientnet_lite_pytorch_are_read_as_timms)
{
    static const float numbers[64];
    static const struct {
        const char *theirs, *ours;
        PfShape shape;
    } names[] = {
        {"_conv_stem.weight", "conv_stem.weight", {4, {4, 1, 1, 1}}},
        {"_bn0.running_var", "bn1.running_var", {1, {4}}},
        {"_blocks.0._depthwise_conv.weight", "blocks.0.0.conv_dw.weight", {4, {4, 1, 1, 1}}},
        {"_blocks.0._bn1.bias", "blocks.0.0.bn1.bias", {1, {4}}},
        {"_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight", {4, {2, 4, 1, 1}}},
        {"_blocks.1._expand_conv.weight", "blocks.1.0.conv_pw.weight", {4, {12, 2, 1, 1}}},
        {"_blocks.1._bn0.weight", "blocks.1.0.bn1.weight", {1, {12}}},
        {"_blocks.1._project_conv.weight", "blocks.1.0.conv_pwl.weight", {4, {3, 12, 1, 1}}},
        {"_blocks.2._expand_conv.weight", "blocks.1.1.conv_pw.weight", {4, {18, 3, 1, 1}}},
        {"_blocks.2._bn1.weight", "blocks.1.1.bn2.weight", {1, {18}}},
        {"_blocks.2._project_conv.weight", "blocks.1.1.conv_pwl.weight", {4, {3, 18, 1, 1}}},
        {"_blocks.2._bn2.weight", "blocks.1.1.bn3.weight", {1, {3}}},
        {"_conv_head.weight", "conv_head.weight", {4, {5, 3, 1, 1}}},
        {"_bn1.weight", "bn2.weight", {1, {5}}},
        {"_fc.bias", "classifier.bias", {1, {7}}},
        {"_other.weight", "_other.weight", {1, {7}}},
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    PfNamedTensor tensors[COUNT];
    char path[200];
    PfWeights *weights;
    const PfWeightsEntry *entry;
    PfArch any = {.name = "any"};
    PfError err = {0};
    for (size_t i = 0; i < COUNT; i++)
        tensors[i] = (PfNamedTensor){names[i].theirs, {PF_DTYPE_F32, names[i].shape, numbers}};
    snprintf(path, sizeof path, "%s/lite.safetensors", folder);
    ck_assert_int_eq(pf_safetensors_write(path, tensors, COUNT, NULL, NULL, 0, NULL), 0);
    ck_assert_int_eq(pf_weights_load(&any, path, NULL, &weights, &entry, NULL), 0);
    for (size_t i = 0; i < COUNT; i++)
        ck_assert_msg(pf_weights_find_tensor(weights, names[i].ours) != NULL, "%s", names[i].ours);
    /* Shapes would fit both. */
    ck_assert_int_eq(check_for(weights, "efficientnet_lite0", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "--backbone tf_efficientnet_lite0"));
    ck_assert_int_eq(check_for(weights, "tf_efficientnet_lite0", &err), 0);
    pf_weights_close(&weights);
}
END_TEST

START_TEST(a_published_name_without_a_hash_is_taken_unchecked)
{
    char command[500];
    publish(".cache/torch", 1);
    snprintf(command, sizeof command,
             "cd '%s/.cache/torch/hub/checkpoints' && mv %s tiny_pretrain.safetensors", folder,
             published_file);
    ck_assert_int_eq(system(command), 0);
    strcpy(published_file, "tiny_pretrain.safetensors");
    expect_found("/.cache/torch/hub/checkpoints/tiny_pretrain.safetensors");
}
END_TEST

START_TEST(where_weights_are_not_found_the_message_says_what_to_do)
{
    char part[400];
    strcpy(published_file, "tiny-0123abcd.pth");
    setenv("TORCH_HOME", "/tmp/a user's place", 1);
    snprintf(part, sizeof part, "\n  %s/.cache/torch/hub/checkpoints/%s\n", folder, published_file);
    expect_load_failure(&tiny, NULL, PF_EXIT_FAILED, part);
    expect_load_failure(&tiny, NULL, PF_EXIT_FAILED,
                        "\n  /tmp/a user's place/hub/checkpoints/tiny-0123abcd.pth\n");
    expect_load_failure(
        &tiny, NULL, PF_EXIT_FAILED,
        "curl --create-dirs -o '/tmp/a user'\\''s place/hub/checkpoints/tiny-0123abcd.pth' "
        "https://example.org/models/tiny-0123abcd.pth\n");
    expect_load_failure(&tiny, NULL, PF_EXIT_FAILED, "--weights random:0");
    unsetenv("TORCH_HOME");
    unsetenv("HOME");
    expect_load_failure(&tiny, NULL, PF_EXIT_FAILED, "HOME are not set");
    PfArch unpublished = {.name = "own"};
    expect_load_failure(&unpublished, NULL, PF_EXIT_FAILED, "own has no published weights");
}
END_TEST

static const char *fail_noted(const PfArch *arch, const PfNotedWeights *noted, PfError *err)
{
    PfWeights *weights;
    const PfWeightsEntry *entry;
    ck_assert_int_eq(pf_weights_find_noted(arch, noted, NULL, &weights, &entry, err), -1);
    ck_assert_ptr_null(weights);
    ck_assert_int_eq(err->exit_code, PF_EXIT_FAILED);
    return err->message;
}

START_TEST(noted_weights_that_have_moved_are_named)
{
    PfError err = {0};
    PfArch own = {.name = "own"};
    PfNotedWeights noted = {
        .by = "model 'm'", .source = "/gone/w.pth", .sha256 = "feed01", .no_others = 1};
    const char *message = fail_noted(&own, &noted, &err);
    ck_assert_str_eq(message,
                     "model 'm' was made with the weights '/gone/w.pth' (SHA-256 feed01), which "
                     "are not to be had there any more: No such file or directory. Hint: name the "
                     "file with --weights FILE, wherever it is now");
    noted.source = NULL;
    message = fail_noted(&own, &noted, &err);
    ck_assert_msg(strstr(message, "feed01") && strstr(message, "--weights FILE"), "%s", message);
    noted = (PfNotedWeights){.by = "'c.h5'", .source = folder, .sha256 = "feed01"};
    message = fail_noted(&own, &noted, &err);
    ck_assert_msg(strstr(message, folder) && !strstr(message, "any more"), "%s", message);
    /* Published ones: with the command that fetches them. */
    strcpy(published_file, "tiny-0123abcd.pth");
    noted = (PfNotedWeights){.by = "m", .source = "/gone", .sha256 = "0123abcd99", .no_others = 1};
    message = fail_noted(&tiny, &noted, &err);
    ck_assert_msg(strstr(message, "'/gone' (SHA-256 0123abcd99)") &&
                      strstr(message, "curl --create-dirs"),
                  "%s", message);
    noted = (PfNotedWeights){0};
    message = fail_noted(&own, &noted, &err);
    ck_assert_msg(strstr(message, "no published weights") != NULL, "%s", message);
}
END_TEST

START_TEST(published_weights_stand_for_noted_ones_of_their_hash)
{
    PfWeights *weights;
    const PfWeightsEntry *entry;
    PfError err = {0};
    publish(".cache/torch", 1);
    PfNotedWeights noted = {.by = "m", .source = "/gone", .sha256 = "feed01", .no_others = 1};
    fail_noted(&tiny, &noted, &err);
    noted.no_others = 0;
    ck_assert_int_eq(pf_weights_find_noted(&tiny, &noted, NULL, &weights, &entry, &err), 0);
    char sha256[PF_SHA256_TEXT_SIZE];
    snprintf(sha256, sizeof sha256, "%s", pf_weights_sha256(weights));
    pf_weights_close(&weights);
    noted.no_others = 1;
    noted.sha256 = sha256;
    ck_assert_int_eq(pf_weights_find_noted(&tiny, &noted, NULL, &weights, &entry, &err), 0);
    ck_assert_ptr_eq(entry, &published);
    pf_weights_close(&weights);
}
END_TEST

START_TEST(weights_are_loaded_by_file_and_by_seed)
{
    PfWeights *weights;
    const PfWeightsEntry *entry;
    char path[200];
    publish("x", 1);
    snprintf(path, sizeof path, "%s/some.safetensors", folder);
    ck_assert_int_eq(pf_weights_load(&tiny, path, NULL, &weights, &entry, NULL), 0);
    ck_assert_ptr_eq(entry, &published); /* recognised by content, whatever its name */
    ck_assert_str_eq(pf_weights_source(weights), path);
    pf_weights_close(&weights);
    publish("x", 0);
    ck_assert_int_eq(pf_weights_load(&tiny, path, NULL, &weights, &entry, NULL), 0);
    ck_assert_ptr_null(entry);
    pf_weights_close(&weights);
    PfArch *arch = new_arch("resnet18_w16");
    ck_assert_int_eq(
        pf_weights_load(arch, "random:18446744073709551615", NULL, &weights, &entry, NULL), 0);
    ck_assert_ptr_null(entry);
    pf_weights_close(&weights);
    expect_load_failure(arch, "random:", PF_EXIT_USAGE, "whole number");
    expect_load_failure(arch, "random:-1", PF_EXIT_USAGE, "whole number");
    expect_load_failure(arch, "random:1x", PF_EXIT_USAGE, "whole number");
    expect_load_failure(arch, "random:18446744073709551616", PF_EXIT_USAGE, "whole number");
    expect_load_failure(arch, "/nonexistent.pth", PF_EXIT_FAILED, "'/nonexistent.pth'");
    expect_load_failure(arch, folder, PF_EXIT_FAILED, "not a file");
    pf_arch_free(&arch);
}
END_TEST

/* The digest that the file had under the stamp of `known`, as far as loading tells. */
static const char *loaded_sha256(const char *path, const PfFileStampSha256 *known)
{
    static char sha256[PF_SHA256_TEXT_SIZE];
    PfWeights *weights;
    const PfWeightsEntry *entry;
    ck_assert_int_eq(pf_weights_load(&tiny, path, known, &weights, &entry, NULL), 0);
    strcpy(sha256, pf_weights_sha256(weights));
    pf_weights_close(&weights);
    return sha256;
}

START_TEST(a_file_with_a_known_stamp_is_not_hashed_again)
{
    static const char path[] = PF_SOURCE_DIR "/tests/sample/resnet18_w16.safetensors";
    char real[PF_SHA256_TEXT_SIZE];
    PfWeights *weights;
    PfFileStampSha256 known = {.sha256 = "as it was"};
    ck_assert_int_eq(pf_weights_open(path, &weights, NULL), 0);
    known.stamp = *pf_weights_stamp(weights);
    pf_weights_close(&weights);
    strcpy(real, loaded_sha256(path, NULL));
    ck_assert_int_ne(known.stamp.mtime_ns, 0);
    ck_assert_str_eq(loaded_sha256(path, &known), "as it was");
    known.stamp.ctime_ns++; /* its bytes may be others, whatever its date says */
    ck_assert_str_eq(loaded_sha256(path, &known), real);
    known.stamp.mtime_ns = 0;
    ck_assert_str_eq(loaded_sha256(path, &known), real);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, random_resnet_has_torchvisions_distributions);
    tcase_add_test(cases, random_vgg_has_torchvisions_distributions);
    tcase_add_test(cases, random_weights_are_the_same_everywhere);
    tcase_add_test(cases, weights_that_fit_are_accepted);
    tcase_add_test(cases, missing_and_misshaped_tensors_are_named);
    tcase_add_test(cases, weights_of_another_network_are_recognised);
    tcase_add_test(cases, integer_weights_are_refused);
    tcase_add_test(cases, published_weights_are_found_where_torch_hub_keeps_them);
    tcase_add_test(cases, older_names_of_published_files_are_read_as_todays);
    tcase_add_test(cases, names_of_efficientnet_lite_pytorch_are_read_as_timms);
    tcase_add_test(cases, a_published_name_without_a_hash_is_taken_unchecked);
    tcase_add_test(cases, a_published_name_with_another_hash_is_refused);
    tcase_add_test(cases, where_weights_are_not_found_the_message_says_what_to_do);
    tcase_add_test(cases, noted_weights_that_have_moved_are_named);
    tcase_add_test(cases, published_weights_stand_for_noted_ones_of_their_hash);
    tcase_add_test(cases, weights_are_loaded_by_file_and_by_seed);
    tcase_add_test(cases, a_file_with_a_known_stamp_is_not_hashed_again);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
