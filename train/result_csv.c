#include "result_csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "csv_field.h"

/* An empty field where there is no number. */
static void put_number(FILE *stream, double value)
{
    if (isfinite(value))
        fprintf(stream, ",%.9g", value);
    else
        fputc(',', stream);
}

static void put_header(const PfCsv *csv, const PfTrainRun *run)
{
    FILE *stream = csv->stream;
    const char *score = pf_score_name(run->sweep->table);
    fputs("tap", stream);
    for (int a = 0; a < run->options->axis_count; a++) {
        fputc(',', stream);
        pf_csv_write_field(csv, run->options->axes[a].name);
    }
    fprintf(stream, ",fold,seed,val_%s,val_loss,train_%s,train_loss,best_epoch,epochs,diverged\n",
            score, score);
}

static void put_trial(const PfCsv *csv, const PfTrainRun *run, const PfTrial *trial)
{
    FILE *stream = csv->stream;
    const PfSweep *sweep = run->sweep;
    pf_csv_write_field(csv, pf_cache_tap(run->cache, sweep->taps[trial->tap])->name);
    for (int a = 0; a < run->options->axis_count; a++) {
        fputc(',', stream);
        pf_csv_write_field(csv, sweep->settings[trial->setting].values[a]);
    }
    if (trial->fold >= 0)
        fprintf(stream, ",%d", trial->fold);
    else
        fputc(',', stream);
    fprintf(stream, ",%lld", (long long)trial->seed);
    put_number(stream, trial->val_score);
    put_number(stream, trial->val_loss);
    put_number(stream, trial->train_score);
    put_number(stream, trial->train_loss);
    fprintf(stream, ",%d,%d,%d\n", trial->best_epoch, trial->epoch_count, trial->diverged);
}

char *pf_result_csv(const PfTrainRun *run)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    PfCsv csv = {.stream = stream,
                 .is_terminal = !strcmp(run->options->csv, "-") && isatty(STDOUT_FILENO),
                 .shields_formulas = run->options->csv_safe};
    put_header(&csv, run);
    for (int i = 0; i < run->sweep->trial_count; i++) put_trial(&csv, run, &run->sweep->trials[i]);
    return fclose(stream) ? NULL : text;
}
