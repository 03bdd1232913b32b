/* The tap `input`: the cropped pixels themselves, as uint8, channels first. They need no network,
 * so a backbone of that tap alone loads none; beside other taps they go along with them. */
#ifndef PF_EXTRACT_IMAGE_PIXEL_TAP_H
#define PF_EXTRACT_IMAGE_PIXEL_TAP_H

#include <stdbool.h>

#include "common/backbone/executor.h"
#include "common/cache/pixels.h"
#include "permafrost/backbone.h"

bool pf_pixel_tap_is(const char *tap);
/* What rows of the tap are, where those of others are `features`. */
PfDtype pf_pixel_tap_dtype(const char *tap, PfDtype features);
/* Whether it is among them. */
bool pf_pixel_tap_is_among(const char *const *taps, int tap_count);

/* Opens config's taps, of which one is `input`: *plugin is static and runs *out, the caller's.
 * devices: as in executor.h. */
int pf_pixel_tap_open(const PfBackboneConfig *config, const char *devices,
                      const PfBackbonePlugin **plugin, PfBackbone **out, PfError *err);

/* As pf_backbone_memory, also of the network beside an `input`. */
PfEngineMemory pf_pixel_tap_memory(const PfBackbonePlugin *plugin, const PfBackbone *backbone);

#endif
