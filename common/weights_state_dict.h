/* From the pickled object of a torch file to named tensors. */
#ifndef PF_WEIGHTS_STATE_DICT_H
#define PF_WEIGHTS_STATE_DICT_H

#include "weights_internal.h"
#include "weights_pickle.h"

/* Tells where a storage's numbers are: data points to size bytes, which must
 * be enough for it. */
int pf_state_dict_place_storage(const PfWeights *weights, PfPickleStorage *storage,
                                const uint8_t *data, uint64_t size, PfError *err);

/* Adds the tensors of the state_dict in root, whose storages have been placed:
 * of root itself, or of its entry "state_dict", "model", ... What is no tensor
 * (epoch, best accuracy, optimiser) is passed over. */
int pf_state_dict_add(PfWeights *weights, const PfPickleValue *root, PfError *err);

#endif
