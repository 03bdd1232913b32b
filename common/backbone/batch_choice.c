#include "common/backbone/batch_choice.h"

#define WORTHWHILE 1.05

int pf_batch_choice_make(PfBatchMeasure measure, void *context)
{
    int batch = PF_BATCH_USUAL;
    double rate = measure(context, batch);
    while (rate <= 0 && batch > 1) rate = measure(context, batch /= 2);
    if (batch < PF_BATCH_USUAL) return batch;
    while (batch < PF_BATCH_LARGEST) {
        double doubled = measure(context, 2 * batch);
        if (doubled < WORTHWHILE * rate) break;
        batch *= 2;
        rate = doubled;
    }
    return batch;
}
