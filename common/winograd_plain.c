/* The definition of winograd.h's inner loops, for any processor. */
#include "lanes_plain.h"

#define WINOGRAD_ROWS 4
#define WINOGRAD_VECTORS 1
enum { WINOGRAD_UNROLL = 1 };
#include "winograd_lanes.h"

const PfWinogradKernels pf_winograd_plain = WINOGRAD_TABLE("plain");
