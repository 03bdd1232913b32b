/* Words of the command line of extract that its table of options does not hold: names of networks,
 * their taps, and the columns of a manifest that is on the command line. */
#ifndef PF_EXTRACT_COMPLETION_H
#define PF_EXTRACT_COMPLETION_H

#include "common/manual/manual.h"

void pf_extract_completion_offer(const PfCompletion *completion);

#endif
