#include "extract/pipeline/bottleneck.h"

#include <stdio.h>

/* ---- which ---- */

PfRunShares pf_bottleneck_shares(const PfRunTimes *times)
{
    const PfPipelineStats *pipeline = &times->pipeline;
    double seconds = pipeline->seconds > 0 ? pipeline->seconds : 1;
    double of_threads = seconds * (times->workers > 0 ? times->workers : 1);
    double of_devices = seconds * (times->devices > 0 ? times->devices : 1);
    return (PfRunShares){.read = pipeline->read_seconds / of_threads,
                         .decode = pipeline->decode_seconds / of_threads,
                         .network = pipeline->forward_seconds / of_devices,
                         .journal = pipeline->sink_seconds / seconds};
}

static PfBottleneck busiest_stage(const PfRunShares *shares)
{
    double files = shares->read + shares->decode;
    double most = files > shares->network ? files : shares->network;
    if (shares->journal > most) most = shares->journal;
    if (most < 0.5) return PF_BOUND_BY_NONE;
    if (most == shares->network) return PF_BOUND_BY_NETWORK;
    if (most == shares->journal) return PF_BOUND_BY_JOURNAL;
    return shares->read > shares->decode ? PF_BOUND_BY_READING : PF_BOUND_BY_DECODING;
}

static double all_seconds(const PfRunTimes *times)
{
    return times->load_seconds + times->pipeline.seconds + times->cache_seconds;
}

PfBottleneck pf_bottleneck_find(const PfRunTimes *times)
{
    PfRunShares shares = pf_bottleneck_shares(times);
    if (times->load_seconds > all_seconds(times) / 2) return PF_BOUND_BY_LOADING;
    if (times->cache_seconds > all_seconds(times) / 2) return PF_BOUND_BY_CACHE;
    return busiest_stage(&shares);
}

const char *pf_bottleneck_name(PfBottleneck bottleneck)
{
    static const char *const names[] = {
        [PF_BOUND_BY_LOADING] = "loading",   [PF_BOUND_BY_READING] = "reading",
        [PF_BOUND_BY_DECODING] = "decoding", [PF_BOUND_BY_NETWORK] = "network",
        [PF_BOUND_BY_JOURNAL] = "journal",   [PF_BOUND_BY_CACHE] = "cache",
        [PF_BOUND_BY_NONE] = "none",
    };
    return names[bottleneck];
}

/* ---- what would move it ---- */

static const char *network_advice(const PfRunTimes *times)
{
    bool can_bf16 = times->is_gpu || times->processor_has_amx;
    if (times->precision == PF_FP32 && can_bf16) return "--precision bf16 computes faster here";
    return times->is_gpu ? "another GPU would share the work" : "a GPU computes faster";
}

/* An image of half a megapixel takes some 2 ms. */
#define LARGE_IMAGE_SECONDS 0.01

static const char *decode_advice(const PfRunTimes *times)
{
    const PfPipelineStats *pipeline = &times->pipeline;
    bool are_large =
        pipeline->decode_seconds > LARGE_IMAGE_SECONDS * (double)(pipeline->images + 1);
    if (are_large && !times->fast_decode) return "--fast-decode is faster for large JPEGs";
    return times->workers < times->processors ? "more --workers would use idle processors"
                                              : "more processors or smaller images would help";
}

static const char *write_advice(const PfRunTimes *times)
{
    double compress_seconds =
        times->compress_seconds / (times->processors > 0 ? times->processors : 1);
    if (compress_seconds <= times->disk_seconds || times->compression == PF_COMPRESS_NONE)
        return "a faster disk would help";
    if (times->compression == PF_COMPRESS_GZIP || times->level > 1)
        return "--compress zstd:1 is faster";
    return "--compress none is faster, and takes more disk";
}

/* ---- in words ---- */

static double mean_waiting(int64_t waiting, int64_t takes)
{
    return takes ? (double)waiting / (double)takes : 0;
}

static double batches_before_network(const PfPipelineStats *pipeline)
{
    return mean_waiting(pipeline->decoded_waiting, pipeline->forward_takes);
}

static double batches_before_journal(const PfPipelineStats *pipeline)
{
    return mean_waiting(pipeline->computed_waiting, pipeline->sink_takes);
}

/* Where images come too slowly, the network waits for them. */
static void write_starved(const char *what, const char *advice, const PfRunTimes *times,
                          char text[PF_BOTTLENECK_TEXT])
{
    const PfPipelineStats *pipeline = &times->pipeline;
    double of_devices = pipeline->seconds * (times->devices > 0 ? times->devices : 1);
    double share = of_devices > 0 ? pipeline->forward_wait_seconds / of_devices : 0;
    snprintf(
        text, PF_BOTTLENECK_TEXT,
        "bound by %s: the network waited %.0f %% of the time, %.1f of %d batches lay ready; %s",
        what, 100 * share, batches_before_network(pipeline), pipeline->depth, advice);
}

/* Where a stage takes too long, batches queue in front of it. */
static void write_network(const PfRunTimes *times, char text[PF_BOTTLENECK_TEXT])
{
    const PfPipelineStats *pipeline = &times->pipeline;
    snprintf(text, PF_BOTTLENECK_TEXT,
             "bound by the network: %.1f of %d batches waited for it, %.1f behind it; %s",
             batches_before_network(pipeline), pipeline->depth, batches_before_journal(pipeline),
             network_advice(times));
}

static void write_journal(const PfRunTimes *times, char text[PF_BOTTLENECK_TEXT])
{
    const PfPipelineStats *pipeline = &times->pipeline;
    snprintf(text, PF_BOTTLENECK_TEXT,
             "bound by writing features: %.1f of %d batches waited for that; %s",
             batches_before_journal(pipeline), pipeline->depth, write_advice(times));
}

static void write_outside(const char *what, double seconds, const PfRunTimes *times,
                          const char *advice, char text[PF_BOTTLENECK_TEXT])
{
    snprintf(text, PF_BOTTLENECK_TEXT, "bound by %s: %.2f of %.2f s; %s", what, seconds,
             all_seconds(times), advice);
}

/* Until the ring has gone round a few times each stage waits for the one before. */
static void write_none(const PfPipelineStats *pipeline, char text[PF_BOTTLENECK_TEXT])
{
    const char *why = pipeline->forward_takes <= 3 * pipeline->depth
                          ? "it has few batches, and each stage waits for the one before"
                          : "other programs may have had the processors";
    snprintf(text, PF_BOTTLENECK_TEXT, "bound by none of its stages: %s", why);
}

const char *pf_bottleneck_text(PfBottleneck bottleneck, const PfRunTimes *times,
                               char text[PF_BOTTLENECK_TEXT])
{
    const PfPipelineStats *pipeline = &times->pipeline;
    switch (bottleneck) {
    case PF_BOUND_BY_LOADING:
        write_outside("loading the network", times->load_seconds, times,
                      "more images would not make that longer", text);
        break;
    case PF_BOUND_BY_READING:
        write_starved("reading files", "a faster disk or more --readers would help", times, text);
        break;
    case PF_BOUND_BY_DECODING:
        write_starved("decoding images", decode_advice(times), times, text);
        break;
    case PF_BOUND_BY_NETWORK: write_network(times, text); break;
    case PF_BOUND_BY_JOURNAL: write_journal(times, text); break;
    case PF_BOUND_BY_CACHE:
        write_outside("making the cache of the journal", times->cache_seconds, times,
                      write_advice(times), text);
        break;
    case PF_BOUND_BY_NONE: write_none(pipeline, text); break;
    }
    return text;
}
