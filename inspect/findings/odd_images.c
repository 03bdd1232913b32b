#include "inspect/findings/odd_images.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"

#define SIZE_TIMES 4
#define SHAPE_TIMES 3
#define DARK 25
#define BRIGHT 230
#define BLANK 4
#define BLURRED 0.05

typedef struct Medians {
    double size, shape, laplacian;
} Medians;

static double size_of(const float *s)
{
    return sqrt((double)s[0] * (double)s[1]);
}

static double shape_of(const float *s)
{
    return log((double)s[0] / (double)s[1]);
}

static double laplacian_of(const float *s)
{
    return (double)s[4];
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(const PfOddImages *out, int64_t rows, double (*value)(const float *),
                        double *room)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++)
        if (!isnan(out->statistics[i * PF_PIXEL_STATISTICS]))
            room[count++] = value(out->statistics + i * PF_PIXEL_STATISTICS);
    qsort(room, (size_t)count, sizeof *room, compare_doubles);
    return count ? room[count / 2] : NAN;
}

static unsigned judge(const float *s, const Medians *medians)
{
    unsigned odd = 0;
    if (size_of(s) * SIZE_TIMES < medians->size) odd |= PF_ODD_SMALL;
    if (size_of(s) > SIZE_TIMES * medians->size) odd |= PF_ODD_LARGE;
    if (fabs(shape_of(s) - medians->shape) > log(SHAPE_TIMES)) odd |= PF_ODD_SHAPE;
    if (s[2] < DARK) odd |= PF_ODD_DARK;
    if (s[2] > BRIGHT) odd |= PF_ODD_BRIGHT;
    if (s[3] < BLANK)
        odd |= PF_ODD_BLANK;
    else if (laplacian_of(s) < BLURRED * medians->laplacian)
        odd |= PF_ODD_BLURRED;
    return odd;
}

int pf_odd_images_judge(int64_t rows, PfOddImages *out, PfError *err)
{
    double *room = pf_calloc((size_t)rows, sizeof *room, err);
    size_t capacity = 0;
    if (!room) return -1;
    const Medians medians = {median_of(out, rows, size_of, room),
                             median_of(out, rows, shape_of, room),
                             median_of(out, rows, laplacian_of, room)};
    free(room);
    for (int64_t i = 0; i < rows; i++) {
        const float *s = out->statistics + i * PF_PIXEL_STATISTICS;
        PfOddImage image = {.row = (int32_t)i, .oddities = isnan(s[0]) ? 0 : judge(s, &medians)};
        if (!image.oddities) continue;
        for (int v = 0; v < PF_PIXEL_STATISTICS; v++) image.statistics[v] = s[v];
        for (int o = 0; o < PF_ODDITY_COUNT; o++) out->counts[o] += image.oddities >> o & 1;
        if (pf_grow(&out->images, &capacity, (size_t)out->count + 1, sizeof *out->images, err))
            return -1;
        out->images[out->count++] = image;
    }
    out->status.done = true;
    return 0;
}
