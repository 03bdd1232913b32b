/* What people have under the name of weights or of a network, told by its first bytes and, of zip
 * archives, by the names in it. */
#ifndef PF_COMMON_FILE_FOREIGN_FILE_H
#define PF_COMMON_FILE_FOREIGN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum PfForeignUse {
    PF_FOREIGN_AS_WEIGHTS,  /* what the file was given as */
    PF_FOREIGN_AS_BACKBONE, /* a TorchScript file */
    PF_FOREIGN_AS_ONNX,
} PfForeignUse;

/* What the file is and what to do, as the rest of a sentence that begins "it is" or "found:";
 * static. NULL where that is not known, or where it may well be what it was given as. */
const char *pf_foreign_file_what(const uint8_t *bytes, size_t size, PfForeignUse as);

#endif
