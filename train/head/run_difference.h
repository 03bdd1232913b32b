/* In which settings two runs differ, in words. */
#ifndef PF_TRAIN_HEAD_RUN_DIFFERENCE_H
#define PF_TRAIN_HEAD_RUN_DIFFERENCE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#define PF_RUN_DIFFERENCE_TEXT 768

/* "--lr was 0.01 and is 0.02; the cache holds something else": of what two JSON objects say of
 * their runs, into text, which is returned; "" where they agree, and as many as there is room for.
 * A number of epochs that has grown counts as none where may_grow. */
const char *pf_run_difference_text(const cJSON *found, const cJSON *asked, bool may_grow,
                                   char text[PF_RUN_DIFFERENCE_TEXT]);

#endif
