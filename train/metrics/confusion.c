#include "train/metrics/confusion.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/printable.h"
#include "train/metrics/metrics.h"

#define LINE_SIZE 256 /* no matrix is wider */
#define PAIR_COLUMNS 66
/* "  ", the class's number, a space, its name. */
#define ROW_HEAD_COLUMNS (2 + 6 + 1 + PF_METRICS_NAME_COLUMNS)

/* ---- pairs ---- */

/* Puts the pair in its place among those so far, which are in order, and drops the last one where
 * there are too many. */
static int insert_pair(PfConfusedPair *pairs, int count, PfConfusedPair pair)
{
    int place = count;
    while (place > 0 && pairs[place - 1].rows < pair.rows) place--;
    if (place == PF_CONFUSED_PAIRS) return count;
    if (count < PF_CONFUSED_PAIRS) count++;
    for (int i = count - 1; i > place; i--) pairs[i] = pairs[i - 1];
    pairs[place] = pair;
    return count;
}

int pf_confusion_find_pairs(const int64_t *matrix, int classes,
                            PfConfusedPair out[PF_CONFUSED_PAIRS])
{
    int count = 0;
    for (int truth = 0; truth < classes; truth++) {
        const int64_t *row = matrix + (int64_t)truth * classes;
        int64_t support = 0;
        for (int predicted = 0; predicted < classes; predicted++) support += row[predicted];
        for (int predicted = 0; predicted < classes; predicted++)
            if (row[predicted] && truth != predicted)
                count = insert_pair(out, count,
                                    (PfConfusedPair){truth, predicted, row[predicted], support});
    }
    return count;
}

/* ---- on the terminal ---- */

static int digits_of(int64_t number)
{
    int digits = 1;
    while (number /= 10) digits++;
    return digits;
}

/* Of a column of the matrix, the space before it counted. */
static int cell_columns(const PfConfusion *confusion)
{
    int digits = digits_of(confusion->classes - 1);
    int64_t cells = (int64_t)confusion->classes * confusion->classes;
    for (int64_t i = 0; i < cells; i++)
        if (digits_of(confusion->matrix[i]) > digits) digits = digits_of(confusion->matrix[i]);
    return digits + 2;
}

/* Numbers one after the other, each in so many columns. */
static void put_number(char line[LINE_SIZE], int columns, int64_t number)
{
    size_t used = strlen(line);
    pf_format(line + used, LINE_SIZE - used, "%*lld", columns, (long long)number);
}

static void print_matrix(const PfConfusion *confusion, int columns)
{
    char line[LINE_SIZE] = "", heading[32], cell[PF_METRICS_NAME_SIZE];
    int count = confusion->classes;
    snprintf(heading, sizeof heading, "%s, true \\ predicted", confusion->split);
    for (int c = 0; c < count; c++) put_number(line, columns, c);
    pf_show("  %-23" PF_SENTENCE "%s", heading, line);
    for (int row = 0; row < count; row++) {
        *line = '\0';
        for (int c = 0; c < count; c++)
            put_number(line, columns, confusion->matrix[(int64_t)row * count + c]);
        pf_show("  %6d %" PF_SENTENCE "%s", row, pf_metrics_name_cell(confusion->names, row, cell),
                line);
    }
}

static void print_pairs(const PfConfusion *confusion)
{
    char truth[PF_METRICS_NAME_SIZE], predicted[PF_METRICS_NAME_SIZE], heading[32];
    snprintf(heading, sizeof heading, "%s, most confused", confusion->split);
    const PfTableGaps gap = pf_metrics_gaps(PAIR_COLUMNS);
    pf_show("  %-23s%" PF_SENTENCE "taken for       %s   rows%sof the class", heading, gap.first,
            gap.other, gap.other);
    for (int i = 0; i < confusion->pair_count; i++) {
        const PfConfusedPair *pair = &confusion->pairs[i];
        double share = (double)pair->rows / (double)pair->support;
        pf_show("  %6d %" PF_SENTENCE "%" PF_SENTENCE "%" PF_SENTENCE "%s%7lld%s%10.1f %%",
                pair->truth, pf_metrics_name_cell(confusion->names, pair->truth, truth), gap.first,
                pf_metrics_name_cell(confusion->names, pair->predicted, predicted), gap.other,
                (long long)pair->rows, gap.other, 100 * share);
    }
}

void pf_confusion_print(const PfConfusion *confusion)
{
    const int most = pf_log_show_columns() < LINE_SIZE ? pf_log_show_columns() : LINE_SIZE - 1;
    int columns = confusion->matrix && confusion->classes <= PF_METRICS_MAX_LINES
                      ? cell_columns(confusion)
                      : most;
    if (ROW_HEAD_COLUMNS + confusion->classes * columns <= most)
        print_matrix(confusion, columns);
    else if (confusion->pair_count)
        print_pairs(confusion);
}

/* ---- JSON ---- */

static void add_class(cJSON *json, const char *key, const char *const *names, int index)
{
    if (names)
        cJSON_AddStringToObject(json, key, names[index]);
    else
        cJSON_AddNumberToObject(json, key, index);
}

cJSON *pf_confusion_pairs_json(const PfConfusedPair *pairs, int count, const char *const *names)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < count; i++) {
        cJSON *pair = cJSON_CreateObject();
        add_class(pair, "true", names, pairs[i].truth);
        add_class(pair, "predicted", names, pairs[i].predicted);
        cJSON_AddNumberToObject(pair, "rows", (double)pairs[i].rows);
        cJSON_AddItemToArray(list, pair);
    }
    return list;
}
