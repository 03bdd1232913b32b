/* Words of the command line of train that its table of options does not hold: taps and targets of
 * the cache that is on the command line. */
#ifndef PF_TRAIN_SETTINGS_COMPLETION_H
#define PF_TRAIN_SETTINGS_COMPLETION_H

#include "common/manual/manual.h"

void pf_train_completion_offer(const PfCompletion *completion);

#endif
