/* The command line of predict, and what it runs. */
#ifndef PF_PREDICT_PREDICT_H
#define PF_PREDICT_PREDICT_H

#include <signal.h>

#include "common/manual/manual.h"
#include "extract/dataset/dataset.h"
#include "predict/model/network.h"
#include "train/metrics/assertion.h"

#define PF_PREDICT_ASSERTIONS 32

typedef struct PfPredictOptions {
    PfModelNetworkOptions network;
    const char **operands; /* image files, folders, one cache, or "-"; lent from argv's array */
    int operand_count;
    const char *trust; /* TorchScript file to note as trusted, instead of all else; or NULL */
    const char *sources_from; /* NULL: a virtual cache's own folder only */
    const char *output;       /* -o: rows as .csv or .json, "-": CSV on stdout; NULL: not given */
    const char *json;         /* rows as JSON; "-": on stdout; NULL: none */
    const char *export_path;  /* `output` where its suffix exports the model; then there are no
                                 operands */
    int top;                  /* classes per image */
    double threshold;         /* labels whose probability is above it are told; below 0: 0.5 */
    int batch;                /* 0 = as many as are fastest */
    int threads, workers;     /* 0 = as many as there are processors for it; as threads */
    int readers;              /* see sample_reader.h */
    long long max_bytes;      /* of a file; 0: PF_FILE_BYTES_MAX */
    long long max_pixels;     /* of an image; 0: the usual limits, see image.h */
    int evaluate;             /* operands are one labelled set, and its labels are compared */
    PfDatasetOptions dataset; /* how the set is read: split_folders, image_root, targets */
    const char *targets[PF_TARGETS_MAX];           /* dataset.targets */
    PfAssertion assertions[PF_PREDICT_ASSERTIONS]; /* on the evaluation */
    int assertion_count;
    int info, verify;             /* of the model, instead of predictions */
    const char *report;           /* a page; NULL: none */
    int no_thumbnails, anonymous; /* of the page */
    int novelty;                  /* a column of it */
    double reject; /* percentile of novelty beyond which there is no label; 101: none */
    int csv_safe, help, version, quiet, verbose;
} PfPredictOptions;

int pf_predict_options_parse(int argc, char **argv, PfPredictOptions *options, PfError *err);
/* Frees the operand array. */
void pf_predict_options_free(PfPredictOptions *options);
void pf_predict_options_help(void);
/* The same for man and for shells. */
extern const PfManual pf_predict_manual;
/* The first option that says how a labelled set of files is read, or NULL. */
const char *pf_predict_options_of_set(const PfPredictOptions *options);

/* A model over images or over the rows of a cache: writes the predictions to options->output and
 * options->json, to stdout where neither is given, and, where labels are to be compared, how good
 * they are to stderr. Images that cannot be used are named on stderr and make it fail with
 * PF_EXIT_BAD_IMAGES at the end; an assertion that is not met, with PF_EXIT_ASSERT. */
int pf_prediction_run(const PfPredictOptions *options, const volatile sig_atomic_t *interrupted,
                      PfError *err);

#endif
