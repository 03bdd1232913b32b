/* Command lines of extract and of train: parsed, or refused with a sentence. */
#include <string.h>

#include "extract/options.h"
#include "extract/options_check.h"
#include "fuzz.h"
#include "train/settings/options.h"
#include "train/settings/sweep_settings.h"

enum { MOST = 64 };

static void parse_extract(int argc, char **argv)
{
    static PfExtractOptions options;
    PfError err = {0};
    memset(&options, 0, sizeof options);
    int failed = pf_extract_options_parse(argc, argv, &options, &err);
    const bool is_run = !failed && !options.help && !options.version;
    if (failed || (is_run && pf_options_check(&options, &err))) {
        fuzz_check_refusal(&err);
    } else if (is_run && !options.trust) {
        FUZZ_CHECK(options.mode != PF_EXTRACT_RUN || options.output || options.dry_run);
        FUZZ_CHECK(options.dataset.target_count <= PF_TARGETS_MAX);
    }
    pf_extract_options_free(&options);
}

static void list_settings(const PfTrainOptions *options)
{
    PfSweepSetting *settings;
    PfError err = {0};
    int count = 0;
    if (pf_sweep_settings_list(options, &settings, &count, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    FUZZ_CHECK(count > 0);
    pf_sweep_settings_free(&settings, count);
}

static void parse_train(int argc, char **argv)
{
    static PfTrainOptions options;
    PfError err = {0};
    memset(&options, 0, sizeof options);
    if (pf_train_options_parse(argc, argv, &options, &err))
        fuzz_check_refusal(&err);
    else if (!options.help && !options.version)
        list_settings(&options);
    pf_train_options_free(&options);
}

/* The first byte says whose command line it is; each argument ends in a zero byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[MOST + 1] = {0}, *words;
    int argc = 1;
    if (size < 2 || (data[0] != 'e' && data[0] != 't')) return -1;
    words = malloc(size);
    FUZZ_CHECK(words);
    memcpy(words, data + 1, size - 1);
    words[size - 1] = 0;
    argv[0] = words + size - 1;
    for (char *word = words; word < words + size - 1 && argc < MOST; word += strlen(word) + 1)
        argv[argc++] = word;
    (data[0] == 'e' ? parse_extract : parse_train)(argc, argv);
    free(words);
    return 0;
}
