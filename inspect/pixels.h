/* The pixels of all images of a cache, read again: inspect --pixels. */
#ifndef PF_INSPECT_PIXELS_H
#define PF_INSPECT_PIXELS_H

#include "inspect/findings/findings.h"
#include "inspect/rows/rows.h"

/* root: where the images are now; NULL: where they were. max_pixels: of an image; 0: the usual
 * limits, see image.h.
 *
 * Measures every image that is still where it was and what it was; without any of them the finding
 * says why it was not looked for. progress: may be NULL. */
int pf_pixels_find(const PfRows *rows, const char *root, int64_t max_pixels,
                   void (*progress)(void *context, int64_t done, int64_t total), void *context,
                   PfOddImages *out, PfError *err);

/* The same by the statistics that extract has noted in the cache, of the rows that have them. */
int pf_pixels_take(const PfRows *rows, PfOddImages *out, PfError *err);

#endif
