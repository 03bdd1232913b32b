/* `--class-map FILE`: names for what a model predicts. */
#ifndef PF_PREDICT_MODEL_CLASS_MAP_H
#define PF_PREDICT_MODEL_CLASS_MAP_H

#include "predict/model/scorer.h"

/* Gives the classes the names of the file, a line each in UTF-8, in their order. The model must
 * have one target of classes or labels with as many; names that come twice are refused. path NULL:
 * names stay. */
int pf_class_map_apply(PfScorer *scorer, const char *path, PfError *err);

#endif
