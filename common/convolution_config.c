#include "convolution_config.h"

#include "window_outputs.h"

int64_t pf_convolution_outputs(const PfConvolutionConfig *config, int axis, int64_t size)
{
    return pf_window_outputs(size, config->kernel[axis], config->stride[axis],
                             config->padding[axis], config->dilation[axis]);
}
