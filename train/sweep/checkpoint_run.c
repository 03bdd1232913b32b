#include "train/sweep/checkpoint_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/file/output.h"
#include "train/sweep/head_batch_run.h"

/* Version 2 writes choices as words. Version 1 wrote the place of the word in its list; the lists
 * are here as they were then and never change. What has been added since was never in a
 * checkpoint of version 1. */
#define VERSION 2

static const struct {
    const char *key, *words[4];
} numbered[] = {
    {"activation", {"relu", "gelu"}},
    {"norm", {"none", "batch", "layer"}},
    {"optimizer", {"adam", "adamw", "sgd", "lbfgs"}},
    {"schedule", {"constant", "cosine", "step"}},
    {"sampling", {"shuffle", "balanced"}},
    {"loss", {"mse", "l1", "huber"}},
};

/* -1 where there was none. */
static int number_of(const char *key, const char *word)
{
    for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++)
        for (int w = 0; w < 4 && !strcmp(numbered[i].key, key) && numbered[i].words[w]; w++)
            if (!strcmp(numbered[i].words[w], word)) return w;
    return -1;
}

static cJSON *choice(const char *key, const char *word, int version)
{
    return version == 1 ? cJSON_CreateNumber(number_of(key, word)) : cJSON_CreateString(word);
}

static void add_text(cJSON *json, const char *key, const char *text)
{
    cJSON_AddStringToObject(json, key, text ? text : "default");
}

/* Names the cache's content: by what its seal names, else by what it says of itself and by its size
 * and date, which older versions left out. */
