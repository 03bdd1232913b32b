#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"
#include "train/metrics/interval.h"

/* ---- head ---- */

static void put_hash(FILE *stream, const char *text)
{
    char hex[PF_SHA256_TEXT_SIZE];
    uint8_t digest[32];
    pf_digest_sha256_text(text, strlen(text), hex);
    for (int i = 0; i < 32; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        digest[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    fputs("'sha256-", stream);
    pf_html_base64(stream, digest, sizeof digest);
    fputs("'", stream);
}

static const char *title_of(const PfPageData *data)
{
    return data->is_anonymous ? "Images" : data->title;
}

/* Of the classes that the page is about: what the first look is for. */
static void put_accuracy(FILE *stream, const PfPageData *data)
{
    const PfPageTarget *target = pf_page_class_target(data);
    int64_t right = 0, count = 0;
    if (!target || !target->outputs) return;
    for (int64_t i = 0; i < data->rows; i++) {
        if (!pf_page_is_judged(data, target, i)) continue;
        right += pf_page_predicted_class(target, i) == target->labels[i];
        count++;
    }
    if (!count) return;
    PfInterval interval = pf_interval_wilson(right, count);
    pf_html_print(stream,
                  "<div><dt>accuracy</dt><dd><b>%.4f</b> (95 %%: %.3f to %.3f) on %lld images of "
                  "%s</dd></div>",
                  (double)right / (double)count, interval.low, interval.high, (long long)count,
                  pf_page_judged_split(target));
}

void pf_page_put_head(FILE *stream, const PfPageData *data)
{
    pf_html_print(stream, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                          "<meta name=\"generator\" content=\"permafrost " PF_VERSION "\">"
                          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                          "'none'; img-src data:; style-src ");
    put_hash(stream, pf_page_css);
    fputs("; script-src ", stream);
    put_hash(stream, pf_page_js);
    pf_html_print(stream,
                  "; base-uri 'none'; form-action 'none'\">"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                  "<meta name=\"color-scheme\" content=\"light dark\">"
                  "<title>%s</title><style>",
                  title_of(data));
    fwrite(pf_page_css, 1, strlen(pf_page_css), stream);
    pf_html_print(stream, "</style></head>\n<body><header><h1>%s</h1><dl>", title_of(data));
    for (int f = 0; f < data->fact_count; f++)
        pf_html_print(stream, "<div><dt>%s</dt><dd>%s</dd></div>", data->facts[f].name,
                      data->facts[f].text);
    put_accuracy(stream, data);
    pf_html_print(stream, "</dl></header><nav id=\"contents\"></nav>\n<main>");
}

/* ---- what was found, in words ---- */

/* "name: 12 what", with a link where there is something to see. */
static void put_status(FILE *stream, const char *name, const PfFindingStatus *status, int64_t count,
                       const char *what, const char *anchor)
{
    if (status->done && count)
        pf_html_print(stream, "<li><a href=\"#%s\">%s</a>: %lld %s</li>", anchor, name,
                      (long long)count, what);
    else if (status->done)
        pf_html_print(stream, "<li>%s: none</li>", name);
    else if (*status->reason)
        pf_html_print(stream, "<li class=\"soft\">%s: not looked for: %s</li>", name,
                      status->reason);
}

/* The k of the highest share. */
static void put_knn(FILE *stream, const PfKnnScores *found, const char *which)
{
    int best = 0;
    if (!found->status.done || !found->count) return;
    for (int i = 1; i < found->count; i++)
        if (found->scores[i].accuracy > found->scores[best].accuracy) best = i;
    pf_html_print(stream,
                  "<li><a href=\"#scores\">Without any training</a> the %d nearest images name the "
                  "class of %.1f %% of the %s images rightly</li>",
                  found->scores[best].k, 100 * found->scores[best].accuracy, which);
}

static void put_few_shot(FILE *stream, const PfFewShot *found)
{
    if (!found->status.done || found->count < 2) return;
    const PfFewShotPoint *first = &found->points[0], *last = &found->points[found->count - 1];
    pf_html_print(stream,
                  "<li><a href=\"#few-shot\">With few labels</a>: accuracy %.3f from %d image%s of "
                  "each class, %.3f from %d</li>",
                  first->mean, first->shots, first->shots == 1 ? "" : "s", last->mean, last->shots);
}

void pf_page_findings_section(FILE *stream, const PfFindings *findings)
{
    const PfClassFindings *classes = &findings->classes;
    pf_html_print(stream, "<section id=\"findings\"><h2>What was found</h2><ul>");
    put_status(stream, "Labels that look wrong", &findings->labels.status, findings->labels.count,
               "images", "gallery-labels");
    put_status(stream, "Duplicates", &findings->duplicates.status, findings->duplicates.group_count,
               "groups of images", "gallery-duplicates");
    if (findings->duplicates.leak_groups)
        pf_html_print(stream,
                      "<li><b>%lld</b> of these groups are leaks: copies of an image in more than "
                      "one of train, val and test, which make scores too good</li>",
                      (long long)findings->duplicates.leak_groups);
    put_status(stream, "Outliers", &findings->outliers.status, findings->outliers.count,
               "images unlike all others", "gallery-outliers");
    put_status(stream, "Odd images", &findings->odd.status, findings->odd.count, "images",
               "gallery-odd");
    if (classes->has_overlap)
        put_status(stream, "Classes that look alike", &classes->status, classes->pair_count,
                   "pairs of classes", "class-pairs");
    put_status(stream, "What to label next", &findings->next.status, findings->next.count,
               "images, in the order in which to label them", "gallery-next");
    put_knn(stream, &findings->knn, "train");
    put_knn(stream, &findings->knn_held_out, "val and test");
    put_few_shot(stream, &findings->few_shot);
    pf_html_print(stream,
                  "</ul><p class=\"note\">Tick images below and download their paths: "
                  "<code>extract --exclude FILE.csv</code> leaves them out.</p></section>\n");
}
