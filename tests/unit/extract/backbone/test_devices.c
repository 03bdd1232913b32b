/* Which devices, and how many images each runs at once. */
#include <check.h>
#include <string.h>

#include "common/backbone/batch_choice.h"
#include "common/base/options.h"
#include "extract/backbone/device_list.h"

/* ---- --device ---- */

static void expect_devices(const char *text, int count, const char *last, int threads)
{
    char **names;
    int found;
    PfError err = {0};
    ck_assert_msg(!pf_device_list_parse(text, &names, &found, &err), "%s", err.message);
    ck_assert_int_eq(found, count);
    ck_assert_str_eq(names[count - 1], last);
    ck_assert_int_eq(pf_device_list_threads(names, count, 8), threads);
    pf_options_free_list(&names, &found);
}

static void expect_refusal(const char *text, const char *part)
{
    char **names;
    int count;
    PfError err = {0};
    ck_assert_int_eq(pf_device_list_parse(text, &names, &count, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    ck_assert_msg(strstr(err.message, part) != NULL, "'%s' lacks '%s'", err.message, part);
}

START_TEST(devices_are_listed_with_commas)
{
    expect_devices("auto", 1, "auto", 8);
    expect_devices("cpu", 1, "cpu", 8);
    expect_devices("cuda", 1, "cuda", 8);
    expect_devices("cuda:0,cuda:1,cuda:10", 3, "cuda:10", 8);
    expect_devices("cuda,cpu", 2, "cpu", 8);
    expect_devices("cpu,cpu:overlap", 2, "cpu:overlap", 4);
    expect_devices("cpu,cuda:3,cpu,cpu", 4, "cpu", 2);
    expect_devices("cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu", 9, "cpu", 1);
}
END_TEST

START_TEST(what_is_no_list_of_devices_is_refused)
{
    char many[5 * (PF_DEVICES_MAX + 1)] = "cpu";
    expect_refusal("", "empty");
    expect_refusal("cuda:0,,cuda:1", "empty");
    expect_refusal("cpu,", "empty");
    expect_refusal("auto,cpu", "'auto'");
    expect_refusal("gpu", "'gpu'");
    expect_refusal("cuda0", "'cuda0'");
    expect_refusal("cuda:", "'cuda:'");
    expect_refusal("cuda:-1", "'cuda:-1'");
    expect_refusal("cuda:1x", "'cuda:1x'");
    expect_refusal("cpu:overlapped", "'cpu:overlapped'");
    expect_refusal("cuda:1,cpu,cuda:1", "same GPU");
    expect_refusal("cuda,cuda:0", "same GPU");
    for (int i = 0; i < PF_DEVICES_MAX; i++) strcat(many, ",cpu");
    expect_refusal(many, "more than");
}
END_TEST

/* ---- the batch ---- */

/* A device that computes a batch in so many seconds and has memory for so many images. */
typedef struct FakeDevice {
    double overhead, per_image;
    int memory, measured;
} FakeDevice;

static double measure(void *context, int batch)
{
    FakeDevice *device = context;
    device->measured++;
    return batch > device->memory ? 0 : batch / (device->overhead + batch * device->per_image);
}

static int choose(FakeDevice device, int measured)
{
    int batch = pf_batch_choice_make(measure, &device);
    ck_assert_int_eq(device.measured, measured);
    return batch;
}

START_TEST(the_batch_is_doubled_while_it_pays_and_fits)
{
    /* An overhead of 20 images: 512 at once are 3.6 % faster than 256. */
    ck_assert_int_eq(choose((FakeDevice){.per_image = 1, .memory = 1 << 20}, 2), 32);
    ck_assert_int_eq(choose((FakeDevice){20, 1, 1 << 20, 0}, 5), 256);
    ck_assert_int_eq(choose((FakeDevice){1e6, 1, 1 << 20, 0}, 6), PF_BATCH_LARGEST);
    ck_assert_int_eq(choose((FakeDevice){1e6, 1, 300, 0}, 5), 256);
    ck_assert_int_eq(choose((FakeDevice){1e6, 1, 32, 0}, 2), 32);
    ck_assert_int_eq(choose((FakeDevice){1e6, 1, 31, 0}, 2), 16);
    ck_assert_int_eq(choose((FakeDevice){1e6, 1, 1, 0}, 6), 1);
    ck_assert_int_eq(choose((FakeDevice){1e6, 1, 0, 0}, 6), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("devices");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, devices_are_listed_with_commas);
    tcase_add_test(cases, what_is_no_list_of_devices_is_refused);
    tcase_add_test(cases, the_batch_is_doubled_while_it_pays_and_fits);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
