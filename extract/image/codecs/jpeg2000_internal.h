/* What the two parts of the JPEG 2000 decoder share: jpeg2000_header.c looks at a file before
 * OpenJPEG does, jpeg2000.c decodes it. */
#ifndef PF_EXTRACT_IMAGE_CODECS_JPEG2000_INTERNAL_H
#define PF_EXTRACT_IMAGE_CODECS_JPEG2000_INTERNAL_H

#include "extract/image/codecs/codecs.h"

/* Of a codestream: FF 4F FF 51; anything else is boxes around one. */
#define PF_JPEG2000_IS_CODESTREAM(bytes) ((bytes)[0] == 0xff)

/* Sees that the codestream's headers give a size within the limits, 1 to 4 components, and no more
 * tiles, precincts and code blocks than are worth their memory. */
int pf_jpeg2000_check_header(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                             PfError *err);

#endif
