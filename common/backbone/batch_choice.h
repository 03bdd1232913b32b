/* How many images a device runs at once. */
#ifndef PF_COMMON_BACKBONE_BATCH_CHOICE_H
#define PF_COMMON_BACKBONE_BATCH_CHOICE_H

#ifdef __cplusplus
extern "C" {
#endif

#define PF_BATCH_USUAL 32
#define PF_BATCH_LARGEST 1024

/* Images per second with that batch; 0 where memory does not suffice for it. */
typedef double (*PfBatchMeasure)(void *context, int batch);

/* Doubles the batch from PF_BATCH_USUAL as long as each doubling fits and brings at least a
 * twentieth more images per second, to PF_BATCH_LARGEST at most. Where the usual one does not fit
 * it is halved until one does; 1 where none is known to. */
int pf_batch_choice_make(PfBatchMeasure measure, void *context);

#ifdef __cplusplus
}
#endif
#endif
