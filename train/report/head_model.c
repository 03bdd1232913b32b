#include "train/report/head_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/cache/split.h"
#include "common/file/path.h"
#include "common/model/model_file.h"
#include "common/model/model_record.h"
#include "train/head/head_tensors.h"
#include "train/sweep/finished_run.h"

static bool starts_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

/* The networks whose classifier is several modules: names that begin so end in `last`. */
static const struct {
    const char *network, *last;
} classifiers[] = {
    {"vgg", "classifier.6"},
    {"alexnet", "classifier.6"},
    {"mobilenet_v2", "classifier.1"},
    {"mnasnet", "classifier.1"},
    {"mobilenet_v3", "classifier.3"},
    {"efficientnet_lite", "classifier"},
    {"tf_efficientnet_lite", "classifier"},
    {"efficientnet", "classifier.1"},
    {"convnext", "classifier.2"},
};

/* Those whose classifier is one linear layer, fc. */
static const char *const with_fc[] = {"resnet",       "resnext",   "wide_resnet",  "regnet",
                                      "inception_v3", "googlenet", "shufflenet_v2"};

static bool has_fc(const char *network)
{
    for (size_t i = 0; i < sizeof with_fc / sizeof with_fc[0]; i++)
        if (starts_with(network, with_fc[i])) return true;
    return false;
}

/* The tap gives what goes into the classifier, however it is arranged. */
static bool is_before_classifier(const char *tap)
{
    return starts_with(tap, "avgpool") || starts_with(tap, "features") ||
           starts_with(tap, "flatten") || starts_with(tap, "adaptive_avg_pool2d") ||
           starts_with(tap, "global_pool") || !strcmp(tap, "mean");
}

/* The module of the network that the head takes the place of, where it does, else "head". A
 * ResNet's fc takes the pooled features, a vision transformer's heads.head the class token. A VGG
 * ends in classifier.0 to .6: after its last but one layer the head is the .6, on what comes before
 * the classifier it is all of it, as in `model.classifier = Linear(25088, 2)`; others alike. */
static const char *module_name(const cJSON *backbone, const char *tap, int rank)
{
    const char *arch = pf_json_member_text(backbone, "name");
    if (!arch) return "head";
    if (has_fc(arch) && rank == 1) return "fc";
    if (starts_with(arch, "densenet") && rank == 1) return "classifier";
    if ((starts_with(arch, "vit_b") || starts_with(arch, "vit_l") || starts_with(arch, "vit_h")) &&
        rank == 1)
        return "heads.head";
    for (size_t i = 0; i < sizeof classifiers / sizeof classifiers[0]; i++) {
        if (!starts_with(arch, classifiers[i].network)) continue;
        if (starts_with(tap, "classifier")) return classifiers[i].last;
        return is_before_classifier(tap) ? "classifier" : "head";
    }
    return "head";
}

/* NULL where only a head was trained. */
static const PfFinetuneNetwork *network_of(const PfTrainRun *run)
{
    return run->sweep->finetune ? pf_finetune_network(run->sweep->finetune) : NULL;
}

static void add_copy(cJSON *object, const char *key, const cJSON *identity)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(identity, key);
    cJSON_AddItemToObject(object, key, item ? cJSON_Duplicate(item, 1) : cJSON_CreateNull());
}

/* Where extract found the network, or this run its weights: predict looks there first. */
static int add_sources(cJSON *json, const PfTrainRun *run, PfError *err)
{
    static const char *const keys[] = {"backbone_path", "weights_path"};
    const PfFinetuneNetwork *network = network_of(run);
    cJSON *provenance = pf_json_read(pf_cache_provenance(run->cache));
    cJSON *sources = cJSON_AddObjectToObject(json, "sources");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(provenance, keys[i]);
        if (path) cJSON_AddItemToObject(sources, keys[i], cJSON_Duplicate(path, 1));
    }
    cJSON_Delete(provenance);
    if (!network || !network->chose_weights) return 0;
    char *path = pf_weights_noted_source(network->weights, err);
    if (path) cJSON_AddStringToObject(sources, "weights_path", path);
    free(path);
    return path ? 0 : -1;
}

/* Which tensors of the network the file holds in place of the original's, and the tap from
 * which on they matter. */
static void add_finetune(cJSON *json, const PfTrainRun *run)
{
    cJSON *finetune = cJSON_AddObjectToObject(json, "finetune");
    size_t count;
    const PfSuffixTensor *tensors = pf_finetune_tensors(run->sweep->finetune, &count);
    cJSON_AddStringToObject(finetune, "node", run->options->finetune.node);
    cJSON_AddStringToObject(finetune, "cut", pf_train_run_tap(run)->name);
    cJSON *names = cJSON_AddArrayToObject(finetune, "tensors");
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(names, cJSON_CreateString(tensors[i].name));
}

/* When, by which command and from which cache. */
static int add_record(cJSON *json, const PfTrainRun *run, PfError *err)
{
    uint8_t content[PF_DIGEST_SIZE];
    char *path = pf_path_absolute(pf_cache_path(run->cache), err);
    if (!path) return -1;
    PfModelRecord record = {.command = run->options->command,
                            .cache_path = path,
                            .seal = pf_cache_content(run->cache, content) ? content : NULL,
                            .rows = pf_cache_row_count(run->cache),
                            .provenance = pf_cache_provenance(run->cache)};
    cJSON *made = pf_model_record_new(&record, err);
    free(path);
    if (made) cJSON_AddItemToObject(json, PF_MODEL_RECORD_KEY, made);
    return made ? 0 : -1;
}

