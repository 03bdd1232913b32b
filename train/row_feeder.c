#include "row_feeder.h"

int pf_row_feeder_new(const PfFeatureTable *table, PfThreadPool *pool, PfRowFeeder *out,
                      PfError *err)
{
    if (table->stream) return pf_stream_feeder(table, pool, out, err);
    return pf_memory_feeder(table, pool, out, err);
}

void pf_row_feeder_free(PfRowFeeder *feeder)
{
    if (feeder->free) feeder->free(feeder->context);
    *feeder = (PfRowFeeder){0};
}
