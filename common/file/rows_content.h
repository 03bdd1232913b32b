/* Whether a file is predictions that predict wrote. Tables of paths and labels that people have
 * made begin alike, and nobody makes them again. */
#ifndef PF_COMMON_FILE_ROWS_CONTENT_H
#define PF_COMMON_FILE_ROWS_CONTENT_H

#include <stdbool.h>

#include "common/file/input_file.h"

/* Names of columns tell: a label with its probability, truth and split, novelty. Columns of numbers
 * alone are told by their digits, which a network's numbers have and those of people do not. Labels
 * of several (`path,tags`) without any of these are like a manifest's, and never recognised. */
bool pf_rows_content_is_csv(const PfFileContent *content);
/* The same of the list of objects, or of --evaluate's object around it. */
bool pf_rows_content_is_json(const PfFileContent *content);

#endif
