/* What a run is to extract, and what earlier runs have left. */
#ifndef PF_EXTRACTION_LOOK_H
#define PF_EXTRACTION_LOOK_H

#include "extraction_state.h"

/* Opens dataset, cache and backbone; says what the dataset is. */
int pf_extraction_open(PfExtraction *run, PfError *err);
/* Takes the journal: from here on nobody else writes this cache. */
int pf_extraction_take_journal(PfExtraction *run, PfError *err);
/* The same; then, where another run has just replaced the cache, opens that one, and
 * there is no survey any more. */
int pf_extraction_lock(PfExtraction *run, PfError *err);
/* Surveys: compares the dataset with what there is, and that with what is asked for. */
int pf_extraction_look(PfExtraction *run, PfError *err);
/* Looks anew which rows there are. */
int pf_extraction_find_rows(PfExtraction *run, PfError *err);

struct stat pf_extraction_stat_cache(const PfExtraction *run); /* st_ino 0: there is none */
/* Whether the cache that was opened is still there. */
int pf_extraction_is_unchanged(const PfExtraction *run);

int64_t pf_extraction_max_rejected(const PfExtraction *run);
int pf_extraction_worker_count(const PfExtraction *run);

/* Closes the cache and all that was found in it. */
void pf_extraction_forget(PfExtraction *run);

#endif
