#include "train/sweep/ranks.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/thread/processors.h"
#include "train/features/feature_memory.h"
#include "train/sweep/checkpoint_run.h"

#define HOST_SIZE 512

/* ---- whether there are others ---- */

/* How many heads the options ask for, of each tap. */
static int64_t head_count(const PfTrainOptions *options)
{
    int64_t count = (int64_t)options->seeds * (options->folds ? options->folds : 1);
    for (int a = 0; a < options->axis_count; a++) count *= options->axes[a].count;
    return count;
}

static bool is_sweep(const PfTrainOptions *options)
{
    return head_count(options) > 1 || (options->tap && !strcmp(options->tap, "all"));
}

int pf_train_ranks_find(const PfTrainOptions *options, PfLaunch *launch, PfError *err)
{
    static char label[64]; /* log.h keeps it */
    const PfEnvironment environment = pf_launcher_environment();
    *launch = (PfLaunch){.size = 1};
    if (options->alone || (!options->finetune.node && !is_sweep(options))) return 0;
    if (pf_launcher_find(&environment, launch, err)) return -1;
    if (!launch->rank) return 0;
    snprintf(label, sizeof label, "train: rank %d of %d", launch->rank, launch->size);
    pf_log_setup(label, PF_SILENT);
    return 0;
}

/* ---- what several cannot do ---- */

static int check_options(const PfLaunch *launch, const PfTrainOptions *options, PfError *err)
{
    if (!options->finetune.node || is_sweep(options)) return 0;
    if (options->finetune.train_batch_norm)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--batch-norm learn: statistics of a batch that lies on %d ranks are not "
                       "gathered. Hint: leave batch norm frozen, or train with --alone",
                       launch->size);
    if (options->experiment.batch >= launch->size) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--batch %d is for all ranks together, and there are %d of them: some would "
                   "have nothing to do",
                   options->experiment.batch, launch->size);
}

/* ---- what those of one host share ---- */

static void host_text(char text[HOST_SIZE])
{
    char name[HOST_SIZE / 2] = "", boot[64] = "";
    gethostname(name, sizeof name - 1);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file && !fgets(boot, sizeof boot, file)) *boot = '\0';
    if (file) fclose(file);
    snprintf(text, HOST_SIZE, "%s %s", name, boot);
}

/* Processes that were each given processors of their own have different masks. */
static void mask_text(char text[HOST_SIZE + 32])
{
    cpu_set_t mask;
    char host[HOST_SIZE];
    host_text(host);
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask)) CPU_ZERO(&mask);
    snprintf(text, HOST_SIZE + 32, "%s %016llx", host,
             (unsigned long long)pf_digest_xxh64(&mask, sizeof mask));
}

static int share_threads(const PfTrainOptions *options, PfError *err)
{
    char text[HOST_SIZE + 32];
    int sharing;
    mask_text(text);
    if (pf_rank_group_count_same(options->group, text, &sharing, err)) return -1;
    pf_processors_share(sharing);
    return 0;
}

/* The least of all ranks' share: whether features are streamed decides on the order of rows. */
static int share_memory(PfTrainOptions *options, PfError *err)
{
    char text[HOST_SIZE];
    int sharing, size = pf_rank_group_size(options->group);
    host_text(text);
    if (pf_rank_group_count_same(options->group, text, &sharing, err)) return -1;
    int64_t mine = (int64_t)(pf_memory_physical_bytes() / 2) / sharing;
    int64_t *all = pf_calloc((size_t)size, sizeof *all, err);
    if (!all) return -1;
    int failed = pf_rank_group_gather(options->group, &mine, all, sizeof mine, err);
    for (int rank = 0; rank < size && !failed; rank++)
        if (all[rank] < mine) mine = all[rank];
    free(all);
    if (!failed) pf_feature_memory_set_default(mine);
    return failed;
}

/* ---- joining ---- */

/* All but what may differ from host to host. Ranks that do not agree on what follows the options
 * that make no other result would wait for each other. */
static int compare_commands(const PfTrainOptions *options, PfError *err)
{
    static const char what[] =
        "command line (but for where -o and its like lead, if all have one, "
        "--threads and --device).\nHint: --alone runs trainings that have nothing to "
        "do with each other";
    cJSON *given = pf_train_options_given(options);
    cJSON_DeleteItemFromObjectCaseSensitive(given, "device");
    if (!is_sweep(options)) /* which has none */
        cJSON_AddBoolToObject(given, "has_checkpoint", pf_checkpoint_run_has_place(options));
    cJSON_AddBoolToObject(given, "force", options->force);
    cJSON_AddBoolToObject(given, "resume", options->resume);
    cJSON_AddNumberToObject(given, "memory", (double)options->table.memory_bytes);
    char *text = given ? pf_json_text(given) : NULL;
    cJSON_Delete(given);
    if (!text) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed =
        pf_rank_group_compare(options->group, PF_EXIT_USAGE, what, text, strlen(text), err);
    free(text);
    return failed;
}

static void say(const PfLaunch *launch, const PfRendezvous *rendezvous,
                const PfTrainOptions *options)
{
    char work[96] = "which share out the heads";
    if (options->finetune.ranks)
        snprintf(work, sizeof work, "each of which computes %d to %d images of a batch of %d",
                 options->experiment.batch / launch->size,
                 (options->experiment.batch + launch->size - 1) / launch->size,
                 options->experiment.batch);
    pf_say("%d ranks (%s: %s, %s), %s; they met at %s:%d%s", launch->size, launch->launcher->name,
           launch->launcher->rank, launch->launcher->size, work, rendezvous->address,
           rendezvous->port, rendezvous->is_said ? "" : ", which follows from the job's number");
}

int pf_train_ranks_join(const PfLaunch *launch, PfTrainOptions *options, PfError *err)
{
    const PfEnvironment environment = pf_launcher_environment();
    PfRendezvous rendezvous;
    if (launch->size < 2) return 0;
    if (check_options(launch, options, err) ||
        pf_rendezvous_find(&environment, launch, &rendezvous, err) ||
        pf_rank_group_join(launch, &rendezvous, is_sweep(options), &options->group, err))
        return -1;
    options->finetune.local_rank = launch->local_rank;
    if (!is_sweep(options)) {
        options->finetune.ranks = options->group;
        options->table.part = launch->rank;
        options->table.parts = launch->size;
    }
    if (compare_commands(options, err) || share_threads(options, err) || share_memory(options, err))
        return -1;
    say(launch, &rendezvous, options);
    return 0;
}

int pf_train_ranks_compare_cache(const PfTrainOptions *options, const PfCache *cache, PfError *err)
{
    struct {
        int64_t rows;
        uint8_t seal[PF_DIGEST_SIZE];
    } what;
    const uint8_t *seal = pf_cache_seal(cache);
    memset(&what, 0, sizeof what);
    what.rows = pf_cache_row_count(cache);
    if (seal) memcpy(what.seal, seal, sizeof what.seal);
    return pf_rank_group_compare(options->group, PF_EXIT_IDENTITY, "cache", &what, sizeof what,
                                 err);
}

bool pf_train_ranks_writes(const PfTrainOptions *options)
{
    return !pf_rank_group_rank(options->group);
}