static void add_cache(cJSON *json, const PfCache *cache, bool with_file)
{
    struct stat status;
    char text[PF_SHA256_TEXT_SIZE];
    uint8_t content[PF_DIGEST_SIZE];
    const bool has_content = pf_cache_content(cache, content);
    const char *identity = pf_cache_identity(cache);
    if (has_content)
        pf_digest_sha256_text(content, PF_DIGEST_SIZE, text);
    else
        pf_digest_sha256_text(identity, strlen(identity), text);
    text[12] = '\0';
    add_text(json, "cache", text);
    if (has_content || !with_file || stat(pf_cache_path(cache), &status)) return;
    snprintf(text, sizeof text, "%lld %lld.%09ld", (long long)status.st_size,
             (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    add_text(json, "cache_file", text);
}

static void add_head(cJSON *json, const PfHeadSpec *spec, int version)
{
    char text[PF_HEAD_SPEC_TEXT_SIZE];
    add_text(json, "head", pf_head_spec_text(spec, text));
    cJSON *hidden = cJSON_AddArrayToObject(json, "hidden");
    cJSON_AddItemToArray(hidden,
                         choice("activation", pf_activation_names[spec->activation], version));
    cJSON_AddItemToArray(hidden, choice("norm", pf_head_norm_names[spec->norm], version));
    cJSON_AddItemToArray(hidden, cJSON_CreateNumber(spec->dropout));
}

static void add_steps(cJSON *json, const PfExperiment *experiment, int version)
{
    const PfHeadSetting *setting = &experiment->setting;
    const struct {
        const char *key;
        double value;
        const char *word; /* in place of the value */
    } settings[] = {
        {"optimizer", 0, pf_optimizer_names[experiment->optimizer]},
        {"lr", setting->learning_rate, NULL},
        {"backbone_lr", experiment->backbone_rate, NULL},
        {"weight_decay", setting->weight_decay, NULL},
        {"momentum", setting->momentum, NULL},
        {"nesterov", experiment->nesterov, NULL},
        {"schedule", 0, pf_schedule_names[setting->schedule.kind]},
        {"schedule_epochs", setting->schedule.step_epochs, NULL},
        {"schedule_factor", setting->schedule.gamma, NULL},
        {"warmup", setting->warmup_epochs, NULL},
        {"clip", setting->clip_norm, NULL},
        {"label_smoothing", setting->label_smoothing, NULL},
        {"epochs", experiment->epochs, NULL},
        {"batch", experiment->batch, NULL},
        {"patience", experiment->patience, NULL},
        {"balanced_loss", experiment->balanced_loss, NULL},
        {"sampling", 0, pf_sampling_names[experiment->sampling]},
        {"per_class", experiment->per_class, NULL},
        {"seed", (double)experiment->seed, NULL},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        cJSON_AddItemToObject(json, settings[i].key,
                              settings[i].word ? choice(settings[i].key, settings[i].word, version)
                                               : cJSON_CreateNumber(settings[i].value));
}

/* What --loss and --task-weight said of one target, or of all. */
static cJSON *task_json(const PfTaskSetting *setting, int version)
{
    const char *loss = pf_loss(setting->loss)->word;
    cJSON *task = cJSON_CreateObject();
    add_text(task, "target", setting->target);
    if (version == 1) {
        const double numbers[] = {setting->has_loss,
                                  setting->has_loss ? number_of("loss", loss) : 0,
                                  setting->loss_parameter, setting->weight};
        cJSON_AddItemToObject(task, "loss", cJSON_CreateDoubleArray(numbers, 4));
        return task;
    }
    if (setting->has_loss) {
        add_text(task, "loss", loss);
        cJSON_AddNumberToObject(task, "loss_parameter", setting->loss_parameter);
    }
    cJSON_AddNumberToObject(task, "weight", setting->weight);
    return task;
}

static void add_tasks(cJSON *json, const PfTrainOptions *options, int version)
{
    cJSON *tasks = cJSON_AddArrayToObject(json, "tasks");
    add_text(json, "targets", options->table.targets);
    for (int t = 0; t < options->task_count; t++)
        cJSON_AddItemToArray(tasks, task_json(&options->tasks[t], version));
}

bool pf_checkpoint_run_has_place(const PfTrainOptions *options)
{
    PfOutputPath place;
    if (!options->output) return false;
    bool has = pf_output_path_find(options->output, &place, NULL) || place.kind != PF_OUTPUT_STREAM;
    pf_output_path_free(&place);
    return has;
}

char *pf_checkpoint_run_path(const PfTrainOptions *options, PfError *err)
{
    return pf_asprintf(err, "%s.checkpoint", options->output);
}

/* What the run is, as that version writes it; malloc'ed. */
static char *run_text(const PfCache *cache, const PfTrainOptions *options,
                      const PfFinetuneNetwork *network, const PfExperiment *experiment,
                      PfValKeys val_keys, int version, bool with_file, PfError *err)
{
    const PfFinetuneOptions *finetune = &options->finetune;
    pf_json_begin();
    cJSON *json = cJSON_CreateObject();
    if (version > 1) cJSON_AddNumberToObject(json, "version", version);
    add_cache(json, cache, with_file);
    if (network && network->chose_weights)
        add_text(json, "weights", pf_json_member_text(network->backbone, "weights_sha256"));
    add_text(json, "finetune", finetune->node);
    add_text(json, "tap", finetune->output);
    add_text(json, "init", finetune->init);
    cJSON_AddBoolToObject(json, "batch_norm", finetune->train_batch_norm);
    cJSON_AddBoolToObject(json, "bf16", finetune->bf16);
    cJSON_AddBoolToObject(json, "warm_head", options->warm_head);
    cJSON_AddNumberToObject(json, "val", options->table.val);
    if (val_keys == PF_VAL_KEYS_SECOND) /* else as before there were two */
        add_text(json, "val_keys", pf_split_val_keys_names[val_keys]);
    cJSON_AddNumberToObject(json, "views", options->table.views);
    cJSON_AddNumberToObject(json, "memory", (double)options->table.memory_bytes);
    add_tasks(json, options, version);
    add_head(json, &experiment->spec, version);
    add_steps(json, experiment, version);
    if (!network) add_text(json, "normalize", pf_normalize_names[experiment->normalize]);
    return pf_json_finish(json, "checkpoint", err);
}

/* What follows from the rows: by which keys some are held out, and where nothing is said of epochs,
 * how many there are. */
static int look_at_rows(PfCache *cache, const PfTrainOptions *options, PfValKeys *keys,
                        PfExperiment *experiment, PfError *err)
{
    PfFeatureTable *table;
    if (pf_feature_table_load_rows(cache, &options->table, &table, err)) return -1;
    *keys = table->val_keys;
    experiment->epochs = pf_experiment_epochs(experiment, pf_train_row_count(table, experiment));
    pf_feature_table_free(&table);
    return 0;
}

/* What older versions wrote of the run: nothing of the cache's file, of version 1 numbers in place
 * of words, and the epochs that were asked for, 0 where that was none. */
static int take_older(PfCheckpoint *checkpoint, PfCache *cache, const PfTrainOptions *options,
                      const PfFinetuneNetwork *network, const PfExperiment *experiment,
                      PfValKeys keys, PfError *err)
{
    const struct {
        bool is_wanted; /* else none was written, or it says the same as another */
        int version;
        bool with_file;
    } older[] = {
        {network, 1, false},
        {network && !pf_cache_seal(cache), VERSION, false},
        {!experiment->epochs, VERSION, true},
    };
    for (size_t i = 0; i < sizeof older / sizeof *older; i++) {
        if (!older[i].is_wanted) continue;
        char *before = run_text(cache, options, network, experiment, keys, older[i].version,
                                older[i].with_file, err);
        int failed = !before || pf_checkpoint_take_also(checkpoint, before, err);
        free(before);
        if (failed) return -1;
    }
    return 0;
}

int pf_checkpoint_run_open(PfCache *cache, const PfTrainOptions *options,
                           const PfFinetuneNetwork *network, const PfExperiment *experiment,
                           PfCheckpoint **out, PfError *err)
{
    PfValKeys keys;
    PfExperiment counted = *experiment;
    if (look_at_rows(cache, options, &keys, &counted, err)) return -1;
    char *run = run_text(cache, options, network, &counted, keys, VERSION, true, err);
    char *path = run ? pf_checkpoint_run_path(options, err) : NULL;
    int failed = !path || pf_checkpoint_new(path, run, out, err);
    if (!failed && take_older(*out, cache, options, network, experiment, keys, err)) {
        pf_checkpoint_free(out);
        failed = -1;
    }
    /* A cosine over more epochs would have begun otherwise. */
    if (!failed && experiment->setting.schedule.kind != PF_SCHEDULE_COSINE)
        pf_checkpoint_let_epochs_grow(*out);
    free(path);
    free(run);
    return failed ? -1 : 0;
}
