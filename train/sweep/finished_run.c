#include "train/sweep/finished_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/file/output.h"
#include "common/model/model_file.h"
#include "train/head/run_difference.h"
#include "train/sweep/checkpoint_run.h"

#define MOST_JSON ((int64_t)256 << 20)

/* ---- what a run is ---- */

#define STAMP_SIZE 64

/* Size and date of the file, into stamp; false where there is none. */
static bool stamp_file(const char *path, char stamp[STAMP_SIZE])
{
    struct stat status;
    if (!path || stat(path, &status) || !S_ISREG(status.st_mode)) return false;
    snprintf(stamp, STAMP_SIZE, "%lld %lld.%09ld", (long long)status.st_size,
             (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    return true;
}

static void add_file(cJSON *files, const char *key, const char *path)
{
    char stamp[STAMP_SIZE];
    if (stamp_file(path, stamp)) cJSON_AddStringToObject(files, key, stamp);
}

cJSON *pf_finished_run_tables(const PfTrainOptions *options)
{
    cJSON *tables = cJSON_CreateObject();
    add_file(tables, "csv", options->csv);
    add_file(tables, "predictions", options->predictions);
    return tables;
}

cJSON *pf_finished_run_record(const PfTrainOptions *options, const PfCache *cache)
{
    uint8_t content[PF_DIGEST_SIZE];
    const PfFinetuneOptions *finetune = &options->finetune;
    char text[PF_DIGEST_TEXT_SIZE];
    if (!pf_cache_content(cache, content)) return NULL;
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "permafrost", PF_VERSION);
    cJSON_AddStringToObject(record, "cache", pf_digest_text(content, text));
    cJSON *given = pf_train_options_given(options);
    if (given) cJSON_AddItemToObject(record, "options", given);
    cJSON *files = cJSON_AddObjectToObject(record, "files");
    add_file(files, "init", finetune->init);
    add_file(files, "weights", finetune->weights);
    add_file(files, "backbone", finetune->backbone);
    if (given && files) return record;
    cJSON_Delete(record);
    return NULL;
}

void pf_finished_run_name(const cJSON *record, char name[PF_FINISHED_RUN_NAME_SIZE])
{
    char digest[PF_SHA256_TEXT_SIZE] = "";
    char *text = pf_json_text(record);
    if (text) pf_digest_sha256_text(text, strlen(text), digest);
    snprintf(name, PF_FINISHED_RUN_NAME_SIZE, "%.16s", digest);
    free(text);
}

/* ---- what is there ---- */

static bool is_file(const char *path)
{
    struct stat status;
    return path && strcmp(path, "-") && !stat(path, &status) && S_ISREG(status.st_mode) &&
           status.st_size > 0;
}

/* The result at path, if it is of that run; else NULL. */
static cJSON *read_result(const char *path, const cJSON *record)
{
    struct stat status;
    const void *bytes;
    const char *end;
    char name[PF_FINISHED_RUN_NAME_SIZE];
    if (!is_file(path)) return NULL;
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    if (fd < 0) return NULL;
    cJSON *result = NULL;
    size_t size = (size_t)status.st_size;
    if (status.st_size < MOST_JSON &&
        !pf_input_file_map(fd, &status, "result", path, &bytes, NULL)) {
        if (!pf_json_check_size(bytes, size, path, "result", NULL))
            result = pf_json_read_front(bytes, size, &end);
        pf_input_file_unmap(bytes, size);
    }
    close(fd);
    pf_finished_run_name(record, name);
    const char *found = pf_json_member_text(result, "run");
    if (found && !strcmp(found, name)) return result;
    cJSON_Delete(result);
    return NULL;
}

static bool is_same_run(const cJSON *run, const cJSON *record)
{
    return run && cJSON_Compare(run, record, 1);
}

/* "val accuracy 0.91": what the model says of itself, into text, which is returned. */
static const char *score_text(const cJSON *metadata, char *text, size_t size)
{
    static const char *const keys[] = {"accuracy", "mae", "mean_average_precision", "nme"};
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(metadata, "metrics");
    const cJSON *val = cJSON_GetObjectItemCaseSensitive(metrics, "val");
    *text = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !*text; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(val, keys[i]);
        if (cJSON_IsNumber(value))
            snprintf(text, size, " (val %s %.4f)", keys[i], value->valuedouble);
    }
    return text;
}

