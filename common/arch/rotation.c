#include "common/arch/rotation.h"

#include <math.h>

void pf_rotation_angle(const PfNode *node, int64_t channels, int64_t height, int64_t width,
                       int64_t patch, int64_t which, float *cosine, float *sine)
{
    const int64_t quarter = channels / 4;
    const double place = which < quarter ? (double)(2 * (patch / width) + 1) / (double)height
                                         : (double)(2 * (patch % width) + 1) / (double)width;
    const double period = pow((double)node->value, (double)(which % quarter) / (double)quarter);
    const double angle = 2 * acos(-1) * (place - 1) / period;
    *cosine = (float)cos(angle);
    *sine = (float)sin(angle);
}
