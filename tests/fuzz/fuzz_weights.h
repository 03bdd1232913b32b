/* Any weight file's bytes: opened, and every tensor in it read. */
#ifndef PF_TESTS_FUZZ_WEIGHTS_H
#define PF_TESTS_FUZZ_WEIGHTS_H

#include "fuzz.h"

void fuzz_weights(const uint8_t *data, size_t size);

#endif