/* Then it is looked at what that is of: the training may go on. */
static bool has_checkpoint(const PfTrainOptions *options)
{
    char *path = pf_checkpoint_run_path(options, NULL);
    bool has = path && is_file(path);
    free(path);
    return has;
}

/* Of the same cache: what is asked for otherwise. */
static void print_difference(const PfTrainOptions *options, const cJSON *run, const cJSON *record)
{
    char text[PF_RUN_DIFFERENCE_TEXT];
    const char *before = pf_json_member_text(run, "cache");
    if (!before || strcmp(before, pf_json_member_text(record, "cache"))) return;
    pf_run_difference_text(cJSON_GetObjectItemCaseSensitive(run, "options"),
                           cJSON_GetObjectItemCaseSensitive(record, "options"), false, text);
    if (!*text) return;
    pf_say("%s is of another run%s: %s", options->output,
           has_checkpoint(options) ? "" : ", and is made anew", text);
}

static int check_assertions(const PfTrainOptions *options, const cJSON *result, PfError *err)
{
    for (int i = 0; i < options->assertion_count; i++)
        if (pf_assertion_check(&options->assertions[i], result, err)) return -1;
    return 0;
}

static bool is_noted(const cJSON *tables, const char *key, const char *path)
{
    char stamp[STAMP_SIZE];
    const char *noted = pf_json_member_text(tables, key);
    return !path || (noted && stamp_file(path, stamp) && !strcmp(noted, stamp));
}

/* What is asked for beside the model and is not there, or not known to be of this run; NULL: all
 * is. */
static const char *missing_result(const PfTrainOptions *options, const cJSON *metadata,
                                  const cJSON *result)
{
    const cJSON *tables = cJSON_GetObjectItemCaseSensitive(metadata, "tables");
    return options->report                                          ? "--report"
           : options->tensorboard                                   ? "--tensorboard"
           : (options->json || options->assertion_count) && !result ? "--json"
           : !is_noted(tables, "csv", options->csv)                 ? "--csv"
           : !is_noted(tables, "predictions", options->predictions) ? "--predictions"
                                                                    : NULL;
}

/* What cannot be opened is no finished run, and a line says why: it may be damaged. */
static int open_output(const char *path, PfModel **model)
{
    PfError err = {0};
    if (!pf_model_open(path, model, &err)) return 0;
    pf_warn("%" PF_SENTENCE ". It is made anew", err.message);
    return -1;
}

int pf_finished_run_look(const PfTrainOptions *options, const PfCache *cache, bool *is_finished,
                         PfError *err)
{
    PfModel *model;
    char score[96];
    const char *missing;
    *is_finished = false;
    if (options->force || !is_file(options->output)) return 0;
    cJSON *record = pf_finished_run_record(options, cache);
    if (!record || open_output(options->output, &model)) {
        cJSON_Delete(record);
        return 0;
    }
    const cJSON *metadata = pf_model_metadata(model);
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(metadata, "run");
    cJSON *result = read_result(options->json, record);
    int failed = 0;
    if (!is_same_run(run, record)) {
        print_difference(options, run, record);
    } else if ((missing = missing_result(options, metadata, result))) {
        pf_say("%s is of this run, and is made again for %s", options->output, missing);
    } else {
        *is_finished = true;
        failed = check_assertions(options, result, err);
        if (!failed)
            pf_say("%s: up to date, nothing to train%s; --force trains it anew", options->output,
                   score_text(metadata, score, sizeof score));
    }
    cJSON_Delete(result);
    pf_model_close(&model);
    cJSON_Delete(record);
    return failed;
}
