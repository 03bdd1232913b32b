/* plan.h: which nodes become which steps, and that nothing overlaps what is still needed: a plan is
 * run with numbers in place of maps, which say what lies where. No weights. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/engine/plan.h"

typedef struct Planned {
    PfArch *arch;
    PfEnginePlan plan;
} Planned;

static void open_plan(Planned *planned, const char *network, int side, const char *const *taps,
                      int tap_count)
{
    PfError err = {0};
    *planned = (Planned){0};
    ck_assert_int_eq(pf_arch_new(network, &planned->arch, &err), 0);
    PfBackboneConfig config = {.arch = planned->arch,
                               .taps = taps,
                               .tap_count = tap_count,
                               .input_height = side,
                               .input_width = side};
    planned->plan.arch = planned->arch;
    ck_assert_msg(!pf_engine_plan_steps(&planned->plan, &config, &err), "%s", err.message);
    ck_assert_int_eq(pf_engine_plan_memory(&planned->plan, &err), 0);
}

static void close_plan(Planned *planned)
{
    free(planned->plan.steps);
    free(planned->plan.values);
    free(planned->plan.taps);
    pf_arch_free(&planned->arch);
}

static int count_of(const PfEnginePlan *plan, PfStepKind kind)
{
    int count = 0;
    for (int s = 0; s < plan->step_count; s++) count += plan->steps[s].kind == kind;
    return count;
}

/* The step that computes a node; NULL: another's takes it in, or none needs it. */
static const PfEngineStep *step_of(const Planned *planned, const char *name)
{
    for (int s = 0; s < planned->plan.step_count; s++) {
        const PfEngineStep *step = &planned->plan.steps[s];
        if (step->kind != PF_STEP_STORE && !strcmp(planned->arch->nodes[step->node].name, name))
            return step;
    }
    return NULL;
}

/* ---- what is taken in ---- */

static bool is_cut(const PfEngineStep *step)
{
    return step->activation.kind == PF_ACTIVATION_RELU;
}

START_TEST(norms_sums_and_relus_are_taken_in)
{
    static const char *const taps[] = {"avgpool"};
    Planned planned;
    open_plan(&planned, "resnet18", 224, taps, 1);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_CONVOLUTION), 20);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_POINTWISE), 0);
    ck_assert_int_eq(planned.plan.step_count, 1 + 20 + 2 + 1); /* pixels, pools, store */
    const PfEngineStep *second = step_of(&planned, "layer2.0.conv2");
    const PfEngineStep *shortcut = step_of(&planned, "layer2.0.downsample.0");
    /* The later of the two takes the sum, and the ReLU behind it. */
    ck_assert_int_eq(shortcut->sum, second->y);
    ck_assert_int_eq(second->sum, -1);
    ck_assert(is_cut(shortcut) && !is_cut(second));
    ck_assert(second->norm >= 0 && shortcut->norm >= 0);
    const PfEngineStep *plain = step_of(&planned, "layer1.0.conv2");
    ck_assert_int_eq(plain->sum, step_of(&planned, "maxpool")->y);
    ck_assert(is_cut(plain));
    close_plan(&planned);
}
END_TEST

START_TEST(what_no_tap_needs_is_left_out)
{
    static const char *const taps[] = {"layer2.0.conv1"};
    Planned planned;
    open_plan(&planned, "resnet18", 224, taps, 1);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_CONVOLUTION), 6);
    ck_assert_ptr_null(step_of(&planned, "layer2.0.conv2"));
    ck_assert_int_eq(step_of(&planned, "layer2.0.conv1")->norm, -1);
    close_plan(&planned);
}
END_TEST

START_TEST(taps_inside_are_kept)
{
    static const char *const taps[] = {"conv1", "bn1", "layer1.0.add", "avgpool", "layer1.1.bn2"};
    Planned planned;
    open_plan(&planned, "resnet18", 224, taps, 5);
    const PfEngineStep *norm = step_of(&planned, "bn1"), *relu = step_of(&planned, "relu");
    ck_assert(norm && relu && norm->kind == PF_STEP_POINTWISE && relu->kind == PF_STEP_POINTWISE);
    ck_assert(!is_cut(norm) && is_cut(relu));
    ck_assert_int_eq(norm->norm, relu->norm < 0 ? norm->node : -1);
    /* The sum is in its convolution still; what follows it is not. */
    ck_assert_int_ge(step_of(&planned, "layer1.0.conv2")->sum, 0);
    ck_assert_ptr_nonnull(step_of(&planned, "layer1.0.relu_1"));
    /* Here the convolution ends with the norm, and the sum is a step with its ReLU. */
    const PfEngineStep *sum = step_of(&planned, "layer1.1.add");
    ck_assert(sum && sum->sum >= 0 && is_cut(sum));
    ck_assert_int_eq(step_of(&planned, "layer1.1.conv2")->sum, -1);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_STORE), 5);
    close_plan(&planned);
}
END_TEST

