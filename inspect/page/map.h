/* The map of all images: their places in two dimensions, by t-SNE on the first 50 principal
 * components, and by the first two of them. */
#ifndef PF_INSPECT_PAGE_MAP_H
#define PF_INSPECT_PAGE_MAP_H

#include "inspect/rows/rows.h"

/* Of more rows as many, evenly spaced, have a place. */
#define PF_MAP_MOST_ROWS ((int64_t)100000)
#define PF_MAP_TRUSTED_NEIGHBOURS 15
#define PF_MAP_REASON_SIZE 200

typedef struct PfMap {
    int64_t placed;    /* rows that have a place */
    float *positions;  /* (rows, 2) of t-SNE, NaN of the others; owned; NULL: there is no map */
    float *components; /* (rows, 2) of the first two principal components; owned */
    char components_name[80]; /* with the share of the variance that is theirs */
    double trustworthiness;   /* of t-SNE, for PF_MAP_TRUSTED_NEIGHBOURS; NaN: of too few rows */
    char reason[PF_MAP_REASON_SIZE]; /* why there is none */
} PfMap;

/* With a line of progress. Where memory is too short there is no map, and a warning. Free with
 * pf_map_free, on failure too. */
int pf_map_draw(const PfRows *rows, PfMap *out, PfError *err);
void pf_map_free(PfMap *map);

#endif
