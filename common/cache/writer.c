#include "common/cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/cache/codec/chunker.h"
#include "common/file/atomic_file.h"

struct PfCacheWriter {
    char *path;
    PfAtomicFile *output;
    const char *temporary; /* the output's, lent */
    PfHdf5Writer *file;
    PfChunker *chunker;
    PfCacheWriterStats stats;
    bool failed; /* then error says why, and nothing else is done */
    PfError error;
    bool is_virtual; /* its features are elsewhere */
    int tap_count;
    PfTapLayout *layouts; /* (tap_count) */
};

/* ---- chunks ---- */

static int write_chunk(void *context, const PfEncodedChunk *chunk, PfError *err)
{
    PfCacheWriter *writer = context;
    double start = pf_clock_seconds();
    int failed = pf_hdf5_writer_append_chunk(writer->file, chunk->tap, chunk->first_row,
                                             chunk->rows, chunk->stored, chunk->stored_bytes, err);
    size_t row_bytes = writer->layouts[chunk->tap].row_bytes;
    writer->stats.raw_bytes += chunk->rows * (int64_t)row_bytes;
    writer->stats.stored_bytes += (int64_t)chunk->stored_bytes;
    writer->stats.write_seconds += pf_clock_seconds() - start;
    return failed;
}

/* ---- opening ---- */

static int check_name(const char *what, const char *name, PfError *err)
{
    if (*name && !strchr(name, '/') && strcmp(name, ".")) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "the %s name '%s' cannot be stored: a name is not empty, is not '.' and has no "
                   "'/' in it",
                   what, name);
}

static int check_names(const PfCacheWriterConfig *config, PfError *err)
{
    for (int t = 0; t < config->tap_count; t++)
        if (check_name("tap", config->taps[t].name, err)) return -1;
    for (int t = 0; t < config->target_count; t++)
        if (check_name("target", config->targets[t].name, err)) return -1;
    return 0;
}

static int plan_taps(PfCacheWriter *writer, const PfCacheWriterConfig *config, PfError *err)
{
    size_t count = (size_t)config->tap_count;
    writer->tap_count = config->tap_count;
    writer->layouts = pf_calloc(count, sizeof *writer->layouts, err);
    if (!writer->layouts) return -1;
    for (size_t t = 0; t < count; t++)
        if (pf_tap_layout_plan(&config->taps[t], config->compression, config->level,
                               &writer->layouts[t], err))
            return -1;
    return 0;
}

static int begin_output(PfCacheWriter *writer, PfError *err)
{
    if (pf_atomic_file_begin(writer->path, &writer->output, err)) return -1;
    writer->temporary = pf_atomic_file_temporary(writer->output);
    if (writer->temporary) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "cannot write '%s': a cache is a regular file, not a pipe or a device",
                   writer->path);
}

int pf_cache_writer_open(const char *path, const PfCacheWriterConfig *config, PfCacheWriter **out,
                         PfError *err)
{
    assert(config->tap_count > 0 && config->threads > 0);
    if (check_names(config, err)) return -1;
    PfCacheWriter *writer = pf_calloc(1, sizeof *writer, err);
    if (!writer) return -1;
    writer->is_virtual = config->source_count > 0;
    if (!(writer->path = pf_strdup(path, err)) || plan_taps(writer, config, err) ||
        pf_chunker_new(writer->layouts, writer->tap_count, config->threads, write_chunk, writer,
                       &writer->chunker, err) ||
        begin_output(writer, err) ||
        pf_hdf5_writer_new(writer->temporary, writer->path, config, writer->layouts, &writer->file,
                           err)) {
        pf_cache_writer_abandon(&writer);
        return -1;
    }
    *out = writer;
    return 0;
}

/* ---- rows ---- */

/* Keeps the first failure, which every later call then returns. */
static int note_failure(PfCacheWriter *writer, PfError *err)
{
    writer->failed = true;
    if (err) *err = writer->error;
    return -1;
}

int pf_cache_writer_append_tap(PfCacheWriter *writer, int tap, int64_t n, const void *features,
                               PfError *err)
{
    if (writer->failed || pf_chunker_append(writer->chunker, tap, n, features, &writer->error))
        return note_failure(writer, err);
    return 0;
}