START_TEST(views_make_no_step)
{
    static const char *const taps[] = {"classifier.6", "flatten", "avgpool", "classifier"};
    Planned planned;
    open_plan(&planned, "vgg11_bn", 224, taps, 4);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_AVERAGE_POOL), 0); /* 7 x 7 are there */
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_CONVOLUTION), 8 + 3);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_POINTWISE), 0);
    close_plan(&planned);
    open_plan(&planned, "vgg11_bn", 96, taps, 1);
    ck_assert_int_eq(count_of(&planned.plan, PF_STEP_AVERAGE_POOL), 1);
    close_plan(&planned);
}
END_TEST

/* ---- memory ---- */

enum { UNIT = 64 }; /* bytes: places begin at whole ones */

typedef struct Memory {
    const PfEnginePlan *plan;
    int *owners; /* of each unit: owner_of() what was written last; 0: nothing */
} Memory;

/* Pixels of images are no whole units: those of all images are one. */
static int owner_of(const PfEngineValue *value, int index, int image)
{
    return 1 + index * PF_ENGINE_GROUP + (value->stride % 16 ? 0 : image);
}

/* 0: the owner, in all units from `begin` up to `end` bytes; with writes: from now on. */
static int walk_units(const Memory *memory, size_t begin, size_t end, int owner, bool writes)
{
    int others = 0;
    for (size_t u = begin / UNIT; u * UNIT < end; u++) {
        others += memory->owners[u] != owner;
        if (writes) memory->owners[u] = owner;
    }
    return writes ? 0 : others;
}

static void walk(const Memory *memory, int index, int first, int count, bool writes)
{
    index = memory->plan->values[index].source;
    const PfEngineValue *value = &memory->plan->values[index];
    const PfEngineValue *home = &memory->plan->values[pf_engine_home(memory->plan, index)];
    const size_t row = (size_t)(value->width * value->stride) * sizeof(float);
    const size_t bytes = value->ring ? (size_t)value->ring * row : pf_engine_value_bytes(value);
    if (value->ring) count = 1; /* has the rows of some image */
    for (int i = 0; i < count; i++) {
        const size_t begin = home->offset + (size_t)(home->whole ? first + i : i) * bytes;
        ck_assert_uint_le(begin + bytes, memory->plan->maps_bytes);
        if (walk_units(memory, begin, begin + bytes, owner_of(value, index, first + i), writes))
            ck_abort_msg("value %d of image %d is gone", index, first + i);
    }
}

static void read_value(const Memory *memory, int value, int first, int count)
{
    if (value >= 0 && memory->plan->values[value].node < 0) /* parameters lie elsewhere */
        walk(memory, value, first, count, false);
}

/* A convolution and a pool read x after they have begun to write. */
static void run_step(const Memory *memory, int s, int first, int count)
{
    const PfEngineStep *step = &memory->plan->steps[s];
    if (step->y >= 0 && memory->plan->values[step->y].ring) return; /* the next one runs it */
    if (step->ahead) {
        read_value(memory, step[-1].x, first, count);
        read_value(memory, step[-1].factor, first, count);
        walk(memory, step->x, first, count, true);
    }
    read_value(memory, step->x, first, count);
    read_value(memory, step->sum, first, count);
    if (step->kind == PF_STEP_ATTENTION) read_value(memory, step->values, first, count);
    if (step->y >= 0) walk(memory, step->y, first, count, true);
    if (step->y >= 0 && step->kind != PF_STEP_POINTWISE) read_value(memory, step->x, first, count);
    if (step->ahead) {
        read_value(memory, step[-1].x, first, count);
        read_value(memory, step[-1].factor, first, count);
    }
}

/* As execute.c goes through the steps. */
static void run_plan(const PfEnginePlan *plan)
{
    Memory memory = {plan, calloc(plan->maps_bytes / UNIT + 1, sizeof(int))};
    ck_assert_ptr_nonnull(memory.owners);
    for (int first = 0; first < PF_ENGINE_GROUP; first += plan->early_images)
        for (int s = 0; s < plan->early_steps; s++) run_step(&memory, s, first, plan->early_images);
    for (int s = plan->early_steps; s < plan->step_count; s++)
        run_step(&memory, s, 0, PF_ENGINE_GROUP);
    free(memory.owners);
}

