#include "convolution_config.h"

int64_t pf_convolution_outputs(const PfConvolutionConfig *config, int axis, int64_t size)
{
    const int64_t reach = config->dilation[axis] * (config->kernel[axis] - 1) + 1;
    const int64_t room = size + 2 * config->padding[axis] - reach;
    return room < 0 ? 0 : room / config->stride[axis] + 1;
}
