/* A segment's rows, read back. */
#ifndef PF_FEATURE_CACHE_JOURNAL_SOURCE_H
#define PF_FEATURE_CACHE_JOURNAL_SOURCE_H

#include "feature_cache_journal_index.h"
#include "feature_cache_source.h"

/* The segment must outlive it. */
PfRowSource pf_journal_source_of_segment(PfJournalSegment *segment, const char *path);

/* Rows [first, first + count) of a tap in its dtype; those of the last chunk are kept. */
int pf_journal_read_rows(PfJournalSegment *segment, int tap, int64_t first, int64_t count,
                         void *out, PfError *err);

#endif
