#include "extraction_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic_file.h"
#include "json.h"
#include "memory.h"
#include "process.h"

static void add_seconds(cJSON *json, const PfExtractionSummary *summary)
{
    const PfRunTimes *times = &summary->times;
    const PfPipelineStats *pipeline = &times->pipeline;
    cJSON *seconds = cJSON_AddObjectToObject(json, "seconds");
    cJSON_AddNumberToObject(seconds, "total", summary->seconds);
    if (!summary->computed) return;
    cJSON_AddNumberToObject(seconds, "load", times->load_seconds);
    cJSON_AddNumberToObject(seconds, "head_start", pipeline->head_start_seconds);
    cJSON_AddNumberToObject(seconds, "images", pipeline->seconds);
    cJSON_AddNumberToObject(seconds, "cache", times->cache_seconds);
    cJSON_AddNumberToObject(seconds, "read", pipeline->read_seconds);
    cJSON_AddNumberToObject(seconds, "decode", pipeline->decode_seconds);
    cJSON_AddNumberToObject(seconds, "decode_wait", pipeline->decode_wait_seconds);
    cJSON_AddNumberToObject(seconds, "network", pipeline->forward_seconds);
    cJSON_AddNumberToObject(seconds, "network_wait", pipeline->forward_wait_seconds);
    cJSON_AddNumberToObject(seconds, "write", pipeline->sink_seconds);
    cJSON_AddNumberToObject(seconds, "compress", times->compress_seconds);
    cJSON_AddNumberToObject(seconds, "disk", times->disk_seconds);
}

static void add_mean(cJSON *json, const char *key, int64_t waiting, int64_t takes)
{
    if (takes) cJSON_AddNumberToObject(json, key, (double)waiting / (double)takes);
}

static void add_queues(cJSON *json, const PfPipelineStats *pipeline)
{
    cJSON *queues = cJSON_AddObjectToObject(json, "queues");
    cJSON_AddNumberToObject(queues, "batches", pipeline->depth);
    add_mean(queues, "before_network", pipeline->decoded_waiting, pipeline->forward_takes);
    add_mean(queues, "before_write", pipeline->computed_waiting, pipeline->sink_takes);
}

/* What is known of a run that has computed something. */
static void add_speed(cJSON *json, const PfExtractionSummary *summary)
{
    char text[PF_BOTTLENECK_TEXT];
    cJSON_AddNumberToObject(json, "images_per_second", summary->images_per_second);
    cJSON_AddNumberToObject(json, "rotated", (double)summary->times.pipeline.rotated);
    if (summary->times.pipeline.truncated)
        cJSON_AddNumberToObject(json, "truncated", (double)summary->times.pipeline.truncated);
    cJSON_AddNumberToObject(json, "head_start", (double)summary->times.pipeline.head_start);
    cJSON_AddNumberToObject(json, "workers", summary->times.workers);
    add_queues(json, &summary->times.pipeline);
    if (summary->gflops > 0) cJSON_AddNumberToObject(json, "gflops", summary->gflops);
    if (summary->bare_gflops > 0)
        cJSON_AddNumberToObject(json, "bare_convolution_gflops", summary->bare_gflops);
    cJSON_AddStringToObject(json, "bound_by", pf_bottleneck_name(summary->bottleneck));
    cJSON_AddStringToObject(json, "verdict",
                            pf_bottleneck_text(summary->bottleneck, &summary->times, text));
}

static char *summary_text(const PfExtraction *run, const PfExtractionSummary *summary, PfError *err)
{
    pf_json_begin();
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "cache", run->options->output);
    cJSON_AddNumberToObject(json, "rows", (double)summary->rows);
    cJSON_AddNumberToObject(json, "rejected", (double)summary->rejected);
    cJSON_AddNumberToObject(json, "computed", (double)summary->computed);
    cJSON_AddNumberToObject(json, "file_bytes", (double)summary->file_bytes);
    if (summary->raw_bytes) {
        cJSON_AddNumberToObject(json, "raw_bytes", (double)summary->raw_bytes);
        cJSON_AddNumberToObject(json, "stored_bytes", (double)summary->stored_bytes);
    }
    cJSON_AddNumberToObject(json, "peak_memory_bytes", (double)summary->peak_memory_bytes);
    pf_equal_images_add(json, &run->equal);
    add_seconds(json, summary);
    if (summary->computed) add_speed(json, summary);
    return pf_json_finish(json, "summary", err);
}

static int write_text(const char *path, const char *text, PfError *err)
{
    if (strcmp(path, "-")) return pf_atomic_file_write(path, text, strlen(text), err);
    return pf_standard_output_write(text, err);
}

int pf_extraction_write_json(const PfExtraction *run, const PfExtractionSummary *summary,
                             PfError *err)
{
    char *json = summary_text(run, summary, err);
    char *text = json ? pf_asprintf(err, "%s\n", json) : NULL;
    int failed = !text || write_text(run->options->json, text, err);
    free(text);
    free(json);
    return failed ? -1 : 0;
}
