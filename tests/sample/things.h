/* The things in the sample pictures, as signed distances. */
#ifndef SAMPLE_THINGS_H
#define SAMPLE_THINGS_H

typedef struct Point {
    float x, y; /* y points down; a thing fills about [-1, 1] x [-1, 1] */
} Point;

/* What a part is painted with; a picture draws its own colours for them. */
typedef enum Ink { INK_MAIN, INK_SECOND, INK_LIGHT, INK_DARK, INK_COUNT } Ink;

#define THING_COUNT 8
#define PARTS_MAX 7
#define VARY_COUNT 4

typedef struct Thing {
    const char *name;
    int part_count;
    Ink inks[PARTS_MAX]; /* of the parts, in the order they are painted */
    /* Distance of p from a part: negative inside. vary: (VARY_COUNT) numbers in
     * [0, 1) that make one specimen differ from the next. */
    float (*distance)(int part, Point p, const float *vary);
} Thing;

extern const Thing things[THING_COUNT];

#endif
