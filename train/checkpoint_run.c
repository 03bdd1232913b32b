#include "checkpoint_run.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "json.h"
#include "memory.h"
#include "output_path.h"

static void add_text(cJSON *json, const char *key, const char *text)
{
    cJSON_AddStringToObject(json, key, text ? text : "default");
}

/* Names the cache's content: by its seal, else by what it says of itself. */
static void add_cache(cJSON *json, const PfCache *cache)
{
    char text[PF_SHA256_TEXT_SIZE];
    const uint8_t *seal = pf_cache_seal(cache);
    const char *identity = pf_cache_identity(cache);
    if (seal)
        pf_sha256_text(seal, PF_DIGEST_SIZE, text);
    else
        pf_sha256_text(identity, strlen(identity), text);
    text[12] = '\0';
    add_text(json, "cache", text);
}

static void add_head(cJSON *json, const PfHeadSpec *spec)
{
    char text[PF_HEAD_SPEC_TEXT_SIZE];
    add_text(json, "head", pf_head_spec_text(spec, text));
    const double rest[] = {spec->activation, spec->norm, spec->dropout};
    cJSON_AddItemToObject(json, "hidden", cJSON_CreateDoubleArray(rest, 3));
}

static void add_steps(cJSON *json, const PfExperiment *experiment)
{
    const PfHeadSetting *setting = &experiment->setting;
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"optimizer", experiment->optimizer},
        {"lr", setting->learning_rate},
        {"backbone_lr", experiment->backbone_rate},
        {"weight_decay", setting->weight_decay},
        {"momentum", setting->momentum},
        {"nesterov", experiment->nesterov},
        {"schedule", setting->schedule.kind},
        {"schedule_epochs", setting->schedule.step_epochs},
        {"schedule_factor", setting->schedule.gamma},
        {"warmup", setting->warmup_epochs},
        {"clip", setting->clip_norm},
        {"label_smoothing", setting->label_smoothing},
        {"epochs", experiment->epochs},
        {"batch", experiment->batch},
        {"patience", experiment->patience},
        {"balanced_loss", experiment->balanced_loss},
        {"sampling", experiment->sampling},
        {"per_class", experiment->per_class},
        {"seed", (double)experiment->seed},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddNumberToObject(json, numbers[i].key, numbers[i].value);
}

static void add_tasks(cJSON *json, const PfTrainOptions *options)
{
    cJSON *tasks = cJSON_AddArrayToObject(json, "tasks");
    add_text(json, "targets", options->table.targets);
    for (int t = 0; t < options->task_count; t++) {
        const PfTaskSetting *setting = &options->tasks[t];
        const double numbers[] = {setting->has_loss, setting->loss, setting->loss_parameter,
                                  setting->weight};
        cJSON *task = cJSON_CreateObject();
        add_text(task, "target", setting->target);
        cJSON_AddItemToObject(task, "loss", cJSON_CreateDoubleArray(numbers, 4));
        cJSON_AddItemToArray(tasks, task);
    }
}

int pf_checkpoint_run_has_place(const PfTrainOptions *options)
{
    PfOutputPath place;
    if (!options->finetune.node || !options->output) return 0;
    int has = pf_output_path_find(options->output, &place, NULL) || place.kind != PF_OUTPUT_STREAM;
    pf_output_path_free(&place);
    return has;
}

char *pf_checkpoint_run_path(const PfTrainOptions *options, PfError *err)
{
    return pf_asprintf(err, "%s.checkpoint", options->output);
}

int pf_checkpoint_run_open(const PfCache *cache, const PfTrainOptions *options,
                           const PfExperiment *experiment, PfCheckpoint **out, PfError *err)
{
    const PfFinetuneOptions *finetune = &options->finetune;
    pf_json_begin();
    cJSON *json = cJSON_CreateObject();
    add_cache(json, cache);
    add_text(json, "finetune", finetune->node);
    add_text(json, "tap", finetune->output);
    add_text(json, "init", finetune->init);
    cJSON_AddBoolToObject(json, "batch_norm", finetune->train_batch_norm);
    cJSON_AddBoolToObject(json, "bf16", finetune->bf16);
    cJSON_AddBoolToObject(json, "warm_head", options->warm_head);
    cJSON_AddNumberToObject(json, "val", options->table.val);
    cJSON_AddNumberToObject(json, "views", options->table.views);
    cJSON_AddNumberToObject(json, "memory", (double)options->table.memory_bytes);
    add_tasks(json, options);
    add_head(json, &experiment->spec);
    add_steps(json, experiment);
    char *run = pf_json_finish(json, "checkpoint", err);
    char *path = run ? pf_checkpoint_run_path(options, err) : NULL;
    int failed = !path || pf_checkpoint_new(path, run, out, err);
    free(path);
    free(run);
    return failed ? -1 : 0;
}
