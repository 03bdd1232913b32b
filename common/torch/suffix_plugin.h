// The suffix as C programs call it.
#ifndef PF_COMMON_TORCH_SUFFIX_PLUGIN_H
#define PF_COMMON_TORCH_SUFFIX_PLUGIN_H

#include "permafrost/suffix.h"

extern const PfSuffixPlugin pf_torch_suffix_plugin;

#endif
