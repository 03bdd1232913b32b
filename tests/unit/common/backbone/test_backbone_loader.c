/* Finding the plugin, and refusing what is not the right one; no libtorch. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/loader.h"

#define FAKE(name) PF_BUILD_DIR "/tests/fake_plugin_" name ".so"

static void expect_failure(const char *file, const char *part)
{
    const PfBackbonePlugin *plugin = NULL;
    PfError err = {0};
    setenv("PERMAFROST_PLUGIN", file, 1);
    ck_assert_int_eq(pf_backbone_loader_load(&plugin, &err), -1);
    ck_assert_ptr_null(plugin);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_msg(strstr(err.message, part) != NULL, "'%s' lacks '%s'", err.message, part);
}

START_TEST(a_plugin_of_this_build_is_lent)
{
    const PfBackbonePlugin *first, *second;
    setenv("PERMAFROST_PLUGIN", FAKE("good"), 1);
    ck_assert_int_eq(pf_backbone_loader_load(&first, NULL), 0);
    ck_assert_int_eq(pf_backbone_loader_load(&second, NULL), 0);
    ck_assert_int_eq(first->abi, PF_BACKBONE_ABI);
    ck_assert_ptr_eq(first, second);
}
END_TEST

START_TEST(a_plugin_of_another_build_is_refused)
{
    expect_failure(FAKE("old"), "fake_plugin_old.so' has ABI 0");
}
END_TEST

START_TEST(a_library_that_is_no_plugin_is_refused)
{
    expect_failure(FAKE("empty"), "fake_plugin_empty.so' is not a Permafrost plugin");
}
END_TEST

/* Nothing of it is loaded: its libraries are nowhere to be found, which would be the message else.
 */
START_TEST(a_plugin_of_two_libtorch_is_refused)
{
    expect_failure(FAKE("twice"), "two libtorch at once");
    expect_failure(FAKE("twice"), "needs libc10.so, and libc10.so.1.13 of another one");
    expect_failure(FAKE("twice"), "TORCH=FOLDER");
}
END_TEST

START_TEST(a_missing_or_broken_file_is_named_with_the_reason)
{
    expect_failure("/nonexistent/plugin.so", "/nonexistent/plugin.so: cannot open");
    expect_failure("/nonexistent/plugin.so", "PERMAFROST_PLUGIN=FILE");
    expect_failure(PF_SOURCE_DIR "/CMakeLists.txt", "CMakeLists.txt: ");
    expect_failure("tests/fake_plugin_good.so", "expected an absolute path");
    expect_failure("libm.so.6", "expected an absolute path");
}
END_TEST

START_TEST(an_empty_variable_means_the_usual_places)
{
    const PfBackbonePlugin *plugin;
    PfError err = {0};
    setenv("PERMAFROST_PLUGIN", "", 1);
    if (pf_backbone_loader_load(&plugin, &err) == 0) {
        ck_assert_int_eq(plugin->abi, PF_BACKBONE_ABI);
        return;
    }
    /* A build without libtorch: the message lists where it looked. */
    ck_assert_ptr_nonnull(strstr(err.message, "tests/../lib/permafrost/permafrost_torch.so: "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backbone_loader");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, a_plugin_of_this_build_is_lent);
    tcase_add_test(cases, a_plugin_of_another_build_is_refused);
    tcase_add_test(cases, a_library_that_is_no_plugin_is_refused);
    tcase_add_test(cases, a_plugin_of_two_libtorch_is_refused);
    tcase_add_test(cases, a_missing_or_broken_file_is_named_with_the_reason);
    tcase_add_test(cases, an_empty_variable_means_the_usual_places);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
