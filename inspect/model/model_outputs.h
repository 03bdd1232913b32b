/* What a model predicts of the rows of a page. */
#ifndef PF_INSPECT_MODEL_MODEL_OUTPUTS_H
#define PF_INSPECT_MODEL_MODEL_OUTPUTS_H

#include "inspect/page/cache_page.h"
#include "predict/model/network.h"
#include "predict/model/scorer.h"

/* Whether a page of the cache would have anything to show of the model, before anything long:
 * PF_EXIT_IDENTITY where it predicts none of the cache's targets. model: its name, for messages. */
int pf_model_outputs_check(const PfScorer *scorer, const char *model, const PfCache *cache,
                           PfError *err);
/* The same of a model that is not open yet. */
int pf_model_outputs_check_model(const PfModelNetworkOptions *options, const PfCache *cache,
                                 PfError *err);

/* Fills the outputs of those targets of the page that the model predicts, known by their names, or,
 * where page and model have one each of a kind, by that. Where it has classes that the cache lacks
 * the target gets one more, which stands for the likeliest of them. What it does not know itself is
 * marked as unknown, and it is not judged by that. broken: (rows) 1 where the features are not
 * finite, whose outputs stay NaN; NULL: none. A model of other features, or of none of the targets,
 * is refused: PF_EXIT_IDENTITY. */
int pf_model_outputs_fill(PfCachePage *page, const PfModelNetworkOptions *options,
                          const uint8_t *broken, PfError *err);

#endif
