/* The built-in networks, for people and for programs: extract --backbones. */
#ifndef PF_EXTRACT_BACKBONE_LISTING_H
#define PF_EXTRACT_BACKBONE_LISTING_H

#include <stdio.h>

#include "permafrost/error.h"

/* Lists the networks whose name fits the pattern: a glob, a part of the name, or any spelling that
 * common/arch/spelling.h understands; NULL: all. Of each a line with its parameters, multiply-adds
 * of one image, side of the image, default tap and how many numbers that gives, all computed from
 * its graph; and for each set of weights its name, file, licence and sources. Where nothing fits:
 * PF_EXIT_USAGE with the nearest names. */
int pf_listing_print(const char *pattern, FILE *stream, PfError *err);

/* The same as JSON into the file, or "-", standard output: {"backbones": [{"name", "family",
 * "parameters", "multiply_adds", "side", "sides", "tap", "tap_shape", "numbers", "preprocess",
 * "weights": [{"name", "file", "url", "timm", "hub", "licence", "preprocess"}]}]}. sides: "any",
 * or "multiples of 14"; what is not known of weights is null. */
int pf_listing_write_json(const char *pattern, const char *path, PfError *err);

#endif
