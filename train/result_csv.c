#include "result_csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "csv_field.h"

/* An empty field where there is no number. */
static void put_number(FILE *stream, double value)
{
    if (isfinite(value))
        fprintf(stream, ",%.9g", value);
    else
        fputc(',', stream);
}

static void put_header(FILE *stream, const PfTrainRun *run)
{
    const char *score = pf_train_run_only_classes(run) ? "accuracy" : "score";
    fputs("tap", stream);
    for (int a = 0; a < run->options->axis_count; a++) {
        fputc(',', stream);
        pf_csv_write_field(stream, run->options->axes[a].name);
    }
    fprintf(stream, ",fold,seed,val_%s,val_loss,train_%s,train_loss,best_epoch,epochs,diverged\n",
            score, score);
}

static void put_trial(FILE *stream, const PfTrainRun *run, const PfTrial *trial)
{
    const PfSweep *sweep = run->sweep;
    pf_csv_write_field(stream, pf_cache_tap(run->cache, sweep->taps[trial->tap])->name);
    for (int a = 0; a < run->options->axis_count; a++) {
        fputc(',', stream);
        pf_csv_write_field(stream, sweep->settings[trial->setting].values[a]);
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
    put_header(stream, run);
    for (int i = 0; i < run->sweep->trial_count; i++)
        put_trial(stream, run, &run->sweep->trials[i]);
    return fclose(stream) ? NULL : text;
}