static const struct {
    const char *network;
    int side;
    const char *taps[4];
    int tap_count;
} cases[] = {
    {"resnet18", 224, {"avgpool"}, 1},
    {"resnet18", 224, {"conv1", "layer1.0.add", "layer2.0.bn2", "fc"}, 4},
    {"resnet18", 96, {"relu", "maxpool", "layer1.1.bn1", "avgpool"}, 4},
    {"resnet50", 224, {"layer1", "layer2.0.conv3", "layer4.2.add", "avgpool"}, 4},
    {"resnet152", 128, {"avgpool"}, 1},
    {"vgg11", 224, {"avgpool"}, 1},
    {"vgg16_bn", 224, {"features.1", "features.30", "classifier.3", "classifier.6"}, 4},
    {"resnet18_w16", 96, {"input", "layer4", "fc"}, 3},
    {"resnet18_w16", 32, {"input"}, 1},
    {"mobilenet_v3_large", 224, {"avgpool", "features.4.block.0.0", "features.6"}, 3},
    {"efficientnet_b0", 224, {"avgpool"}, 1},
    {"efficientnet_b0", 128, {"features.3", "features.2.1.block.1.0"}, 2},
    {"convnext_tiny", 224, {"avgpool", "features.3.0.add"}, 2},
    {"vit_s_16", 224, {"cls"}, 1},
    {"dinov2_vits14", 224, {"cls", "patches", "blocks.5"}, 3},
    {"swin_t", 224, {"avgpool"}, 1},
};

START_TEST(nothing_is_written_over_that_is_needed)
{
    Planned planned;
    open_plan(&planned, cases[_i].network, cases[_i].side, cases[_i].taps, cases[_i].tap_count);
    run_plan(&planned.plan);
    close_plan(&planned);
}
END_TEST

/* Large maps are those of a few images, sums lie in the place of what they add to, and what is
 * needed no more makes room. */
START_TEST(memory_is_used_again)
{
    static const char *const taps[] = {"avgpool"};
    Planned planned;
    open_plan(&planned, "resnet18", 224, taps, 1);
    ck_assert_int_gt(planned.plan.early_steps, 0);
    ck_assert_int_lt(planned.plan.early_images, PF_ENGINE_GROUP);
    ck_assert_uint_lt(planned.plan.maps_bytes, (size_t)32 << 20);
    int shared = 0;
    for (int v = 0; v < planned.plan.value_count; v++) shared += planned.plan.values[v].home != v;
    ck_assert_int_eq(shared, 8); /* a sum each block */
    close_plan(&planned);
    open_plan(&planned, "vgg16", 224, taps, 1);
    ck_assert_uint_lt(planned.plan.maps_bytes, (size_t)96 << 20);
    close_plan(&planned);
}
END_TEST

/* An image with enough tokens to use a linear layer's weights well goes through by itself, so that
 * its maps stay in a cache; images of few tokens go through together. */
START_TEST(images_of_many_tokens_come_one_at_a_time)
{
    static const char *const taps[] = {"cls"};
    Planned planned;
    open_plan(&planned, "dinov2_vits14", 224, taps, 1); /* 257 tokens */
    ck_assert_int_eq(planned.plan.early_images, 1);
    ck_assert_int_gt(planned.plan.early_steps, planned.plan.step_count - 4);
    ck_assert_uint_lt(planned.plan.maps_bytes, (size_t)12 << 20);
    close_plan(&planned);
    open_plan(&planned, "dinov2_vits14", 126, taps, 1); /* 82 tokens */
    ck_assert_int_lt(planned.plan.early_steps, 8);
    close_plan(&planned);
}
END_TEST

static int64_t ahead_of(const Planned *planned, const char *name)
{
    const PfEngineStep *step = step_of(planned, name);
    ck_assert_msg(step != NULL, "no step computes %s", name);
    return step->ahead;
}

/* What is wide between two steps is made row by row, unless a tap or something else reads it, or
 * the map is small. */
