/* What came out of a training, for people: tables on stdout, by pf_show(), that fold where the
 * terminal is narrow. */
#ifndef PF_TRAIN_REPORT_RESULT_TABLES_H
#define PF_TRAIN_REPORT_RESULT_TABLES_H

#include "train/report/result.h"

/* Of a sweep: the best settings, and how many more there are. */
void pf_result_tables_ranking(const PfTrainRun *run);
/* The winner's metrics of every split, target by target; the details of test where there is
 * one, else of val. */
void pf_result_tables_metrics(const PfTrainRun *run);

#endif
