#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "common/file/csv.h"
#include "inspect/findings_file.h"
#include "inspect/words.h"

typedef struct Table {
    PfCsv csv;
    const PfInspectOptions *options;
    const PfRows *rows;
} Table;

static void write_class(const Table *table, int32_t class)
{
    fputs(",", table->csv.stream);
    if (class >= 0) pf_csv_write_field(&table->csv, table->rows->classes[class]);
}

/* finding,path,group,split,label,suggested,score; group 0: none; suggested -1: none. */
static void write_row(const Table *table, const char *finding, int32_t row, int64_t group,
                      int32_t suggested, float score)
{
    FILE *stream = table->csv.stream;
    char name[PF_ROW_NAME_SIZE];
    pf_csv_write_field(&table->csv, finding);
    fputs(",", stream);
    pf_csv_write_field(&table->csv, pf_words_name(table->options, table->rows, row, name));
    fputs(",", stream);
    if (group) pf_print(stream, "%lld", (long long)group);
    fputs(",", stream);
    pf_csv_write_field(&table->csv, pf_split_names[table->rows->splits[row]]);
    write_class(table, table->rows->labels ? table->rows->labels[row] : -1);
    write_class(table, suggested);
    pf_print(stream, ",%.6g\n", (double)score);
}

static void write_rows(const Table *table, const char *finding, const int32_t *list, int64_t count)
{
    for (int64_t i = 0; i < count; i++) write_row(table, finding, list[i], 0, -1, 0);
}

static void write_odd(const Table *table, const PfOddImages *found)
{
    for (int64_t i = 0; i < found->count; i++)
        for (int o = 0; o < PF_ODDITY_COUNT; o++)
            if (found->images[i].oddities & 1u << o)
                write_row(table, pf_oddity_names[o], found->images[i].row, 0, -1,
                          found->images[i].statistics[PF_PIXEL_STATISTICS - 1]);
}

static void write_all(const Table *table, const PfFindings *findings)
{
    const PfDuplicates *duplicates = &findings->duplicates;
    for (int64_t i = 0; i < findings->near.count; i++)
        write_row(table, "near", findings->near.images[i].row, 0, -1,
                  findings->near.images[i].similarity);
    for (int64_t g = 0; g < duplicates->group_count; g++)
        for (int64_t m = 0; m < duplicates->groups[g].count; m++)
            write_row(table, "duplicate", duplicates->members[duplicates->groups[g].first + m],
                      g + 1, -1, duplicates->groups[g].similarity);
    for (int64_t i = 0; i < findings->labels.count; i++)
        write_row(table, "label", findings->labels.errors[i].row, 0,
                  findings->labels.errors[i].suggested, findings->labels.errors[i].self_confidence);
    for (int64_t i = 0; i < findings->outliers.count; i++)
        write_row(table, "outlier", findings->outliers.outliers[i].row, 0, -1,
                  findings->outliers.outliers[i].distance);
    write_odd(table, &findings->odd);
    write_rows(table, "not finite", findings->features.broken, findings->features.broken_count);
    write_rows(table, "zero", findings->features.zero, findings->features.zero_count);
    for (int64_t i = 0; i < findings->next.count; i++)
        write_row(table, "label next", findings->next.rows[i].row, 0, -1,
                  findings->next.rows[i].uncertainty);
}

int pf_findings_write_csv(const PfInspectOptions *options, const PfRows *rows,
                          const PfFindings *findings, PfError *err)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    PfCsv csv = {.stream = stream,
                 .shields_formulas = options->csv_safe,
                 .is_terminal = !strcmp(options->csv, "-") && isatty(STDOUT_FILENO)};
    Table table = {csv, options, rows};
    fputs("finding,path,group,split,label,suggested,score\n", stream);
    write_all(&table, findings);
    int failed = ferror(stream);
    if (fclose(stream) || failed)
        failed = pf_fail(err, PF_EXIT_FAILED, "out of memory");
    else
        failed = strcmp(options->csv, "-") ? pf_atomic_file_write(options->csv, text, size, err)
                                           : pf_process_write_output(text, err);
    free(text);
    return failed;
}
