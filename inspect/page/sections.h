/* The sections of a page, for the files of this folder. */
#ifndef PF_INSPECT_PAGE_SECTIONS_H
#define PF_INSPECT_PAGE_SECTIONS_H

#include <stdio.h>

#include "inspect/page/page.h"

/* Most classes that have a curve or a bar of their own. */
#define PF_PAGE_MOST_CURVES 8
#define PF_PAGE_MOST_BARS 60
/* Most tiles of one gallery. */
#define PF_PAGE_MOST_TILES ((int64_t)240)

/* To the beginning of <main>: the policy, the style, and what is known in a few words. */
void pf_page_put_head(FILE *stream, const PfPageData *data);
/* What was found, in words. */
void pf_page_findings_section(FILE *stream, const PfFindings *findings);
int pf_page_run_section(FILE *stream, const PfPageData *data, PfError *err);
int pf_page_class_section(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                          int number, PfError *err);
int pf_page_value_section(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                          int number, PfError *err);
/* Of findings: classes, how good the features are, models side by side. */
int pf_page_score_sections(FILE *stream, const PfPageData *data, PfError *err);
/* The target of classes that findings, mistakes and map are about; NULL: there is none. */
const PfPageTarget *pf_page_class_target(const PfPageData *data);
/* Of a target of classes with outputs: the class of the row's largest probability. */
int pf_page_predicted_class(const PfPageTarget *target, int64_t row);
/* The split whose rows are judged; static. */
const char *pf_page_judged_split(const PfPageTarget *target);

/* Galleries are data, which the page's script shows: an array of {"id", "title", "note", "groups":
 * [{"note", "rows", "notes"}]}. Rows that come first are the ones to have thumbnails first: each is
 * appended to *rows once. */
typedef struct PfPageRowList {
    int32_t *rows;
    int64_t count;
    uint8_t *is_listed; /* (rows of the page) */
} PfPageRowList;
void pf_page_list_row(PfPageRowList *list, int64_t row);
void pf_page_add_findings(cJSON *galleries, const PfPageData *data, PfPageRowList *list);
void pf_page_add_mistakes(cJSON *galleries, const PfPageData *data, PfPageRowList *list);
int pf_page_add_misses(cJSON *galleries, const PfPageData *data, PfPageRowList *list, PfError *err);
void pf_page_add_galleries(cJSON *galleries, const PfPageData *data, PfPageRowList *list);

extern const char pf_page_css[], pf_page_js[]; /* page.css and page.js, by the build */

#endif
