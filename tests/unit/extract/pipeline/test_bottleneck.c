/* The verdict on a run of extract, from made-up times, and what a network's taps cost. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "extract/backbone/summary.h"
#include "extract/pipeline/bottleneck.h"

/* Ten seconds in which the network was at work for nine; decode threads for one each. */
static PfRunTimes network_bound(void)
{
    return (PfRunTimes){.load_seconds = 1,
                        .cache_seconds = 0.1,
                        .pipeline = {.images = 320,
                                     .seconds = 10,
                                     .read_seconds = 0.2,
                                     .decode_seconds = 1.8,
                                     .decode_wait_seconds = 18,
                                     .forward_seconds = 9,
                                     .forward_wait_seconds = 0.5,
                                     .sink_seconds = 0.2,
                                     .depth = 4,
                                     .forward_takes = 10,
                                     .decoded_waiting = 29,
                                     .sink_takes = 10,
                                     .computed_waiting = 1},
                        .compress_seconds = 0.2,
                        .disk_seconds = 0.1,
                        .workers = 2,
                        .processors = 2,
                        .compression = PF_COMPRESS_ZSTD};
}

static PfRunTimes decode_bound(void)
{
    PfRunTimes times = network_bound();
    times.pipeline.read_seconds = 2;
    times.pipeline.decode_seconds = 17;
    times.pipeline.forward_seconds = 3;
    times.pipeline.forward_wait_seconds = 6.2;
    times.pipeline.decoded_waiting = 2;
    return times;
}

static PfRunTimes journal_bound(void)
{
    PfRunTimes times = network_bound();
    times.pipeline.forward_seconds = 3;
    times.pipeline.sink_seconds = 9.5;
    times.pipeline.computed_waiting = 31;
    times.compress_seconds = 15;
    times.disk_seconds = 1;
    return times;
}

/* The verdict, and that its sentence holds `part`. */
static void expect(PfRunTimes times, PfBottleneck verdict, const char *part)
{
    char text[PF_BOTTLENECK_TEXT];
    PfBottleneck found = pf_bottleneck_find(&times);
    ck_assert_str_eq(pf_bottleneck_name(found), pf_bottleneck_name(verdict));
    ck_assert_str_eq(pf_bottleneck_text(found, &times, text), text);
    ck_assert_msg(strstr(text, part) != NULL, "'%s' lacks '%s'", text, part);
}

START_TEST(shares_are_of_wall_time)
{
    PfRunTimes times = decode_bound();
    PfRunShares shares = pf_bottleneck_shares(&times);
    ck_assert_double_eq_tol(shares.read, 0.1, 1e-9);
    ck_assert_double_eq_tol(shares.decode, 0.85, 1e-9);
    ck_assert_double_eq_tol(shares.network, 0.3, 1e-9);
    ck_assert_double_eq_tol(shares.journal, 0.02, 1e-9);
}
END_TEST

START_TEST(a_network_that_never_waits_bounds)
{
    PfRunTimes times = network_bound();
    expect(times, PF_BOUND_BY_NETWORK,
           "bound by the network: 2.9 of 4 batches waited for it, 0.1 behind it; a GPU computes "
           "faster");
    times.processor_has_amx = 1;
    expect(times, PF_BOUND_BY_NETWORK, "; --precision bf16 computes faster here");
    times.precision = PF_BF16;
    expect(times, PF_BOUND_BY_NETWORK, "; a GPU computes faster");
    times.is_gpu = 1;
    expect(times, PF_BOUND_BY_NETWORK, "; another GPU would share the work");
    times.precision = PF_FP32;
    times.processor_has_amx = 0;
    expect(times, PF_BOUND_BY_NETWORK, "; --precision bf16 computes faster here");
}
END_TEST

/* Seconds of forward threads are summed over devices; shares are of all of them. */
START_TEST(several_devices_share_the_time)
{
    PfRunTimes times = network_bound();
    times.devices = 2;
    ck_assert_double_eq_tol(pf_bottleneck_shares(&times).network, 0.45, 1e-9);
    times.pipeline.forward_seconds = 18;
    ck_assert_double_eq_tol(pf_bottleneck_shares(&times).network, 0.9, 1e-9);
    expect(times, PF_BOUND_BY_NETWORK, "bound by the network: ");
    times = decode_bound();
    times.devices = 2;
    times.pipeline.forward_wait_seconds = 12.4;
    expect(times, PF_BOUND_BY_DECODING, "the network waited 62 % of the time");
}
END_TEST

START_TEST(images_that_come_too_slowly_bound)
{
    PfRunTimes times = decode_bound();
    expect(times, PF_BOUND_BY_DECODING, "; --fast-decode is faster for large JPEGs");
    times.fast_decode = 1;
    expect(times, PF_BOUND_BY_DECODING, "; more processors or smaller images would help");
    times.fast_decode = 0;
    times.pipeline.images = 3200; /* small ones */
    expect(times, PF_BOUND_BY_DECODING,
           "bound by decoding images: the network waited 62 % of the time, 0.2 of 4 batches lay "
           "ready; more processors");
    times.processors = 8;
    expect(times, PF_BOUND_BY_DECODING, "; more --workers would use idle processors");
    times.pipeline.read_seconds = 16;
    times.pipeline.decode_seconds = 3;
    expect(times, PF_BOUND_BY_READING, "bound by reading files: the network waited 62 %");
    expect(times, PF_BOUND_BY_READING, "; a faster disk or more --readers would help");
}
END_TEST

