/* The cache of the Hugging Face hub, with files in it that no program of the hub writes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/weights/hub_cache.h"
#include "common/weights/internal.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static char folder[64];

static void write_text(const char *name, const void *text, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(text, 1, size, out), size);
    ck_assert_int_eq(fclose(out), 0);
}

static void run(const char *format)
{
    char command[400];
    snprintf(command, sizeof command, format, folder);
    ck_assert_int_eq(system(command), 0);
}

#define REPOSITORY "models--org--net"
#define SNAPSHOT REPOSITORY "/snapshots/" COMMIT

static void set_up(void)
{
    strcpy(folder, "/tmp/hub_cache_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    run("cd '%s' && mkdir -p " REPOSITORY "/refs " SNAPSHOT);
    write_text(SNAPSHOT "/model.safetensors", "x", 1);
    run("mkdir '%s'/" SNAPSHOT "/refs");
    setenv("HF_HUB_CACHE", folder, 1);
}

static void tear_down(void)
{
    run("rm -r '%s'");
}

typedef struct Text {
    const char *bytes;
    size_t size;
} Text;

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

START_TEST(a_ref_is_a_commit_or_nothing)
{
    static char long_one[4096];
    static const Text good[] = {TEXT(COMMIT), TEXT(COMMIT "\n"), TEXT(COMMIT " \r\n")};
    static const Text bad[] = {TEXT(""),
                               TEXT("\n"),
                               TEXT("main"),
                               TEXT("../../" COMMIT),
                               TEXT(COMMIT "/.."),
                               TEXT(COMMIT "0"),
                               TEXT("0123456789ABCDEF0123456789ABCDEF01234567"),
                               TEXT("0123456789abcdef0123456789abcdef0123456"),
                               TEXT("0123456789abcdef\0" COMMIT),
                               TEXT("\377\376" COMMIT),
                               {long_one, sizeof long_one}};
    memset(long_one, 'a', sizeof long_one);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        PfError err = {0};
        write_text(REPOSITORY "/refs/main", good[i].bytes, good[i].size);
        char *path = pf_hub_find_file("hf:org/net", &err);
        ck_assert_msg(path && strstr(path, "/" SNAPSHOT "/model.safetensors"), "%s", err.message);
        free(path);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        PfError err = {0};
        write_text(REPOSITORY "/refs/main", bad[i].bytes, bad[i].size);
        ck_assert_ptr_null(pf_hub_find_file("hf:org/net", &err));
        ck_assert_msg(strstr(err.message, "refs/main"), "%zu: %s", i, err.message);
    }
    run("cd '%s' && rm " REPOSITORY "/refs/main && mkdir " REPOSITORY "/refs/main");
    ck_assert_ptr_null(pf_hub_find_file("hf:org/net", NULL));
}
END_TEST

/* An index that names files: each bad one is refused with its own name, and nothing is opened. */
START_TEST(bad_indexes_are_refused)
{
    static const Text bad[] = {TEXT(""),
                               TEXT("{"),
                               TEXT("[]"),
                               TEXT("null"),
                               TEXT("{\"weight_map\": []}"),
                               TEXT("{\"weight_map\": null}"),
                               TEXT("{\"weight_map\": {}}"),
                               TEXT("{\"weight_map\": {\"w\": 3}}"),
                               TEXT("{\"weight_map\": {\"w\": null}}"),
                               TEXT("{\"weight_map\": {\"w\": \"\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \".\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"../x\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"/etc/passwd\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"a/b\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"model.safetensors\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"model.safetensors.index.json\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"refs\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"gone.safetensors\"}}"),
                               TEXT("{\"weight_map\": {\"w\": \"a\\u0000b\"}}"),
                               TEXT("{\"weight_map\"\0: {}}")};
    char path[300];
    snprintf(path, sizeof path, "%s/" SNAPSHOT "/model.safetensors.index.json", folder);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        PfWeights *weights;
        PfError err = {0};
        write_text(SNAPSHOT "/model.safetensors.index.json", bad[i].bytes, bad[i].size);
        ck_assert_msg(pf_weights_open(path, &weights, &err) == -1, "%zu", i);
        ck_assert_ptr_null(weights);
        ck_assert_msg(strstr(err.message, folder), "%zu: %s", i, err.message);
    }
}
END_TEST

