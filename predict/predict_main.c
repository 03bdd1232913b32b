/* predict: new images through a trained head. */
#include <signal.h>
#include <stdio.h>

#include "log.h"
#include "predict_options.h"
#include "prediction.h"

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    interrupted = number;
}

/* The first signal ends the run in order; a second one ends it at once. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int run(const PfPredictOptions *options, PfError *err)
{
    if (options->help) {
        pf_predict_options_help();
        return 0;
    }
    if (options->version) {
        puts("predict (permafrost) " PF_VERSION);
        return 0;
    }
    catch_signals();
    return pf_prediction_run(options, &interrupted, err);
}

int main(int argc, char **argv)
{
    PfPredictOptions options;
    PfError err = {0};
    pf_log_setup("predict", PF_NORMAL);
    int failed = pf_predict_options_parse(argc, argv, &options, &err);
    if (!failed) {
        pf_log_setup("predict", options.quiet     ? PF_QUIET
                                : options.verbose ? PF_VERBOSE
                                                  : PF_NORMAL);
        failed = run(&options, &err);
    }
    pf_predict_options_free(&options);
    return failed ? pf_report_error(&err) : PF_EXIT_DONE;
}
