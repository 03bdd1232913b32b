/* Which image of a run is the first with its content, whatever the order in which
 * threads come to read them: images of equal bytes are computed once. */
#ifndef PF_PIPELINE_CONTENTS_H
#define PF_PIPELINE_CONTENTS_H

#include <stdint.h>

#include "permafrost/error.h"

/* Places are 0, 1, 2, ... in the order of the run. Any thread may call. */
typedef struct PfContents PfContents;

int pf_contents_new(int64_t places, PfContents **out, PfError *err);
void pf_contents_free(PfContents **contents);

/* The image at that place has this digest. 1 where no earlier place is known to
 * have it; that may still turn out otherwise, while earlier ones are being read. */
int pf_contents_claim(PfContents *contents, int64_t place, const uint8_t digest[16]);
/* The first place that has claimed this digest; final for a place once all before
 * it have claimed. */
int64_t pf_contents_first(PfContents *contents, const uint8_t digest[16]);

/* The image at `place` cannot be used; called in the order of places. */
int pf_contents_reject(PfContents *contents, int64_t place, const char *reason, PfError *err);
/* Why the image at that place cannot be used, lent; NULL where it can. */
const char *pf_contents_reason(PfContents *contents, int64_t place);

#endif
