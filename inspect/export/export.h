/* The rows of a cache as files that other programs read: --export. */
#ifndef PF_INSPECT_EXPORT_EXPORT_H
#define PF_INSPECT_EXPORT_EXPORT_H

#include "common/file/output.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/page/page.h"
#include "inspect/rows/rows.h"

/* Makes the folder, found out early. Refuses, where it is there, to write over files that an export
 * did not write (PF_EXIT_FAILED), and over one of the command's other outputs (PF_EXIT_USAGE).
 * Arrays do not tell who wrote them: they are an export's where its rows.csv lies beside them. */
int pf_export_check(const char *folder, const PfOutput *others, int count, PfError *err);

/* Of each row, where there are so many. */
#define PF_EXPORT_NEIGHBOURS 10

/* Into the folder:
 *   features.npy  (rows, features) float32     features.fvecs  the same for FAISS
 *   labels.npy    (rows) int32, of the first target of classes, -1: none
 *   splits.npy    (rows) uint8: 0 train, 1 val, 2 test
 *   map.npy       (rows, 2) float32, NaN: no place
 *   neighbours.npy, similarities.npy   (rows, k) int32 (-1: none) and float32
 *   rows.csv      row, path, split, label, x, y
 *   rows.parquet  the same, neighbours and features
 * What is not known has no file and no column. Numbers stand for paths on an anonymous page. */
int pf_export_write(const char *folder, const PfPageData *page, const PfRows *rows,
                    const PfNeighbours *neighbours, PfError *err);

#endif