static cJSON *metadata_json(const PfTrainRun *run, const cJSON *identity,
                            const PfHeadTensors *tensors, PfError *err)
{
    const PfFinetuneNetwork *network = network_of(run);
    PfShape tap_shape;
    const char *tap = pf_train_run_head_tap(run, &tap_shape);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "version",
                            run->sweep->finetune ? PF_MODEL_VERSION_FINETUNED : PF_MODEL_VERSION);
    if (network)
        cJSON_AddItemToObject(json, "backbone", cJSON_Duplicate(network->backbone, 1));
    else
        add_copy(json, "backbone", identity);
    cJSON_AddStringToObject(json, "tap", tap);
    cJSON *shape = cJSON_AddArrayToObject(json, "tap_shape");
    for (int i = 0; i < tap_shape.rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tap_shape.dims[i]));
    if (run->sweep->finetune) add_finetune(json, run);
    add_copy(json, "preprocess", identity);
    add_copy(json, "precision", identity);
    int failed = add_sources(json, run, err);
    cJSON_AddItemToObject(json, "layers", cJSON_Duplicate(tensors->layers, 1));
    cJSON_AddItemToObject(json, "targets", cJSON_Duplicate(tensors->targets, 1));
    if (run->novelty) cJSON_AddItemToObject(json, "novelty", pf_novelty_json(run->novelty));
    cJSON *metrics = cJSON_AddObjectToObject(json, "metrics");
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        if (run->metrics[split])
            cJSON_AddItemToObject(metrics, pf_split_names[split],
                                  pf_result_split(run, (PfSplit)split, false));
    cJSON_AddItemToObject(json, "config", pf_result_config(run));
    cJSON *record = pf_finished_run_record(run->options, run->cache);
    if (record) cJSON_AddItemToObject(json, "run", record);
    if (record) cJSON_AddItemToObject(json, "tables", pf_finished_run_tables(run->options));
    if (!failed && !add_record(json, run, err)) return json;
    cJSON_Delete(json);
    return NULL;
}

/* Whether a tensor of the network that learned has the name of one of the head's. */
static bool has_name_of_network(const PfTrainRun *run, const PfHeadTensors *head)
{
    size_t count = 0;
    const PfFinetune *finetune = run->sweep->finetune;
    const PfSuffixTensor *tensors = finetune ? pf_finetune_tensors(finetune, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < head->count; j++)
            if (!strcmp(tensors[i].name, head->items[j].name)) return true;
    return false;
}

/* Under the names of the part of the network that the head takes the place of, unless the file
 * holds that part, too, as where the head follows it. Readers find the names in the metadata. */
static int make_head(const PfTrainRun *run, const char *module, PfHeadTensors *out, PfError *err)
{
    const PfSweep *sweep = run->sweep;
    bool standardized = sweep->experiment.normalize == PF_NORMALIZE_STANDARDIZE;
    PfHeadNames names = {.module = module, .last = "heads"};
    char own[48], own_last[64];
    for (int number = 1;; number++) {
        if (pf_head_tensors_new(sweep->result.network, sweep->table->tasks,
                                sweep->table->task_count, names, standardized ? sweep->mean : NULL,
                                sweep->scale, out, err))
            return -1;
        if (!has_name_of_network(run, out)) return 0;
        pf_head_tensors_free(out);
        snprintf(own, sizeof own, number > 1 ? "permafrost_head%d" : "permafrost_head", number);
        snprintf(own_last, sizeof own_last, "%s.targets", own);
        names = (PfHeadNames){.module = own, .last = own_last};
    }
}

/* The head's tensors, then the suffix's. *all: to be freed, what it lists is lent. */
static int list_tensors(const PfTrainRun *run, const PfHeadTensors *head, PfNamedTensor **all,
                        size_t *count, PfError *err)
{
    size_t more = 0;
    const PfFinetune *finetune = run->sweep->finetune;
    const PfSuffixTensor *tensors = finetune ? pf_finetune_tensors(finetune, &more) : NULL;
    *all = pf_calloc(head->count + more + PF_NOVELTY_TENSORS, sizeof **all, err);
    if (!*all) return -1;
    memcpy(*all, head->items, head->count * sizeof **all);
    for (size_t i = 0; i < more; i++)
        (*all)[head->count + i] = (PfNamedTensor){
            .name = tensors[i].name,
            .view = {.data = tensors[i].values, .dtype = PF_DTYPE_F32, .shape = tensors[i].shape}};
    *count = head->count + more;
    if (run->novelty) *count += pf_novelty_tensors(run->novelty, *all + *count);
    return 0;
}

int pf_head_model_write(const char *path, const PfTrainRun *run, bool *knows_backbone, PfError *err)
{
    cJSON *identity = pf_json_read(pf_cache_identity(run->cache));
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(identity, "backbone");
    PfHeadTensors tensors;
    PfNamedTensor *all = NULL;
    size_t count = 0;
    PfShape shape;
    const char *tap = pf_train_run_head_tap(run, &shape);
    int failed = make_head(run, module_name(backbone, tap, shape.rank), &tensors, err);
    if (!failed) {
        cJSON *metadata = metadata_json(run, identity, &tensors, err);
        failed = !metadata || list_tensors(run, &tensors, &all, &count, err) ||
                 pf_model_write(path, all, count, metadata, err);
        free(all);
        cJSON_Delete(metadata);
        pf_head_tensors_free(&tensors);
    }
    *knows_backbone = cJSON_IsObject(backbone);
    cJSON_Delete(identity);
    return failed;
}
