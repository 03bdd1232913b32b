/* predict: new images through a trained head. */
#include <stdio.h>

#include "log.h"
#include "model_export.h"
#include "predict.h"
#include "process.h"
#include "script_file.h"

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
    if (options->trust) return pf_trust_script(options->trust, err);
    if (options->export_path)
        return pf_model_export_run(&options->network, options->export_path, err);
    return pf_prediction_run(options, pf_interrupt_catch(), err);
}

int main(int argc, char **argv)
{
    PfPredictOptions options;
    PfError err = {0};
    pf_standard_streams_begin();
    pf_log_setup("predict", PF_NORMAL);
    int failed = pf_predict_options_parse(argc, argv, &options, &err);
    if (!failed) {
        pf_log_setup("predict", options.quiet     ? PF_QUIET
                                : options.verbose ? PF_VERBOSE
                                                  : PF_NORMAL);
        failed = run(&options, &err) || pf_standard_output_finish(&err);
    }
    pf_predict_options_free(&options);
    return failed ? pf_report_error(&err) : PF_EXIT_DONE;
}