START_TEST(a_slow_sink_bounds)
{
    PfRunTimes times = journal_bound();
    expect(times, PF_BOUND_BY_JOURNAL,
           "bound by writing features: 3.1 of 4 batches waited for that; --compress none");
    times.level = 9;
    expect(times, PF_BOUND_BY_JOURNAL, "; --compress zstd:1 is faster");
    times.level = 0;
    times.compression = PF_COMPRESS_GZIP;
    expect(times, PF_BOUND_BY_JOURNAL, "; --compress zstd:1 is faster");
    times.disk_seconds = 8; /* two threads compressed for 7.5 s */
    expect(times, PF_BOUND_BY_JOURNAL, "; a faster disk would help");
    times.disk_seconds = 1;
    times.compression = PF_COMPRESS_NONE;
    expect(times, PF_BOUND_BY_JOURNAL, "; a faster disk would help");
}
END_TEST

START_TEST(what_lies_outside_of_the_pipeline_bounds)
{
    PfRunTimes times = network_bound();
    times.load_seconds = 10.2;
    expect(times, PF_BOUND_BY_LOADING, "bound by loading the network: 10.20 of 20.30 s; ");
    times.load_seconds = 1;
    times.cache_seconds = 12;
    times.disk_seconds = 10;
    expect(times, PF_BOUND_BY_CACHE,
           "bound by making the cache of the journal: 12.00 of 23.00 s; a faster disk would help");
}
END_TEST

START_TEST(a_few_batches_bound_nothing)
{
    PfRunTimes times = network_bound();
    times.pipeline.forward_seconds = 4;
    times.pipeline.forward_takes = 2;
    expect(times, PF_BOUND_BY_NONE, "bound by none of its stages: it has few batches");
    times.pipeline.forward_takes = 200;
    expect(times, PF_BOUND_BY_NONE, "bound by none of its stages: other programs");
    times.pipeline.seconds = 0; /* no division by it */
    pf_bottleneck_find(&times);
}
END_TEST

static int64_t cost(const PfArch *arch, int side, const char *first, const char *second)
{
    const char *const taps[] = {first, second};
    int64_t multiply_adds = 0;
    ck_assert_int_eq(pf_arch_multiply_adds(arch, side, taps, second ? 2 : 1, &multiply_adds, NULL),
                     0);
    return multiply_adds;
}

/* Of convolutions as the summary counts, whose numbers are torchinfo's; what taps share counts
 * once.
 */
START_TEST(taps_cost_what_they_need)
{
    PfArch *arch;
    PfSummaryTotals totals;
    PfSummaryOptions layer3 = {.input = 224, .tap = "layer3"};
    ck_assert_int_eq(pf_arch_new("resnet18", &arch, NULL), 0);
    ck_assert_int_eq(pf_summary_print(arch, &layer3, NULL, &totals, NULL), 0);
    ck_assert_int_eq(cost(arch, 224, "layer3", NULL), totals.multiply_adds);
    ck_assert_int_lt(totals.multiply_adds, cost(arch, 224, "avgpool", NULL));
    ck_assert_int_eq(cost(arch, 224, "layer3", "avgpool"), cost(arch, 224, "avgpool", NULL));
    ck_assert_int_eq(cost(arch, 224, "avgpool", "layer3"), cost(arch, 224, "avgpool", NULL));
    ck_assert_int_eq(cost(arch, 224, "avgpool", NULL) / 1000000, 1813);
    pf_arch_free(&arch);
}
END_TEST

/* Linear layers cost as much for each token, and attention costs something: torchvision's meta has
 * _ops 17.564 and 4.491 for whole networks. */
START_TEST(tokens_cost_as_many_times)
{
    PfArch *arch;
    ck_assert_int_eq(pf_arch_new("vit_b_16", &arch, NULL), 0);
    ck_assert_int_eq(cost(arch, 224, "heads.head", NULL) / 10000000, 1756);
    pf_arch_free(&arch);
    ck_assert_int_eq(pf_arch_new("swin_t", &arch, NULL), 0);
    ck_assert_int_eq(cost(arch, 224, "head", NULL) / 10000000, 449);
    pf_arch_free(&arch);
}
END_TEST

START_TEST(an_unknown_tap_costs_an_error)
{
    static const char *const tap = "layer9";
    PfArch *arch;
    PfError err = {0};
    int64_t multiply_adds;
    ck_assert_int_eq(pf_arch_new("resnet18", &arch, NULL), 0);
    ck_assert_int_eq(pf_arch_multiply_adds(arch, 224, &tap, 1, &multiply_adds, &err), -1);
    ck_assert(strstr(err.message, "layer9") != NULL);
    pf_arch_free(&arch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bottleneck");
    TCase *cases = tcase_create("bottleneck");
    tcase_add_test(cases, shares_are_of_wall_time);
    tcase_add_test(cases, a_network_that_never_waits_bounds);
    tcase_add_test(cases, several_devices_share_the_time);
    tcase_add_test(cases, images_that_come_too_slowly_bound);
    tcase_add_test(cases, a_slow_sink_bounds);
    tcase_add_test(cases, what_lies_outside_of_the_pipeline_bounds);
    tcase_add_test(cases, a_few_batches_bound_nothing);
    tcase_add_test(cases, taps_cost_what_they_need);
    tcase_add_test(cases, tokens_cost_as_many_times);
    tcase_add_test(cases, an_unknown_tap_costs_an_error);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
