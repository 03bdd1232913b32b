/* predict: new images through a trained head. */
#include <stdio.h>

#include "common/backbone/script_file.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/thread/processors.h"
#include "predict/export/export.h"
#include "predict/info.h"
#include "predict/predict.h"

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
    if (options->trust) return pf_script_file_trust(options->trust, err);
    if (options->info) return pf_info_print(options->network.model, options->json, err);
    if (options->verify) return pf_info_verify(options->network.model, err);
    if (options->export_path) return pf_export_run(&options->network, options->export_path, err);
    return pf_prediction_run(options, pf_process_catch_interrupts("predictions are missing"), err);
}

int main(int argc, char **argv)
{
    PfPredictOptions options;
    PfError err = {0};
    pf_process_begin_streams();
    pf_log_setup("predict", PF_NORMAL);
    if (pf_manual_answer(&pf_predict_manual, argc, argv))
        return pf_process_finish_output(&err) ? pf_log_error(&err) : PF_EXIT_DONE;
    int failed = pf_predict_options_parse(argc, argv, &options, &err);
    if (!failed) {
        pf_log_setup("predict", options.quiet     ? PF_QUIET
                                : options.verbose ? PF_VERBOSE
                                                  : PF_NORMAL);
        pf_processors_set(options.threads);
        failed = run(&options, &err) || pf_process_finish_output(&err);
    }
    pf_predict_options_free(&options);
    return failed ? pf_process_exit_code(pf_log_error(&err)) : PF_EXIT_DONE;
}