START_TEST(wide_maps_are_made_row_by_row)
{
    static const char *const taps[] = {"avgpool", "features.3.block.0.0"};
    Planned planned;
    open_plan(&planned, "mobilenet_v3_large", 224, taps, 1);
    const PfEngineStep *step = step_of(&planned, "features.2.block.1.0");
    ck_assert_int_eq(step->ahead, 1);
    ck_assert_int_eq(planned.plan.values[step->x].ring, 3);
    ck_assert_int_eq(ahead_of(&planned, "features.3.block.1.0"), 2);
    ck_assert_int_gt(ahead_of(&planned, "features.4.block.3.0"), 0);  /* behind a factor */
    ck_assert_int_eq(ahead_of(&planned, "features.1.block.1.0"), 0);  /* has no rows of its own */
    ck_assert_int_eq(ahead_of(&planned, "features.15.block.1.0"), 0); /* 7 x 7 */
    close_plan(&planned);
    open_plan(&planned, "mobilenet_v3_large", 224, taps, 2);
    ck_assert_int_eq(ahead_of(&planned, "features.3.block.1.0"), 0);
    ck_assert_int_eq(ahead_of(&planned, "features.2.block.1.0"), 1);
    close_plan(&planned);
}
END_TEST

/* Values that all live until the last of them is there, and then are added up. */
static void open_fan(Planned *planned, int values, int side)
{
    PfError err = {0};
    static const char *const taps[] = {"sum"};
    PfArch *arch = planned->arch = calloc(1, sizeof *arch);
    PfNode *nodes = calloc((size_t)(2 * values), sizeof *nodes);
    ck_assert(arch && nodes);
    arch->nodes = nodes;
    arch->node_count = 2 * values;
    for (int i = 1; i < 2 * values; i++) {
        const bool is_sum = i > values;
        nodes[i].op = is_sum ? PF_OP_ADD : PF_OP_EXP;
        nodes[i].input_count = is_sum ? 2 : 1;
        nodes[i].inputs[0] = is_sum ? i - 1 : 0;
        nodes[i].inputs[1] = is_sum ? i - values : 0;
        snprintf(nodes[i].name, sizeof nodes[i].name, "node%d", i);
    }
    snprintf(nodes[2 * values - 1].name, sizeof nodes[0].name, "sum");
    planned->plan = (PfEnginePlan){.arch = arch, .width = side, .height = side};
    PfBackboneConfig config = {
        .arch = arch, .taps = taps, .tap_count = 1, .input_height = side, .input_width = side};
    ck_assert_msg(!pf_engine_plan_steps(&planned->plan, &config, &err), "%s", err.message);
}

/* A stranger's file may have as many: their places take no time that grows with the third power. */
START_TEST(many_values_that_live_together_are_placed)
{
    enum { VALUES = 8000, BYTES = 16 * sizeof(float) };
    PfError err = {0};
    Planned planned;
    open_fan(&planned, VALUES, 1);
    const clock_t start = clock();
    ck_assert_msg(!pf_engine_plan_memory(&planned.plan, &err), "%s", err.message);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 10);
    ck_assert_uint_ge(planned.plan.maps_bytes, (size_t)VALUES * BYTES);
    run_plan(&planned.plan);
    close_plan(&planned);
}
END_TEST

START_TEST(places_do_not_overflow)
{
    enum { VALUES = 5000 };
    PfError err = {0};
    Planned planned;
    open_fan(&planned, VALUES, 1 << 23);
    ck_assert_int_eq(pf_engine_plan_memory(&planned.plan, &err), -1);
    ck_assert_msg(strstr(err.message, "more memory") != NULL, "%s", err.message);
    close_plan(&planned);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *steps = tcase_create("steps"), *memory = tcase_create("memory");
    tcase_set_timeout(steps, 300);
    tcase_set_timeout(memory, 300);
    tcase_add_test(steps, norms_sums_and_relus_are_taken_in);
    tcase_add_test(steps, what_no_tap_needs_is_left_out);
    tcase_add_test(steps, taps_inside_are_kept);
    tcase_add_test(steps, views_make_no_step);
    suite_add_tcase(suite, steps);
    tcase_add_loop_test(memory, nothing_is_written_over_that_is_needed, 0,
                        (int)(sizeof cases / sizeof *cases));
    tcase_add_test(memory, memory_is_used_again);
    tcase_add_test(memory, images_of_many_tokens_come_one_at_a_time);
    tcase_add_test(memory, wide_maps_are_made_row_by_row);
    tcase_add_test(memory, many_values_that_live_together_are_placed);
    tcase_add_test(memory, places_do_not_overflow);
    suite_add_tcase(suite, memory);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
