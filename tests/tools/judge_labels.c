/* judge_labels ROWS CLASSES < NUMBERS
 *
 * What confident learning says of labels: stdin holds ROWS int32 labels (-1: none), then
 * (ROWS, CLASSES) float32 probabilities, all in this machine's byte order. Prints the rows that are
 * named, a line each in order. */
#include <stdio.h>
#include <stdlib.h>

#include "inspect/findings/findings.h"
#include "inspect/findings/label_errors.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: judge_labels ROWS CLASSES\n", stderr);
        return 2;
    }
    size_t rows = (size_t)atol(argv[1]), classes = (size_t)atol(argv[2]);
    int32_t *labels = calloc(rows, sizeof *labels);
    float *probabilities = calloc(rows * classes, sizeof *probabilities);
    PfFindings findings = {0};
    PfError err = {0};
    PfLabelProbabilities given = {(int64_t)rows, (int)classes, labels, probabilities, NULL};
    int failed =
        !labels || !probabilities || fread(labels, sizeof *labels, rows, stdin) != rows ||
        fread(probabilities, sizeof *probabilities, rows * classes, stdin) != rows * classes ||
        pf_label_errors_judge(&given, &findings.labels, &err);
    for (int64_t i = 0; i < findings.labels.count && !failed; i++)
        printf("%d\n", (int)findings.labels.errors[i].row);
    pf_findings_free(&findings);
    free(labels);
    free(probabilities);
    return failed;
}
