/* The journal of an unfinished run: looked at, opened, read, gone on with, opened again. */
#include <stdio.h>
#include <string.h>

#include "common/cache/journal/journal.h"
#include "fuzz.h"

#define ROW_BYTES_MAX ((int64_t)1 << 20)
#define ROWS_MAX 64

static char output[128];

static PfJournal *open_journal(PfError *err)
{
    PfJournalConfig config = {.output = output,
                              .identity = "{}",
                              .sync_seconds = 1e9,
                              .sync_bytes = INT64_MAX,
                              .threads = 1};
    PfJournal *journal;
    const char *identity;
    if (pf_journal_open(&config, &journal, &identity, err)) {
        fuzz_check_refusal(err);
        return NULL;
    }
    fuzz_touch(identity, strlen(identity));
    return journal;
}

static int64_t count_rows(const PfJournal *journal)
{
    int64_t rows = 0;
    for (int s = 0; s < pf_journal_segment_count(journal); s++)
        rows += pf_journal_row_count(journal, s);
    return rows;
}

/* ---- reading ---- */

static void check_image(const PfJournalImage *image)
{
    fuzz_touch(image->file.path, strlen(image->file.path));
    if (image->reason) fuzz_touch(image->reason, strlen(image->reason));
}

static void read_stored(PfRowSource *source, const PfCacheTap *tap, int t, int64_t rows)
{
    PfTapLayout layout;
    PfError err = {0};
    for (int compression = PF_COMPRESS_NONE; compression <= PF_COMPRESS_ZSTD; compression++) {
        if (pf_tap_layout_plan(tap, (PfCompression)compression, 0, &layout, &err)) continue;
        size_t size = 0, bound = pf_chunk_bound(&layout.format);
        void *stored = malloc(bound);
        FUZZ_CHECK(stored);
        if (rows < layout.chunk_rows) layout.chunk_rows = rows;
        if (source->read_stored(source->context, t, 0, layout.chunk_rows, &layout, stored, &size,
                                &err))
            fuzz_check_refusal(&err);
        else
            fuzz_touch(stored, size);
        free(stored);
    }
}

static void read_tap(PfJournal *journal, int segment, int t)
{
    PfRowSource source = pf_journal_source(journal, segment);
    const PfCacheTap *tap = pf_journal_segment_tap(journal, segment, t);
    int64_t row_bytes = pf_shape_count(&tap->shape) * (int64_t)pf_dtype_size(tap->dtype);
    int64_t rows = pf_journal_row_count(journal, segment);
    PfError err = {0};
    FUZZ_CHECK(source.find_tap(source.context, tap->name) >= 0);
    FUZZ_CHECK(row_bytes > 0);
    if (row_bytes > ROW_BYTES_MAX || !rows) return;
    void *out = malloc((size_t)row_bytes * 2);
    FUZZ_CHECK(out);
    for (int64_t row = 0; row < rows && row < ROWS_MAX; row += 2) {
        int64_t count = rows - row < 2 ? 1 : 2;
        if (source.read_rows(source.context, t, row, count, out, &err)) {
            fuzz_check_refusal(&err);
            break;
        }
        fuzz_touch(out, (size_t)(count * row_bytes));
    }
    free(out);
    read_stored(&source, tap, t, rows);
}

static void read_journal(PfJournal *journal)
{
    for (int s = 0; s < pf_journal_segment_count(journal); s++) {
        for (int t = 0; t < pf_journal_segment_tap_count(journal, s); t++) read_tap(journal, s, t);
        for (int64_t row = 0; row < pf_journal_row_count(journal, s); row++) {
            const PfJournalImage *image = pf_journal_row(journal, s, row);
            FUZZ_CHECK(!image->reason);
            check_image(image);
        }
    }
    for (int64_t i = 0; i < pf_journal_reject_count(journal); i++) {
        FUZZ_CHECK(pf_journal_reject_at(journal, i)->reason);
        check_image(pf_journal_reject_at(journal, i));
    }
}

/* ---- going on ---- */

/* With the taps of its last segment, where they are small, or with one of our own. */
static int append_row(PfJournal *journal, PfError *err)
{
    PfCacheTap taps[2] = {{.name = "new", .shape = {1, {2}}, .dtype = PF_DTYPE_F32}};
    int tap_count = 1, segment = pf_journal_segment_count(journal) - 1;
    if (segment >= 0 && pf_journal_segment_tap_count(journal, segment) <= 2) {
        tap_count = pf_journal_segment_tap_count(journal, segment);
        for (int t = 0; t < tap_count; t++) taps[t] = *pf_journal_segment_tap(journal, segment, t);
    }
    void *features[2] = {NULL, NULL};
    int64_t sizes[2] = {0};
    for (int t = 0; t < tap_count; t++) {
        sizes[t] = pf_shape_count(&taps[t].shape) * (int64_t)pf_dtype_size(taps[t].dtype);
        if (sizes[t] > ROW_BYTES_MAX) return -1;
    }
    for (int t = 0; t < tap_count; t++) features[t] = calloc((size_t)sizes[t], 1);
    PfJournalImage image = {.file.path = "new.jpg"};
    int failed = pf_journal_begin(journal, taps, tap_count, PF_COMPRESS_ZSTD, 0, &segment, err) ||
                 pf_journal_append(journal, 1, &image, (const void *const *)features, err) ||
                 pf_journal_end(journal, err);
    if (failed) fuzz_check_refusal(err);
    for (int t = 0; t < tap_count; t++) free(features[t]);
    return failed;
}

/* What was there and the new row are there when it is opened again. */
static void go_on(PfJournal **journal)
{
    PfError err = {0};
    int64_t rows = count_rows(*journal), rejects = pf_journal_reject_count(*journal);
    int failed = append_row(*journal, &err);
    pf_journal_close(journal);
    if (failed) return;
    *journal = open_journal(&err);
    FUZZ_CHECK(*journal);
    FUZZ_CHECK(count_rows(*journal) == rows + 1 && pf_journal_reject_count(*journal) == rejects);
    FUZZ_CHECK(!pf_journal_dropped_bytes(*journal));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PfError err = {0};
    PfJournal *peeked;
    const char *identity;
    snprintf(output, sizeof output, "%s/out.h5", fuzz_folder());
    fuzz_put("out.h5.journal", data, size);
    int is_refused = pf_journal_peek(output, &peeked, &identity, &err);
    const int64_t rows = peeked ? count_rows(peeked) : 0;
    if (is_refused) fuzz_check_refusal(&err);
    pf_journal_close(&peeked);
    PfJournal *journal = open_journal(&err);
    FUZZ_CHECK((journal == NULL) == (is_refused != 0));
    if (!journal) return 0;
    FUZZ_CHECK(count_rows(journal) == rows);
    read_journal(journal);
    go_on(&journal);
    pf_journal_close(&journal);
    return 0;
}
