/* executor.h: who runs what. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/executor.h"
#include "common/engine/plan.h"
#include "common/simd/processor.h"
#include "common/weights/weights.h"

static const char *const tap = "maxpool";

static PfBackboneConfig plain(void)
{
    return (PfBackboneConfig){.taps = &tap,
                              .tap_count = 1,
                              .input_height = 32,
                              .input_width = 32,
                              .std = {1, 1, 1},
                              .precision = PF_FP32,
                              .device = "cpu",
                              .threads = 1};
}

static PfArch *arch;

static bool is_by_engine(PfBackboneConfig config, const char *devices)
{
    if (!config.torchscript.path) config.arch = arch;
    return pf_backbone_is_for_engine(&config, devices);
}

static void open_arch(void)
{
    ck_assert_int_eq(pf_arch_new("resnet18_w16", &arch, NULL), 0);
}

static void close_arch(void)
{
    pf_arch_free(&arch);
}

START_TEST(networks_go_where_they_can_be_run)
{
    PfBackboneConfig config = plain();
    ck_assert(is_by_engine(config, "cpu"));
    ck_assert(is_by_engine(config, "cpu,cpu"));
    ck_assert(!is_by_engine(config, "cpu,cuda:1"));
    ck_assert(!is_by_engine(config, "cuda"));
    ck_assert(!is_by_engine(config, "cpu:overlap"));
    ck_assert(!is_by_engine(config, "cpus"));
    ck_assert(!is_by_engine(config, "cpu,"));
    config = plain();
    config.torchscript.path = "net.pt";
    ck_assert(!is_by_engine(config, "cpu"));
    setenv("PF_ENGINE", "libtorch", 1);
    ck_assert(!is_by_engine(plain(), "cpu"));
    unsetenv("PF_ENGINE");
}
END_TEST

/* In fp32 and bf16, which is the plugin's only where the processor has tiles for it. */
START_TEST(the_engine_takes_two_precisions)
{
    PfBackboneConfig config = plain();
    config.precision = PF_BF16;
    ck_assert_int_eq(is_by_engine(config, "cpu"), !pf_processor_has_amx());
    config.emulate = 1;
    ck_assert(is_by_engine(config, "cpu,cpu"));
    ck_assert(!is_by_engine(config, "cuda"));
    config.precision = PF_FP32;
    ck_assert(!is_by_engine(config, "cpu"));
    config = plain();
    config.precision = PF_FP16;
    ck_assert(!is_by_engine(config, "cpu"));
    config.precision = PF_TF32;
    ck_assert(!is_by_engine(config, "cpu"));
}
END_TEST

/* bf16 that is no faster is refused, and its numbers are to be had. */
START_TEST(bf16_is_for_processors_that_have_it)
{
    PfError err = {0};
    PfWeights *weights;
    PfBackbone *backbone;
    PfBackboneConfig config = plain();
    config.arch = arch;
    config.precision = PF_BF16;
    ck_assert_int_eq(pf_weights_random(arch, 0, &weights, &err), 0);
    config.tensors = pf_weights_tensors(weights, &config.tensor_count);
    const PfBackbonePlugin *engine = pf_engine_plugin();
    if (!pf_processor_has_bf16()) {
        ck_assert_int_eq(engine->open(&config, &backbone, &err), -1);
        ck_assert_msg(strstr(err.message, "has no bf16 instructions") &&
                          strstr(err.message, "--emulate for the numbers"),
                      "%s", err.message);
    }
    config.emulate = 1;
    ck_assert_int_eq(engine->open(&config, &backbone, &err), 0);
    ck_assert_msg(strstr(engine->describe(backbone), ", bf16 by rounding float32, 1 thread"), "%s",
                  engine->describe(backbone));
    engine->close(&backbone);
    pf_weights_close(&weights);
}
END_TEST

/* A plugin that is named runs everything. */
START_TEST(a_named_plugin_comes_first)
{
    PfError err = {0};
    PfWeights *weights;
    const PfBackbonePlugin *plugin;
    PfBackbone *backbone;
    PfBackboneConfig config = plain();
    config.arch = arch;
    ck_assert_int_eq(pf_weights_random(arch, 0, &weights, &err), 0);
    config.tensors = pf_weights_tensors(weights, &config.tensor_count);
    setenv("PERMAFROST_PLUGIN", "/nonexistent/plugin.so", 1);
    ck_assert_int_eq(pf_backbone_open(&config, "cpu", &plugin, &backbone, &err), -1);
    ck_assert_msg(strstr(err.message, "cannot load the torch plugin") != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "run without it with --device cpu") != NULL, "%s",
                  err.message);
    setenv("PERMAFROST_PLUGIN", "", 1);
    ck_assert_int_eq(pf_backbone_open(&config, "cpu", &plugin, &backbone, &err), 0);
    ck_assert_msg(!strncmp(plugin->describe(backbone), "C engine, ", 10), "%s",
                  plugin->describe(backbone));
    plugin->close(&backbone);
    pf_weights_close(&weights);
}
END_TEST

/* What is printed before a run is what the plan says: once the weights, an arena for each thread.
 */
START_TEST(the_engine_says_what_it_takes)
{
    PfWeights *weights;
    const PfBackbonePlugin *plugin;
    const PfBackbonePlugin other = {.abi = PF_BACKBONE_ABI};
    PfBackbone *backbone;
    PfEnginePlan *plan;
    PfBackboneConfig config = plain();
    config.arch = arch;
    config.threads = 3;
    ck_assert_int_eq(pf_weights_random(arch, 0, &weights, NULL), 0);
    config.tensors = pf_weights_tensors(weights, &config.tensor_count);
    ck_assert_int_eq(pf_engine_plan_new(&config, 1, &plan, NULL), 0);
    ck_assert_int_eq(pf_backbone_open(&config, "cpu", &plugin, &backbone, NULL), 0);
    const PfEngineMemory memory = pf_backbone_memory(plugin, backbone);
    const size_t arena = plan->maps_bytes + plan->scratch_bytes;
    ck_assert_uint_gt(plan->weight_bytes, 0);
    ck_assert_uint_eq(memory.weights, plan->weight_bytes);
    ck_assert_int_gt(memory.threads, 0);
    ck_assert_uint_eq(memory.arenas, arena * (size_t)memory.threads);
    ck_assert_int_eq(pf_backbone_memory(&other, backbone).threads, 0);
    plugin->close(&backbone);
    pf_engine_plan_free(&plan);
    pf_weights_close(&weights);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("executor");
    TCase *cases = tcase_create("executor");
    tcase_add_checked_fixture(cases, open_arch, close_arch);
    tcase_add_test(cases, networks_go_where_they_can_be_run);
    tcase_add_test(cases, the_engine_takes_two_precisions);
    tcase_add_test(cases, bf16_is_for_processors_that_have_it);
    tcase_add_test(cases, a_named_plugin_comes_first);
    tcase_add_test(cases, the_engine_says_what_it_takes);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
