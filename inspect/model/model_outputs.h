/* What a model predicts of the rows of a page. */
#ifndef PF_INSPECT_MODEL_MODEL_OUTPUTS_H
#define PF_INSPECT_MODEL_MODEL_OUTPUTS_H

#include "inspect/page/cache_page.h"
#include "predict/model/network.h"

/* Fills the outputs of those targets of the page that the model predicts, known by their names.
 * Where it has classes that the cache lacks the target gets one more, which stands for the
 * likeliest of them. What it does not know itself is marked as unknown, and it is not judged by
 * that. broken: (rows) 1 where the features are not finite, whose outputs stay NaN; NULL: none. A
 * model of other features, or of none of the targets, is refused: PF_EXIT_IDENTITY. */
int pf_model_outputs_fill(PfCachePage *page, const PfModelNetworkOptions *options,
                          const uint8_t *broken, PfError *err);

#endif
