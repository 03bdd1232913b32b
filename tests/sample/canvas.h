/* A picture being painted: colours as numbers from 0 to 1. */
#ifndef SAMPLE_CANVAS_H
#define SAMPLE_CANVAS_H

#include <stdint.h>

#include "common/base/random.h"
#include "things.h"

typedef struct Color {
    float r, g, b;
} Color;

typedef struct Canvas {
    int width, height;
    Color *pixels; /* (height, width) */
} Canvas;

/* A random number in [low, high). */
float random_between(PfRandom *random, float low, float high);

void canvas_paint_background(Canvas *canvas, PfRandom *random);
/* A thing of random specimen, colours, place, size, turn and side. */
void canvas_paint_thing(Canvas *canvas, const Thing *thing, PfRandom *random);
/* Bars across the picture, as of a fence. */
void canvas_paint_bars(Canvas *canvas, int count, PfRandom *random);
/* Two passes of a box of 2 * radius + 1. scratch: as many pixels as the canvas. */
void canvas_blur(Canvas *canvas, int radius, Color *scratch);
void canvas_to_gray(Canvas *canvas);
/* Rounds to bytes (height, width, 3), with noise of that deviation added. */
void canvas_to_bytes(const Canvas *canvas, float noise, PfRandom *random, uint8_t *bytes);

#endif
