/* The rows of a cache as files that other programs read: --export. */
#ifndef PF_INSPECT_EXPORT_EXPORT_H
#define PF_INSPECT_EXPORT_EXPORT_H

#include "inspect/neighbours/neighbours.h"
#include "inspect/page/page.h"
#include "inspect/rows/rows.h"

/* Whether the folder can be made, found out early. */
int pf_export_check(const char *folder, PfError *err);

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