int pf_cache_writer_append_chunk(PfCacheWriter *writer, int tap, int64_t rows, const void *stored,
                                 size_t stored_bytes, PfError *err)
{
    if (writer->failed ||
        pf_chunker_append_encoded(writer->chunker, tap, rows, stored, stored_bytes, &writer->error))
        return note_failure(writer, err);
    return 0;
}

void pf_cache_writer_finish_tap(PfCacheWriter *writer, int tap)
{
    pf_chunker_finish_tap(writer->chunker, tap);
}

static int append_samples(PfCacheWriter *writer, int64_t n, const PfCacheSample *samples,
                          PfError *err)
{
    for (int64_t i = 0; i < n; i++)
        if (pf_hdf5_writer_append_sample(writer->file, &samples[i], err)) return -1;
    writer->stats.rows += n;
    return 0;
}

int pf_cache_writer_append_samples(PfCacheWriter *writer, int64_t n, const PfCacheSample *samples,
                                   PfError *err)
{
    if (writer->failed || append_samples(writer, n, samples, &writer->error))
        return note_failure(writer, err);
    return 0;
}

int pf_cache_writer_append(PfCacheWriter *writer, int n, const PfCacheSample *samples,
                           const void *const *features, PfError *err)
{
    if (pf_cache_writer_append_samples(writer, n, samples, err)) return -1;
    for (int t = 0; t < writer->tap_count; t++)
        if (pf_cache_writer_append_tap(writer, t, n, features[t], err)) return -1;
    return 0;
}

const PfTapLayout *pf_cache_writer_layout(const PfCacheWriter *writer, int tap)
{
    return &writer->layouts[tap];
}

int pf_cache_writer_reject(PfCacheWriter *writer, const PfCacheReject *reject, PfError *err)
{
    if (writer->failed || pf_hdf5_writer_reject(writer->file, reject, &writer->error))
        return note_failure(writer, err);
    writer->stats.rejected++;
    return 0;
}

/* ---- the end ---- */

/* Closes, seals and renames the file. */
static int commit(PfCacheWriter *writer, PfError *err)
{
    PfHdf5Extent *extents = NULL;
    int64_t count = 0;
    struct stat status;
    double start = pf_clock_seconds();
    int failed = pf_hdf5_writer_finish(writer->file, &extents, &count, err) ||
                 pf_cache_seal_write(writer->temporary, writer->path, extents, count, err);
    free(extents);
    if (failed) return -1;
    if (!stat(writer->temporary, &status)) writer->stats.file_bytes = status.st_size;
    if (pf_atomic_file_commit(&writer->output, err)) return -1;
    writer->stats.write_seconds += pf_clock_seconds() - start;
    return 0;
}

static int finish(PfCacheWriter *writer, PfError *err)
{
    for (int t = 0; t < writer->tap_count && !writer->is_virtual; t++)
        assert(pf_chunker_rows(writer->chunker, t) == writer->stats.rows);
    if (pf_chunker_finish(writer->chunker, err) || commit(writer, err)) return -1;
    writer->stats.compress_seconds = pf_chunker_seconds(writer->chunker);
    return 0;
}

int pf_cache_writer_finish(PfCacheWriter **pointer, PfCacheWriterStats *stats, PfError *err)
{
    PfCacheWriter *writer = *pointer;
    int failed = writer->failed || finish(writer, &writer->error);
    if (failed) note_failure(writer, err);
    if (!failed && stats) *stats = writer->stats;
    pf_cache_writer_abandon(pointer);
    return failed ? -1 : 0;
}

void pf_cache_writer_abandon(PfCacheWriter **pointer)
{
    PfCacheWriter *writer = *pointer;
    if (!writer) return;
    pf_chunker_free(&writer->chunker);
    pf_hdf5_writer_free(&writer->file);
    pf_atomic_file_abandon(&writer->output);
    free(writer->layouts);
    free(writer->path);
    free(writer);
    *pointer = NULL;
}
