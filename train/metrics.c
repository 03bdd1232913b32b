#include "metrics.h"

#include <stdlib.h>

#include "memory.h"

static double quotient(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void finish_classes(PfMetrics *metrics)
{
    int64_t correct = 0;
    int present = 0;
    for (int c = 0; c < metrics->class_count; c++) {
        PfClassMetrics *class = &metrics->classes[c];
        correct += class->correct;
        class->precision = quotient((double)class->correct, (double)class->predicted);
        class->recall = quotient((double)class->correct, (double)class->support);
        class->f1 =
            quotient(2.0 * (double)class->correct, (double)(class->predicted + class->support));
        present += class->support || class->predicted;
        metrics->macro_precision += class->precision;
        metrics->macro_recall += class->recall;
        metrics->macro_f1 += class->f1;
    }
    metrics->accuracy = quotient((double)correct, (double)metrics->count);
    metrics->macro_precision = quotient(metrics->macro_precision, present);
    metrics->macro_recall = quotient(metrics->macro_recall, present);
    metrics->macro_f1 = quotient(metrics->macro_f1, present);
}

int pf_metrics_compute(const int32_t *labels, const int32_t *rows, const int32_t *predictions,
                       int64_t count, int class_count, double loss, PfMetrics *out, PfError *err)
{
    size_t classes = (size_t)class_count;
    *out = (PfMetrics){.count = count, .class_count = class_count, .loss = loss};
    out->classes = pf_calloc(classes, sizeof *out->classes, err);
    if (class_count <= PF_CONFUSION_MAX_CLASSES)
        out->confusion = pf_calloc(classes * classes, sizeof *out->confusion, err);
    if (!out->classes || (!out->confusion && class_count <= PF_CONFUSION_MAX_CLASSES)) {
        pf_metrics_free(out);
        return -1;
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t label = labels[rows[i]], prediction = predictions[i];
        out->classes[label].support++;
        out->classes[prediction].predicted++;
        if (label == prediction) out->classes[label].correct++;
        if (out->confusion) out->confusion[(int64_t)label * class_count + prediction]++;
    }
    finish_classes(out);
    return 0;
}

void pf_metrics_free(PfMetrics *metrics)
{
    free(metrics->classes);
    free(metrics->confusion);
    *metrics = (PfMetrics){0};
}
