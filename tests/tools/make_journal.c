/* make_journal OUTPUT none|gzip|zstd ROWS   leaves the journal of an unfinished run beside OUTPUT:
 * a segment of two taps, another of one, whole chunks and tails, and an image that was refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cache/journal/journal.h"

/* Of a vector's rows a chunk takes thousands, of a map's four. */
static const PfCacheTap TAPS[] = {
    {.name = "layer3", .shape = {3, {64, 32, 32}}, .dtype = PF_DTYPE_F16},
    {.name = "avgpool", .shape = {1, {8}}, .dtype = PF_DTYPE_F32},
};
enum { ROW_BYTES_MAX = 64 * 32 * 32 * 2 };

static int append_row(PfJournal *journal, int row, PfError *err)
{
    static unsigned char features[ROW_BYTES_MAX];
    char path[32];
    memset(features, row % 3, sizeof features);
    snprintf(path, sizeof path, "a/%d.jpg", row);
    PfJournalImage image = {.file = {.path = path, .stamp = {(uint64_t)row + 1, row, row}}};
    memset(image.file.digest, row + 1, sizeof image.file.digest);
    if (pf_journal_append(journal, 1, &image, (const void *const[]){features, features}, err))
        return -1;
    return row % 3 == 2 ? pf_journal_sync(journal, err) : 0;
}

static int write_segment(PfJournal *journal, int tap_count, PfCompression compression, int rows,
                         PfError *err)
{
    int segment;
    if (pf_journal_set_runtime(journal, tap_count == 1 ? "C engine, plain, 1 thread" : "", err) ||
        pf_journal_begin(journal, TAPS, tap_count, compression, 0, &segment, err))
        return -1;
    for (int row = 0; row < rows; row++)
        if (append_row(journal, row, err)) return -1;
    return pf_journal_end(journal, err);
}

static PfCompression find_compression(const char *name)
{
    if (!strcmp(name, "zstd")) return PF_COMPRESS_ZSTD;
    return strcmp(name, "gzip") ? PF_COMPRESS_NONE : PF_COMPRESS_GZIP;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    PfJournalConfig config = {.output = argv[1],
                              .identity = "{\"backbone\": {\"name\": \"resnet18\"}}",
                              .sync_seconds = 1e9,
                              .sync_bytes = INT64_MAX,
                              .threads = 1};
    PfJournalImage bad = {.file.path = "bad.jpg", .reason = "it is no image"};
    PfCompression compression = find_compression(argv[2]);
    int rows = atoi(argv[3]);
    PfJournal *journal;
    const char *identity;
    PfError err = {0};
    int failed = pf_journal_open(&config, &journal, &identity, &err);
    if (!failed) {
        failed = write_segment(journal, 2, compression, rows, &err) ||
                 pf_journal_reject(journal, &bad, &err) ||
                 write_segment(journal, 1, compression, rows / 2, &err);
        pf_journal_close(&journal);
    }
    if (failed) fprintf(stderr, "make_journal: %s\n", err.message);
    return failed != 0;
}