/* config.json's "architecture" is the network, where it says one; else the repository's name is. */
START_TEST(the_network_is_what_the_config_says)
{
    static const struct {
        const char *name, *config, *network; /* network NULL: refused */
    } cases[] = {
        {"hf:org/net", "{\"architecture\": \"resnet50\"}", "resnet50"},
        {"hf:org/net", "{\"architecture\": \"vit_small_patch14_dinov2\"}", "dinov2_vits14"},
        {"hf:org/net", "{\"architecture\": \"resnet50.mine\"}", "resnet50"},
        {"hf:org/net", "{\"architecture\": \"resnet999\"}", NULL},
        {"hf:org/net", "{\"architectures\": [\"ResNet\"]}", NULL},
        {"hf:org/net", "no json", NULL},
        {"hf:org/resnet50.mine", "{}", "resnet50"},
        {"hf:org/vit_small_patch14_dinov2.mine", "{}", "dinov2_vits14"},
        /* TensorFlow's padding: the same shapes, and other numbers. */
        {"hf:org/efficientnet_b0", "{\"architecture\": \"tf_efficientnet_b0\"}", NULL},
        {"hf:timm/vit_small_patch14_dinov2.lvd142m", NULL, "dinov2_vits14"},
        {"hf:facebook/dinov2-small", NULL, "dinov2_vits14"},
    };
    write_text(REPOSITORY "/refs/main", COMMIT, strlen(COMMIT));
    run("cd '%s' && for name in resnet50.mine vit_small_patch14_dinov2.mine efficientnet_b0; do cp "
        "-r "
        "" REPOSITORY " models--org--$name; done");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *network = NULL, *own = strrchr(cases[i].name, '/') + 1;
        char file[200];
        PfError err = {0};
        snprintf(file, sizeof file, "models--org--%s/snapshots/" COMMIT "/config.json", own);
        if (cases[i].config) write_text(file, cases[i].config, strlen(cases[i].config));
        const int failed = pf_hub_find_network(cases[i].name, &network, &err);
        ck_assert_msg(failed == (cases[i].network ? 0 : -1), "%zu: %s", i, err.message);
        ck_assert_pstr_eq(network, cases[i].network);
        if (failed) ck_assert_msg(strstr(err.message, "--backbone NAME"), "%s", err.message);
    }
}
END_TEST

START_TEST(a_repository_stands_for_its_set)
{
    PfArch *arch;
    const PfWeightsEntry *entry;
    ck_assert_int_eq(pf_arch_new("resnet50", &arch, NULL), 0);
    entry = pf_hub_find_entry("hf:timm/resnet50.tv2_in1k", arch);
    ck_assert(entry && !strcmp(entry->name, "IMAGENET1K_V2"));
    ck_assert_ptr_null(pf_hub_find_entry("hf:timm/resnet50.tv2_in1k@v1", arch));
    ck_assert_ptr_null(pf_hub_find_entry("hf:timm/resnet50.a1_in1k", arch));
    ck_assert_ptr_null(pf_hub_find_entry("hf:timm/resnet18.tv_in1k", arch));
    ck_assert_ptr_null(pf_hub_find_entry("hf:../x", arch));
    pf_arch_free(&arch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hub_cache");
    TCase *cases = tcase_create("cache");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_ref_is_a_commit_or_nothing);
    tcase_add_test(cases, bad_indexes_are_refused);
    tcase_add_test(cases, the_network_is_what_the_config_says);
    tcase_add_test(cases, a_repository_stands_for_its_set);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
