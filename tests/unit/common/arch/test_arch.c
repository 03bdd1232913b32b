/* Networks as data: counts and shapes against torchvision's and torchinfo's. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/arch/script.h"
#include "extract/backbone/summary.h"

static PfArch *new_arch(const char *name)
{
    PfArch *arch = NULL;
    PfError err = {0};
    ck_assert_msg(!pf_arch_new(name, &arch, &err), "%s", err.message);
    return arch;
}

static PfSummaryTotals totals_of(const char *name, PfSummaryOptions options)
{
    PfArch *arch = new_arch(name);
    PfSummaryTotals totals = {0};
    PfError err = {0};
    ck_assert_msg(!pf_summary_print(arch, &options, NULL, &totals, &err), "%s", err.message);
    pf_arch_free(&arch);
    return totals;
}

/* sum(p.numel() for p in torchvision.models.<name>().parameters()) */
START_TEST(parameter_counts_are_torchvisions)
{
    static const struct {
        const char *name;
        int64_t parameters;
    } known[] = {
        {"resnet18", 11689512},
        {"resnet34", 21797672},
        {"resnet50", 25557032},
        {"resnet101", 44549160},
        {"resnet152", 60192808},
        {"vgg11", 132863336},
        {"vgg11_bn", 132868840},
        {"vgg13", 133047848},
        {"vgg13_bn", 133053736},
        {"vgg16", 138357544},
        {"vgg16_bn", 138365992},
        {"vgg19", 143667240},
        {"vgg19_bn", 143678248},
        {"densenet121", 7978856},
        {"densenet161", 28681000},
        {"densenet169", 14149480},
        {"densenet201", 20013928},
        {"mobilenet_v3_large", 5483032},
        {"mobilenet_v3_small", 2542856},
        {"efficientnet_b0", 5288548},
        {"efficientnet_b1", 7794184},
        {"efficientnet_b2", 9109994},
        {"efficientnet_b3", 12233232},
        {"efficientnet_b4", 19341616},
        {"efficientnet_b5", 30389784},
        {"efficientnet_b6", 43040704},
        {"efficientnet_b7", 66347960},
        {"efficientnet_v2_s", 21458488},
        {"efficientnet_v2_m", 54139356},
        {"efficientnet_v2_l", 118515272},
        {"resnext50_32x4d", 25028904},
        {"resnext101_32x8d", 88791336},
        {"resnext101_64x4d", 83455272},
        {"wide_resnet50_2", 68883240},
        {"wide_resnet101_2", 126886696},
        {"inception_v3", 23834568}, /* and googlenet: without their auxiliary heads */
        {"googlenet", 6624904},
        {"mobilenet_v2", 3504872},
        {"squeezenet1_0", 1248424},
        {"squeezenet1_1", 1235496},
        {"shufflenet_v2_x0_5", 1366792},
        {"shufflenet_v2_x1_0", 2278604},
        {"shufflenet_v2_x1_5", 3503624},
        {"shufflenet_v2_x2_0", 7393996},
        {"mnasnet0_5", 2218512},
        {"mnasnet0_75", 3170208},
        {"mnasnet1_0", 4383312},
        {"mnasnet1_3", 6282256},
        {"alexnet", 61100840},
        {"regnet_x_400mf", 5495976},
        {"regnet_x_800mf", 7259656},
        {"regnet_x_1_6gf", 9190136},
        {"regnet_x_3_2gf", 15296552},
        {"regnet_x_8gf", 39572648},
        {"regnet_x_16gf", 54278536},
        {"regnet_x_32gf", 107811560},
        {"regnet_y_400mf", 4344144},
        {"regnet_y_800mf", 6432512},
        {"regnet_y_1_6gf", 11202430},
        {"regnet_y_3_2gf", 19436338},
        {"regnet_y_8gf", 39381472},
        {"regnet_y_16gf", 83590140},
        {"regnet_y_32gf", 145046770},
        {"regnet_y_128gf", 644812894},
        {"efficientnet_lite0", 4652008}, /* timm's */
        {"efficientnet_lite4", 13006568},
        {"tf_efficientnet_lite4", 13006568},
        {"convnext_tiny", 28589128},
        {"convnext_small", 50223688},
        {"convnext_base", 88591464},
        {"convnext_large", 197767336},
        {"vit_b_16", 86567656},
        {"vit_b_32", 88224232},
        {"vit_l_16", 304326632},
        {"vit_l_32", 306535400},
        {"vit_h_14", 632045800},
        /* timm's, and Meta's without the mask_token, which only pretraining reads. */
        {"vit_s_16", 22050664},
        {"dinov2_vits14", 22056192},
        {"dinov2_vitb14", 86579712},
        {"dinov2_vitl14", 304367616},
        {"dinov2_vits14_reg", 22057728},
        {"dinov2_vitb14_reg", 86582784},
        {"dinov2_vitl14_reg", 304371712},
        {"dinov2_vitg14", 1136479232},
        {"clip_vit_b_32", 87849216},
        {"clip_vit_b_16_gelu", 86192640},
        {"clip_vit_l_14", 303966208},
        {"siglip_vit_b_16", 92884224},
        {"dinov3_convnext_tiny", 27820128},
        {"swin_t", 28288354},
        {"swin_s", 49606258},
        {"swin_b", 87768224},
        {"dinov3_vits16", 21600768},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        ck_assert_int_eq(totals_of(known[i].name, (PfSummaryOptions){0}).parameters,
                         known[i].parameters);
}
END_TEST

START_TEST(vgg16_with_a_new_head_counts_as_torchinfo_does)
{
    PfSummaryTotals totals = totals_of("vgg16", (PfSummaryOptions){.input = 244, .classes = 2});
    ck_assert_int_eq(totals.parameters, 14764866);
    ck_assert_int_eq(totals.trainable, 50178);
    char text[64];
    snprintf(text, sizeof text, "%.2f %.2f %.2f", (double)totals.multiply_adds / 1e9,
             (double)totals.activation_bytes / 1e6,
             (double)(totals.input_bytes + totals.activation_bytes + totals.parameter_bytes) / 1e6);
    ck_assert_str_eq(text, "17.99 128.13 187.91");
}
END_TEST

/* torchinfo.summary(model, (1, 3, side, side)) of torchvision's: total_mult_adds,
 * total_output_bytes in MB. Googlenet and Inception without their auxiliary heads;
 * EfficientNet-Lite with 42016 for its norms, whose modules of timm torchinfo does not count. */
START_TEST(families_count_as_torchinfo_does)
{
    static const struct {
        const char *name;
        int side;
        int64_t multiply_adds;
        const char *outputs;
    } known[] = {
        {"resnet18", 64, 148568424, "3.25"},
        {"resnext50_32x4d", 64, 347295336, "18.82"},
        {"densenet121", 64, 232385192, "14.75"},
        {"mobilenet_v2", 64, 25763624, "8.73"},
        {"mobilenet_v3_small", 64, 6533504, "1.88"},
        {"efficientnet_b0", 64, 33298948, "8.88"},
        {"convnext_tiny", 64, 50833672, "10.73"},
        {"shufflenet_v2_x0_5", 64, 4253560, "1.35"},
        {"squeezenet1_1", 64, 21766248, "1.45"},
        {"mnasnet0_5", 64, 9724152, "4.01"},
        {"regnet_y_400mf", 64, 33849648, "5.13"},
        {"alexnet", 64, 98186024, "0.33"},
        {"googlenet", 96, 276063432, "9.49"},
        {"inception_v3", 96, 340932552, "10.39"},
        {"vit_b_32", 224, 173119720, "26.42"},
        {"vgg11", 64, 735306728, "4.92"},
        {"clip_vit_b_32", 224, 172314624, "26.72"},
        {"siglip_vit_b_16", 224, 207898368, "163.82"},
        {"dinov2_vits14", 98, 32376960, NULL},
        {"swin_t", 64, 20820712, "7.48"},
        {"vit_s_16", 224, 79557352, "81.10"},
        {"efficientnet_lite0", 64, 32662408, NULL},
        {"dinov3_convnext_tiny", 64, 50064672, "10.72"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[64];
        PfSummaryTotals totals =
            totals_of(known[i].name, (PfSummaryOptions){.input = known[i].side});
        ck_assert_msg(totals.multiply_adds == known[i].multiply_adds, "%s: %lld", known[i].name,
                      (long long)totals.multiply_adds);
        snprintf(text, sizeof text, "%.2f", (double)totals.activation_bytes / 1e6);
        if (known[i].outputs)
            ck_assert_msg(!strcmp(text, known[i].outputs), "%s: %s", known[i].name, text);
    }
}
END_TEST

START_TEST(a_tap_is_a_node_or_the_last_node_of_a_module)
{
    static const struct {
        const char *network, *tap, *node;
    } known[] = {
        {"resnet18", "layer3", "layer3.1.relu_1"},
        {"resnet50", "layer4.2", "layer4.2.relu_2"},
        {"resnet18", "layer1.0.add", "layer1.0.add"},
        {"vgg16", "features", "features.30"},
        {"vgg16", "classifier.3", "classifier.3"},
        {"resnet18", "input", "input"},
        {"efficientnet_b0", "features.8", "features.8.2"},
        {"convnext_tiny", "features.7", "features.7.2.add"},
        {"vit_b_16", "encoder.layers.encoder_layer_0.self_attention",
         "encoder.layers.encoder_layer_0.self_attention.out_proj"},
        {"dinov2_vits14", "blocks.3", "blocks.3.add_1"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        PfArch *arch = new_arch(known[i].network);
        int node = -1;
        ck_assert_int_eq(pf_arch_find_tap(arch, known[i].tap, &node, NULL), 0);
        ck_assert_str_eq(arch->nodes[node].name, known[i].node);
        pf_arch_free(&arch);
    }
}
END_TEST

static void expect_no_tap(const char *tap, const char *part)
{
    PfArch *arch = new_arch("resnet18");
    PfError err = {0};
    int node;
    ck_assert_int_eq(pf_arch_find_tap(arch, tap, &node, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, part));
    pf_arch_free(&arch);
}

START_TEST(an_unknown_tap_is_refused_with_the_nearest_name)
{
    expect_no_tap("avgpol", "avgpool");
    expect_no_tap("layer5", "Did you mean layer1?"); /* a module */
    expect_no_tap("layer", "--summary");             /* a prefix of names, but no module */
    expect_no_tap("", "no tap");
}
END_TEST

START_TEST(an_unknown_backbone_is_refused_with_the_nearest_name)
{
    PfArch *arch;
    PfError err = {0};
    ck_assert_int_eq(pf_arch_new("resnet81", &arch, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "Did you mean resnet"));
    ck_assert_ptr_nonnull(strstr(err.message, "extract --backbones"));
}
END_TEST

static PfShape shape_at(const char *network, int input, const char *tap)
{
    PfArch *arch = new_arch(network);
    PfShape *shapes = calloc((size_t)arch->node_count, sizeof *shapes);
    PfError err = {0};
    int node;
    ck_assert_int_eq(pf_arch_find_tap(arch, tap, &node, &err), 0);
    ck_assert_msg(!pf_arch_infer_shapes(arch, input, input, shapes, &err), "%s", err.message);
    PfShape shape = pf_arch_stored_shape(shapes[node]);
    free(shapes);
    pf_arch_free(&arch);
    return shape;
}

START_TEST(shapes_are_inferred_for_any_input)
{
    char text[PF_SHAPE_TEXT_SIZE];
    PfShape shape = shape_at("resnet18", 224, "layer3");
    ck_assert_str_eq(pf_shape_text(&shape, text), "(256,14,14)");
    shape = shape_at("resnet18", 225, "layer4"); /* odd sizes round as torch does */
    ck_assert_str_eq(pf_shape_text(&shape, text), "(512,8,8)");
    shape = shape_at("resnet50", 224, "avgpool"); /* 1x1 is dropped */
    ck_assert_str_eq(pf_shape_text(&shape, text), "(2048)");
    shape = shape_at("vgg16", 244, "avgpool");
    ck_assert_str_eq(pf_shape_text(&shape, text), "(512,7,7)");
}
END_TEST

START_TEST(an_input_that_vanishes_on_the_way_is_refused)
{
    PfArch *arch = new_arch("vgg16");
    PfShape shapes[64];
    PfError err = {0};
    ck_assert_int_eq(pf_arch_infer_shapes(arch, 16, 16, shapes, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "features.30"));
    pf_arch_free(&arch);
}
END_TEST

START_TEST(position_embeddings_are_resized)
{
    static const char *const networks[] = {"vit_b_16", "vit_s_16", "siglip_vit_b_16"};
    static const char *const norms[] = {"encoder.ln", "norm", "norm"};
    static const char *const shapes[] = {"(257,768)", "(257,384)", "(256,768)"};
    char text[PF_SHAPE_TEXT_SIZE];
    for (int i = 0; i < 3; i++) {
        PfShape shape = shape_at(networks[i], 256, norms[i]);
        ck_assert_str_eq(pf_shape_text(&shape, text), shapes[i]);
    }
}
END_TEST

START_TEST(transformers_have_taps_of_tokens)
{
    static const struct {
        const char *network, *tap, *shape;
    } known[] = {
        {"vit_b_16", "tokens", "(197,768)"},
        {"vit_b_16", "mean", "(768)"},
        {"vit_b_16", "cls+mean", "(1536)"},
        {"vit_b_16", "map", "(768,14,14)"},
        {"vit_b_16", "blocks.3.cls", "(768)"},
        {"vit_b_16", "blocks.3", "(197,768)"},
        {"dinov2_vits14_reg", "map", "(384,16,16)"},
        {"dinov2_vits14_reg", "tokens", "(261,384)"},
        {"dinov2_vits14_reg", "patches", "(256,384)"},
        {"dinov2_vits14_reg", "blocks.0.cls+mean", "(768)"},
        {"dinov2_vitg14", "blocks.39.mean", "(1536)"},
        {"clip_vit_b_32", "projection", "(512)"},
        {"clip_vit_b_32", "cls", "(768)"},
        {"clip_vit_l_14_gelu", "blocks.23.map", "(1024,16,16)"},
        {"siglip_vit_b_16", "pooled", "(768)"},
        {"siglip_vit_b_16", "tokens", "(196,768)"},
    };
    char text[PF_SHAPE_TEXT_SIZE];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        PfShape shape = shape_at(known[i].network, 224, known[i].tap);
        ck_assert_msg(!strcmp(pf_shape_text(&shape, text), known[i].shape), "%s %s is %s",
                      known[i].network, known[i].tap, text);
    }
    PfArch *arch = new_arch("siglip_vit_b_16");
    PfError err = {0};
    int node;
    ck_assert_int_eq(pf_arch_find_tap(arch, "cls", &node, &err), -1); /* it has no class token */
    pf_arch_free(&arch);
}
END_TEST

START_TEST(a_norm_that_taps_share_is_one_parameter)
{
    PfArch *arch = new_arch("dinov2_vits14");
    PfError err = {0};
    PfParameter *list;
    int node, count, norms = 0, alone = 0;
    ck_assert_int_eq(pf_arch_find_tap(arch, "blocks.1.mean", &node, &err), 0);
    ck_assert(arch->nodes[node].is_aside);
    ck_assert_int_eq(pf_arch_parameters(arch, node, &list, &count, &err), 0);
    for (int i = 0; i < count; i++) norms += !strncmp(list[i].name, "norm.", 5);
    for (int i = 0; i < count; i++) alone += !strncmp(list[i].name, "blocks.2.", 9);
    ck_assert_int_eq(norms, 2);
    ck_assert_int_eq(alone, 0);
    free(list);
    unsigned char *needed = malloc((size_t)arch->node_count);
    memset(needed, 1, (size_t)arch->node_count);
    ck_assert_int_eq(pf_arch_marked_parameters(arch, needed, &list, &count, &err), 0);
    norms = 0;
    for (int i = 0; i < count; i++) norms += !strncmp(list[i].name, "norm.", 5);
    ck_assert_int_eq(norms, 2);
    free(list);
    free(needed);
    pf_arch_free(&arch);
}
END_TEST

START_TEST(patches_fill_the_image)
{
    static const char *const networks[] = {"vit_b_32", "dinov2_vits14"};
    static const char *const hints[] = {"multiples of 32 pixels, its patches, found 230x224. Hint: "
                                        "--crop 224",
                                        "multiples of 14 pixels, its patches, found 230x224. Hint: "
                                        "--crop 224"};
    for (int i = 0; i < 2; i++) {
        PfArch *arch = new_arch(networks[i]);
        PfShape shapes[512];
        PfError err = {0};
        ck_assert_int_eq(pf_arch_infer_shapes(arch, 230, 224, shapes, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
        ck_assert_msg(strstr(err.message, hints[i]) != NULL, "%s", err.message);
        pf_arch_free(&arch);
    }
}
END_TEST

START_TEST(parameters_are_those_of_the_nodes_that_feed_the_tap)
{
    PfArch *arch = new_arch("resnet18");
    PfParameter *parameters;
    int node, count;
    ck_assert_int_eq(pf_arch_find_tap(arch, "maxpool", &node, NULL), 0);
    ck_assert_int_eq(pf_arch_parameters(arch, node, &parameters, &count, NULL), 0);
    ck_assert_int_eq(count, 5);
    ck_assert_str_eq(parameters[0].name, "conv1.weight");
    ck_assert_str_eq(parameters[4].name, "bn1.running_var");
    ck_assert_int_eq(parameters[4].is_buffer, 1);
    free(parameters);
    pf_arch_free(&arch);
}
END_TEST

/* ---- the table of operations ---- */

/* A node that any operation can be, and makes eight numbers of what any_shapes says. */
static PfNode any_node(PfOp op, int bias)
{
    PfNode node = {.name = "any", .module = "block.0.any", .op = op, .bias = bias};
    node.input_count = op == PF_OP_INPUT || op == PF_OP_PARAMETER ? 0 : op == PF_OP_CONCAT ? 1 : 3;
    node.in_channels = node.out_channels = 8;
    for (int axis = 0; axis < 2; axis++)
        node.kernel[axis] = node.stride[axis] = node.dilation[axis] = 1;
    node.groups = node.pool_size = node.heads = 1;
    node.eps = node.dropout = node.scale = node.high = 0.5f;
    node.count = 8;
    node.step = 1;
    node.shape = (PfShape){1, {8}};
    for (int axis = 0; axis < 3; axis++) node.axes[axis] = axis;
    const bool reduces = op == PF_OP_MEAN || op == PF_OP_REDUCE_SUM || op == PF_OP_REDUCE_MAX;
    if (reduces) node.axes[0] = 2;
    node.axis_count = reduces ? 1 : 3;
    if (op == PF_OP_POSITIONS) node.shape = (PfShape){2, {1, 8}};
    if (op == PF_OP_ROTATE) node.value = 100;
    if (op == PF_OP_WINDOW_ATTENTION) {
        node.shape = (PfShape){2, {1, 1}};
        node.start = 0;
    }
    return node;
}

static void any_shapes(PfOp op, PfShape in[PF_NODE_MAX_INPUTS])
{
    for (int i = 0; i < 3; i++) {
        in[i] = (PfShape){3, {8, 1, 1}};
        if (op == PF_OP_LINEAR || op == PF_OP_LAYER_NORM) in[i] = (PfShape){1, {8}};
        if (op == PF_OP_ATTENTION) in[i] = (PfShape){2, {1, 8}};
        if (op == PF_OP_TOKEN_MAP && i == 0) in[i] = (PfShape){2, {1, 8}};
        if (op == PF_OP_ROTATE && i == 0) in[i] = (PfShape){2, {1, 8}};
        if (op == PF_OP_WINDOW_ATTENTION) in[i] = (PfShape){3, {1, 1, 24}};
    }
}

static void check_parameters(const PfOpRow *row, const PfNode *node)
{
    ck_assert_msg(row->parameters != NULL, "%s: no parameters", row->name);
    for (const PfOpParameter *p = row->parameters; p->name; p++) {
        ck_assert_msg(p->shape && p->initial, "%s: %s lacks a column", row->name, p->name);
        PfShape shape = p->shape(node);
        ck_assert_msg(pf_shape_count(&shape) > 0, "%s: %s is empty", row->name, p->name);
        char word[PF_NODE_NAME_SIZE];
        snprintf(word, sizeof word, "{%s}",
                 *p->name                      ? p->name
                 : node->op == PF_OP_POSITIONS ? "positions"
                                               : "for_each_image");
        ck_assert_msg(strstr(row->script, word) != NULL, "%s: TorchScript without %s", row->name,
                      word);
    }
}

/* "#2" or "$2", where there are at least so many. */
static bool is_numbered(const char *word, char sign, int count)
{
    return *word == sign && atoi(word + 1) >= 1 && atoi(word + 1) <= count;
}

static bool is_onnx_word(const PfOnnxNodes *onnx, const PfNode *node, int step, const char *word)
{
    static const char *const always[] = {"inputs", "image", "itself"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (!strcmp(word, always[i])) return true;
    if (word[0] >= '0' && word[0] < '0' + node->input_count && !word[1]) return true;
    return (step && !strcmp(word, "before")) || is_numbered(word, '#', step) ||
           is_numbered(word, '$', onnx->constant_count) || pf_op_find_parameter(node->op, word);
}

/* Everything that a row's ONNX nodes take must be there. */
static void check_onnx(const PfOpRow *row, const PfNode *node, const PfShape *in)
{
    PfOnnxNodes onnx = {.count = 0};
    PfError err = {0};
    char word[PF_NODE_NAME_SIZE];
    int length;
    const int failed = row->onnx(node, in, &onnx, &err);
    ck_assert_msg(!failed, "%s: %s", row->name, err.message);
    for (int i = 0; i < onnx.count; i++)
        for (const char *c = onnx.nodes[i].inputs; sscanf(c, "%63s%n", word, &length) == 1;
             c += length)
            ck_assert_msg(is_onnx_word(&onnx, node, i, word), "%s: ONNX input '%s'", row->name,
                          word);
    pf_onnx_nodes_free(&onnx);
}

START_TEST(every_operation_has_all_columns)
{
    const PfOpRow *row = pf_op_row((PfOp)_i);
    ck_assert_msg(row->name && *row->name && row->class_name && row->shape && row->multiply_adds &&
                      row->script && *row->script && row->onnx,
                  "operation %d lacks a column", _i);
    for (int bias = 0; bias < 2; bias++) {
        PfNode node = any_node((PfOp)_i, bias);
        PfShape in[PF_NODE_MAX_INPUTS], out;
        PfError err = {0};
        any_shapes((PfOp)_i, in);
        FILE *nowhere = fopen("/dev/null", "w");
        ck_assert_msg(!row->shape(&node, in, &out, &err), "%s: %s", row->name, err.message);
        ck_assert_int_eq(pf_shape_count(&out), 8);
        ck_assert_int_ge(row->multiply_adds(&node, &out), pf_node_parameter_count(&node));
        check_parameters(row, &node);
        ck_assert_msg(!pf_arch_script_expression(&node, row->script, nowhere, &err), "%s",
                      err.message);
        check_onnx(row, &node, in);
        fclose(nowhere);
    }
}
END_TEST

START_TEST(a_word_that_stands_for_nothing_is_an_error)
{
    static const char *const wrong[] = {"f({nothing})", "f({2})", "f({0)", "f({running_mean})"};
    PfNode node = any_node(PF_OP_CONV, 1);
    node.input_count = 1;
    FILE *nowhere = fopen("/dev/null", "w");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        PfError err = {0};
        ck_assert_int_eq(pf_arch_script_expression(&node, wrong[i], nowhere, &err), -1);
        ck_assert_ptr_nonnull(strstr(err.message, "operation 'conv'"));
    }
    fclose(nowhere);
}
END_TEST

/* One node of each operation. */
static PfArch new_zoo(void)
{
    PfArch arch = {.name = "zoo"};
    PfArchBuilder builder = {.arch = &arch};
    int node, sum;
    pf_arch_add(&builder, PF_OP_INPUT, "input", "", 0, &node);
    node = pf_arch_add_conv(&builder, "stem.0.conv", node, 3, 8, 3, 2, 1, false);
    node = sum = pf_arch_add_batch_norm(&builder, "norm", node, 8);
    node = pf_arch_add_relu(&builder, "relu", NULL, node);
    sum = pf_arch_add_sum(&builder, "add", sum, node);
    node = pf_arch_add_conv(&builder, "layer.1", sum, 8, 8, 1, 1, 0, true);
    node = pf_arch_add_max_pool(&builder, "pool", node, 3, 2, 1);
    node = pf_arch_add_avg_pool(&builder, "avgpool", node, 1);
    node = pf_arch_add_flatten(&builder, node);
    node = pf_arch_add_dropout(&builder, "dropout", node, 0.25f);
    pf_arch_add_linear(&builder, "fc", node, 8, 10);
    ck_assert(!builder.failed);
    return arch;
}

START_TEST(the_torchscript_of_each_operation)
{
    PfArch arch = new_zoo();
    PfError err = {0};
    char *text = pf_arch_script(&arch, "forward", 0, (const int[]){6, 10}, 2, NULL, &err);
    ck_assert_msg(text != NULL, "%s", err.message);
    ck_assert_str_eq(
        text,
        "def forward(self, input: Tensor) -> Tuple[Tensor, Tensor]:\n"
        "    v0 = input\n"
        "    v1 = torch.conv2d(v0, getattr(self.stem, \"0\").conv.weight, None, [2, 2], [1, 1], "
        "[1, 1], 1)\n"
        "    v2 = torch.batch_norm(v1, self.norm.weight, self.norm.bias, self.norm.running_mean, "
        "self.norm.running_var, self.norm.training, 0.1, 9.99999975e-06, True)\n"
        "    v3 = torch.relu(v2)\n"
        "    v4 = torch.add(v2, v3)\n"
        "    v5 = torch.conv2d(v4, getattr(self.layer, \"1\").weight, getattr(self.layer, "
        "\"1\").bias, [1, 1], [0, 0], [1, 1], 1)\n"
        "    v6 = torch.max_pool2d(v5, [3, 3], [2, 2], [1, 1], [1, 1], False)\n"
        "    v7 = torch.adaptive_avg_pool2d(v6, [1, 1])\n"
        "    v8 = torch.flatten(v7, 1)\n"
        "    v9 = torch.dropout(v8, 0.250000, self.training)\n"
        "    v10 = torch.linear(v9, self.fc.weight, self.fc.bias)\n"
        "    return (v6,v10,)\n");
    free(text);
    free(arch.nodes);
}
END_TEST

START_TEST(a_script_holds_what_its_outputs_need_behind_the_start)
{
    PfArch arch = new_zoo();
    PfError err = {0};
    char *text = pf_arch_script(&arch, "from_pool", 4, (const int[]){5, 4}, 2, NULL, &err);
    ck_assert_msg(text != NULL, "%s", err.message);
    ck_assert_ptr_nonnull(strstr(text, "    v4 = input\n    v5 = torch.conv2d(v4, "));
    ck_assert_ptr_nonnull(strstr(text, "    return (v5,v4,)\n"));
    ck_assert_ptr_null(strstr(text, "v6"));
    free(text);
    /* The sum goes round its ReLU. */
    ck_assert_ptr_null(pf_arch_script(&arch, "from_relu", 3, (const int[]){4}, 1, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "before it"));
    free(arch.nodes);
}
END_TEST

static char *summary_text(const char *network, PfSummaryOptions options)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    PfArch *arch = new_arch(network);
    ck_assert_int_eq(pf_summary_print(arch, &options, stream, NULL, NULL), 0);
    pf_arch_free(&arch);
    fclose(stream);
    return text;
}

static void check_cut(const char *name, const char *module, const char *expected)
{
    PfArch *arch;
    PfError err = {0};
    int cut, tap;
    ck_assert_int_eq(pf_arch_new(name, &arch, &err), 0);
    ck_assert_msg(!pf_arch_find_cut(arch, module, &cut, &err), "%s", err.message);
    ck_assert_str_eq(arch->nodes[cut].name, expected);
    ck_assert_int_eq(pf_arch_find_tap(arch, arch->default_tap, &tap, &err), 0);
    unsigned char *behind = malloc((size_t)arch->node_count);
    ck_assert_int_eq(pf_arch_mark_behind(arch, cut, tap, behind, &err), 0);
    ck_assert(!behind[cut] && behind[tap] && behind[cut + 1]);
    for (int i = 0; i < arch->node_count; i++) ck_assert(!behind[i] || (i > cut && i <= tap));
    free(behind);
    pf_arch_free(&arch);
}

START_TEST(a_cut_is_what_a_module_takes_in)
{
    check_cut("resnet18", "layer4", "layer3.1.relu_1");
    check_cut("resnet18", "layer3", "layer2.1.relu_1");
    check_cut("resnet50", "layer4.1", "layer4.0.relu_2");
    check_cut("resnet18", "all", "input");
    check_cut("vgg16", "features.24", "features.23");
    check_cut("vgg16", "features", "input");
    check_cut("densenet121", "features.denseblock4", "features.transition3.pool");
    check_cut("mobilenet_v3_large", "features.15", "features.14.add");
    check_cut("efficientnet_b0", "features.7", "features.6.3.add");
    check_cut("inception_v3", "Mixed_7c", "Mixed_7b.cat_2");
    check_cut("googlenet", "inception5b", "inception5a.cat");
    check_cut("regnet_y_400mf", "trunk_output.block4", "trunk_output.block3.block3-5.activation");
    check_cut("squeezenet1_1", "features.12", "features.11.cat");
    check_cut("shufflenet_v2_x0_5", "stage4.3", "stage4.2.view_1");
    check_cut("mobilenet_v2", "features.17", "features.16.add");
    check_cut("mnasnet0_5", "layers.13", "layers.12.3.add");
    check_cut("tf_efficientnet_lite0", "blocks.6", "blocks.5.3.add");
    /* The scales of layers, which take nothing, lie behind the cut, too. */
    check_cut("convnext_tiny", "features.7", "features.6.1");
    check_cut("convnext_tiny", "features.7.2", "features.7.1.add");
    check_cut("vit_b_16", "encoder.layers.encoder_layer_11",
              "encoder.layers.encoder_layer_10.add_1");
    check_cut("dinov2_vits14_reg", "blocks.11", "blocks.10.add_1");
    check_cut("vit_b_32", "blocks.11", "encoder.layers.encoder_layer_10.add_1");
    check_cut("clip_vit_b_32", "blocks.11", "transformer.resblocks.10.add_1");
    check_cut("siglip_vit_b_16", "blocks.11", "blocks.10.add_1");
    /* Rotations take the size of the map of patches, which lies before the cut, and no value. */
    check_cut("dinov3_vits16", "blocks.11", "blocks.10.add_1");
    check_cut("dinov3_vits16", "blocks.0", "cat");
    check_cut("dinov3_vits16", "all", "input");
}
END_TEST

START_TEST(a_method_behind_a_cut_knows_the_sizes_before_it)
{
    PfArch *arch;
    PfError err = {0};
    int cut, tap;
    ck_assert_int_eq(pf_arch_new("dinov3_vits16", &arch, &err), 0);
    PfShape *shapes = calloc((size_t)arch->node_count, sizeof *shapes);
    ck_assert_ptr_nonnull(shapes);
    ck_assert_int_eq(pf_arch_find_cut(arch, "blocks.11", &cut, &err), 0);
    ck_assert_int_eq(pf_arch_find_tap(arch, arch->default_tap, &tap, &err), 0);
    ck_assert_int_eq(pf_arch_infer_shapes(arch, 96, 160, shapes, &err), 0);
    char *text = pf_arch_script(arch, "forward", cut, &tap, 1, shapes, &err);
    ck_assert_msg(text, "%s", err.message);
    ck_assert_ptr_nonnull(strstr(text, " = torch.empty([1, 384, 6, 10])\n"));
    free(text);
    ck_assert_ptr_null(pf_arch_script(arch, "forward", cut, &tap, 1, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "without the size of 'patch_embed.proj'"));
    /* From the input on the map is there. */
    text = pf_arch_script(arch, "forward", 0, &tap, 1, NULL, &err);
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_null(strstr(text, "torch.empty"));
    free(text);
    free(shapes);
    pf_arch_free(&arch);
}
END_TEST

START_TEST(what_cannot_be_cut_is_refused)
{
    PfArch *arch;
    PfError err = {0};
    int cut, tap;
    unsigned char behind[512];
    ck_assert_int_eq(pf_arch_new("resnet18", &arch, &err), 0);
    ck_assert_int_eq(pf_arch_find_cut(arch, "layer4.1.add", &cut, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "whole block"));
    ck_assert_int_eq(pf_arch_find_cut(arch, "layer5", &cut, &err), -1);
    /* Inside a block the shortcut goes round the cut. */
    ck_assert_int_eq(pf_arch_find_tap(arch, "layer4.1.conv1", &cut, &err), 0);
    ck_assert_int_eq(pf_arch_find_tap(arch, "avgpool", &tap, &err), 0);
    ck_assert_int_eq(pf_arch_mark_behind(arch, cut, tap, behind, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "before it"));
    ck_assert_int_eq(pf_arch_mark_behind(arch, tap, cut, behind, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "does not lie behind"));
    pf_arch_free(&arch);
    /* A layer of a dense block takes the maps of all before it. */
    ck_assert_int_eq(pf_arch_new("densenet121", &arch, &err), 0);
    ck_assert_int_eq(pf_arch_find_cut(arch, "features.denseblock4.denselayer3", &cut, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "as in features.denseblock4"));
    pf_arch_free(&arch);
}
END_TEST

START_TEST(the_table_shows_frozen_layers_in_brackets_and_names_taps)
{
    char *text = summary_text("vgg16", (PfSummaryOptions){.input = 244, .classes = 2});
    ck_assert_ptr_nonnull(strstr(text, "Conv2d: 2-1"));
    ck_assert_ptr_nonnull(strstr(text, "[1, 64, 244, 244]"));
    ck_assert_ptr_nonnull(strstr(text, "(2,359,808)"));
    ck_assert_ptr_nonnull(strstr(text, "Total mult-adds (G): 17.99"));
    ck_assert_ptr_null(strstr(text, "classifier"));
    free(text);
    text = summary_text("resnet50", (PfSummaryOptions){0});
    ck_assert_ptr_nonnull(strstr(text, "Bottleneck: 2-1"));
    ck_assert_ptr_nonnull(strstr(text, "layer4.2.relu_2"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arch");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, parameter_counts_are_torchvisions);
    tcase_add_test(cases, vgg16_with_a_new_head_counts_as_torchinfo_does);
    tcase_add_test(cases, families_count_as_torchinfo_does);
    tcase_add_test(cases, a_tap_is_a_node_or_the_last_node_of_a_module);
    tcase_add_test(cases, an_unknown_tap_is_refused_with_the_nearest_name);
    tcase_add_test(cases, an_unknown_backbone_is_refused_with_the_nearest_name);
    tcase_add_test(cases, shapes_are_inferred_for_any_input);
    tcase_add_test(cases, an_input_that_vanishes_on_the_way_is_refused);
    tcase_add_test(cases, position_embeddings_are_resized);
    tcase_add_test(cases, transformers_have_taps_of_tokens);
    tcase_add_test(cases, a_norm_that_taps_share_is_one_parameter);
    tcase_add_test(cases, patches_fill_the_image);
    tcase_add_test(cases, parameters_are_those_of_the_nodes_that_feed_the_tap);
    tcase_add_loop_test(cases, every_operation_has_all_columns, 0, PF_OP_COUNT);
    tcase_add_test(cases, a_word_that_stands_for_nothing_is_an_error);
    tcase_add_test(cases, the_torchscript_of_each_operation);
    tcase_add_test(cases, a_script_holds_what_its_outputs_need_behind_the_start);
    tcase_add_test(cases, a_cut_is_what_a_module_takes_in);
    tcase_add_test(cases, a_method_behind_a_cut_knows_the_sizes_before_it);
    tcase_add_test(cases, what_cannot_be_cut_is_refused);
    tcase_add_test(cases, the_table_shows_frozen_layers_in_brackets_and_names_taps);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
