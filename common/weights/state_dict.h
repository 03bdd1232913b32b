/* From the pickled object of a torch file to named tensors. */
#ifndef PF_COMMON_WEIGHTS_STATE_DICT_H
#define PF_COMMON_WEIGHTS_STATE_DICT_H

#include "common/weights/internal.h"
#include "common/weights/pickle.h"

/* Tells where a storage's numbers are: data points to size bytes, which must
 * be enough for it. */
int pf_state_dict_place_storage(const PfWeights *weights, PfPickleStorage *storage,
                                const uint8_t *data, uint64_t size, PfError *err);

/* Bytes of an element. */
size_t pf_state_dict_element_size(const PfPickleStorage *storage);

/* Adds the tensors of the state_dict in root, whose storages have been placed:
 * those of the entry weights->wanted_entry, or else of an averaged copy ("model_ema", ...), of the
 * entry "state_dict", "model", ..., or of root itself. What is no tensor (epoch, best accuracy,
 * optimiser) is passed over. Notes in weights which entry it was. */
int pf_state_dict_add(PfWeights *weights, const PfPickleValue *root, PfError *err);

#endif
