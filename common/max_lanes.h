/* Maxima of convolution_kernels.h in the words of one instruction set: its lanes_*.h is
 * included before this. */
#include "convolution_kernels.h"

LANES_TARGET static void max_window(const PfMaxWindow *window)
{
    for (int64_t c = 0; c < window->channels; c += 16) {
        Lanes most = lanes_load(window->x + c);
        for (int64_t i = 0; i < window->height; i++) {
            const float *pixel = window->x + i * window->row + c;
            for (int64_t j = 0; j < window->width; j++, pixel += window->channels) {
                Lanes value = lanes_load(pixel);
                most = lanes_if_nan(value, value, lanes_max(value, most)); /* NaN stays */
            }
        }
        lanes_store(window->y + c, most);
    }
}
