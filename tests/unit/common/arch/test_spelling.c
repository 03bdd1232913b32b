/* Names that people type, and what they mean. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/arch/spelling.h"

static const struct {
    const char *spelling, *network, *set; /* set NULL: none is named */
} understood[] = {
    {"resnet50", "resnet50", NULL},
    {"ResNet50", "resnet50", NULL},
    {"VGG16_BN", "vgg16_bn", NULL},
    {"resnet50.IMAGENET1K_V2", "resnet50", "IMAGENET1K_V2"},
    {"ResNet50_Weights.IMAGENET1K_V1", "resnet50", "IMAGENET1K_V1"},
    {"ResNet50_Weights.DEFAULT", "resnet50", "IMAGENET1K_V2"},
    {"ResNet50_Weights", "resnet50", NULL},
    {"torchvision.models.ViT_B_16_Weights.IMAGENET1K_SWAG_LINEAR_V1", "vit_b_16",
     "IMAGENET1K_SWAG_LINEAR_V1"},
    {"ViT_B_16_Weights.DEFAULT", "vit_b_16", "IMAGENET1K_V1"},
    {"MobileNet_V3_Large_Weights.DEFAULT", "mobilenet_v3_large", "IMAGENET1K_V2"},
    {"resnet50.tv_in1k", "resnet50", "IMAGENET1K_V1"},
    {"resnet50.tv2_in1k", "resnet50", "IMAGENET1K_V2"},
    {"timm/densenet161.tv_in1k", "densenet161", "IMAGENET1K_V1"},
    {"vit_small_patch14_dinov2.lvd142m", "dinov2_vits14", "LVD142M"},
    {"vit_small_patch14_dinov2", "dinov2_vits14", NULL},
    {"vit_large_patch14_reg4_dinov2", "dinov2_vitl14_reg", NULL},
    {"hf:timm/vit_base_patch14_reg4_dinov2.lvd142m", "dinov2_vitb14_reg", "LVD142M"},
    {"facebook/dinov2-small", "dinov2_vits14", "LVD142M"},
    {"hf:facebook/dinov2-with-registers-base", "dinov2_vitb14_reg", "LVD142M"},
    {"openai/clip-vit-base-patch32", "clip_vit_b_32", "OPENAI"},
    {"dinov2_vits14.LVD142M", "dinov2_vits14", "LVD142M"},
    {"timm/vit_small_patch16_224", "vit_s_16", NULL},
};

START_TEST(spellings_mean_a_network_and_its_set)
{
    for (size_t i = 0; i < sizeof understood / sizeof *understood; i++) {
        PfSpelling found = {0};
        PfError err = {0};
        const char *name = understood[i].spelling;
        ck_assert_msg(!pf_spelling_read(name, &found, &err), "%s: %s", name, err.message);
        ck_assert_str_eq(found.network, understood[i].network);
        ck_assert_msg(!found.entry == !understood[i].set, "%s", name);
        if (found.entry) ck_assert_str_eq(found.entry->name, understood[i].set);
        ck_assert_int_eq(found.is_other, strcmp(name, found.network) != 0);
    }
}
END_TEST

static const struct {
    const char *spelling, *answer;
} refused[] = {
    {"ViT-B/16", "Did you mean vit_b_16"},
    {"vit-b-16", "Did you mean vit_b_16"},
    {"dinov2-small", "Did you mean dinov2_vits14"},
    {"google/vit-base-patch16-224", "vit_b_16"},
    {"EfficientNetB0", "Did you mean efficientnet_b0?"},
    {"microsoft/resnet-50", "Did you mean resnet50?"},
    {"convnext-tiny-224", "Did you mean convnext_tiny?"},
    {"vit_large_patch16_224", "Did you mean vit_l_16?"},
    {"mobilenetv3", "Did you mean mobilenet_v3_"},
    {"VGG-11", "Did you mean vgg11?"},
    {"densnet121", "Did you mean densenet121?"},
    {"efficientnet", "efficientnet_b0, efficientnet_b1 or "},
    /* Weights whose numbers or pixels are others than those that we have. */
    {"resnet50.a1_in1k", "resnet50 has no weights 'a1_in1k' here; it has resnet50.IMAGENET1K_V1"},
    {"convnext_tiny.fb_in1k", "convnext_tiny has no weights 'fb_in1k' here"},
    {"hf:timm/resnet18.a1_in1k", "resnet18 has no weights 'a1_in1k' here"},
    {"vit_small_patch14_dinov2.other", "dinov2_vits14 has no weights 'other' here"},
    {"ViT_H_14_Weights.DEFAULT", "vit_h_14 has no weights 'DEFAULT' here"},
    {"", "unknown backbone ''. 'extract --backbones' lists"},
    {"/", "unknown backbone '/'."},
    {"....", "unknown backbone '....'."},
    {"hf:", "unknown backbone 'hf:'."},
};

START_TEST(others_are_answered_with_what_there_is)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        PfSpelling found;
        PfError err = {0};
        ck_assert_int_eq(pf_spelling_read(refused[i].spelling, &found, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
        ck_assert_msg(strstr(err.message, refused[i].answer) != NULL, "%s: %s", refused[i].spelling,
                      err.message);
    }
}
END_TEST

/* Every set by each of its names. */
START_TEST(every_set_is_found_by_its_names)
{
    const PfArchVariant *variant;
    for (size_t i = 0; (variant = pf_arch_variant(i)) != NULL; i++)
        for (int w = 0; w < variant->weights_count; w++) {
            const PfWeightsEntry *entry = &variant->weights[w];
            const char *names[] = {entry->timm, entry->hub};
            for (size_t k = 0; k < 2; k++) {
                PfSpelling found;
                PfError err = {0};
                if (!names[k]) continue;
                ck_assert_msg(!pf_spelling_read(names[k], &found, &err), "%s", err.message);
                ck_assert_str_eq(found.network, variant->name);
                ck_assert_ptr_eq(found.entry, entry);
            }
        }
}
END_TEST

START_TEST(long_names_are_no_more_than_unknown)
{
    char name[4096];
    PfSpelling found;
    PfError err = {0};
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(pf_spelling_read(name, &found, &err), -1);
    for (size_t i = 1; i < sizeof name - 1; i += 2) name[i] = i % 4 == 1 ? '-' : '7';
    ck_assert_int_eq(pf_spelling_read(name, &found, &err), -1);
    memcpy(name, "resnet50.", 9);
    ck_assert_int_eq(pf_spelling_read(name, &found, &err), -1);
}
END_TEST

START_TEST(repositories_are_no_paths)
{
    ck_assert(pf_spelling_is_of_hub("facebook/dinov2-small"));
    ck_assert(pf_spelling_is_of_hub("hf:timm/resnet50.tv_in1k"));
    ck_assert(!pf_spelling_is_of_hub("./net.pt"));
    ck_assert(!pf_spelling_is_of_hub("/net.pt"));
    ck_assert(!pf_spelling_is_of_hub("a/b/net"));
    ck_assert(!pf_spelling_is_of_hub("folder/"));
    ck_assert(!pf_spelling_is_of_hub("resnet50"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spelling");
    TCase *cases = tcase_create("spelling");
    tcase_add_test(cases, spellings_mean_a_network_and_its_set);
    tcase_add_test(cases, others_are_answered_with_what_there_is);
    tcase_add_test(cases, every_set_is_found_by_its_names);
    tcase_add_test(cases, long_names_are_no_more_than_unknown);
    tcase_add_test(cases, repositories_are_no_paths);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
