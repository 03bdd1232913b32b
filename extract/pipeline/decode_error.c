#include "extract/pipeline/decode_error.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "extract/image/pixel_tap.h"
#include "extract/image/preprocess.h"

#define IMAGES 8   /* compared at most */
#define LOOK_AT 32 /* at most, for as many that are large enough */

typedef enum Way { EXACT, FAST, WAYS } Way;

/* A measurement under way. */
typedef struct Probe {
    const PfBackboneSession *session;
    PfDecodeError *found;
    uint8_t *crops[WAYS]; /* (IMAGES, crop, crop, 3) */
    PfSampleBytes bytes;
    PfImage image;
    PfResizeScratch scratch;
} Probe;

static size_t crop_bytes(const Probe *probe)
{
    size_t side = (size_t)probe->session->plan->preprocess.crop;
    return 3 * side * side;
}

/* The centre crop of the bytes, as the next of those that way. */
static int render(Probe *probe, Way way, double *seconds, PfError *err)
{
    PfPreprocess settings = probe->session->plan->preprocess;
    uint8_t *out = probe->crops[way] + (size_t)probe->found->images * crop_bytes(probe);
    double started = pf_clock_seconds();
    settings.fast_decode = way == FAST;
    int failed = pf_preprocess_decode(probe->bytes.data, probe->bytes.size_bytes, &settings,
                                      &probe->image, err) ||
                 pf_preprocess_image(&probe->image, &settings, out, &probe->scratch, err);
    *seconds = pf_clock_seconds() - started;
    return failed ? -1 : 0;
}

/* Adds the image if fast decoding makes it smaller. */
static int look_at(Probe *probe, const PfDataset *dataset, int64_t sample, PfError *err)
{
    PfDecodeError *found = probe->found;
    double fast_seconds, exact_seconds;
    if (pf_dataset_read(dataset, sample, &probe->bytes, err)) return -1;
    if (probe->bytes.width > 0) return 0; /* no file to decode */
    if (render(probe, FAST, &fast_seconds, err)) return -1;
    found->looked_at++;
    if (!probe->image.halvings) return 0;
    /* Timed from here on, when code and buffers have been touched once. */
    if (render(probe, EXACT, &exact_seconds, err) || render(probe, FAST, &fast_seconds, err))
        return -1;
    found->fast_seconds += fast_seconds;
    found->exact_seconds += exact_seconds;
    found->images++;
    return 0;
}

static int look_at_first(Probe *probe, const PfDataset *dataset, const int64_t *samples,
                         int64_t count, PfError *err)
{
    int enough = probe->session->batch < IMAGES ? probe->session->batch : IMAGES;
    for (int64_t i = 0; i < count && i < LOOK_AT && probe->found->images < enough; i++) {
        PfError cause = {0};
        if (!look_at(probe, dataset, samples[i], &cause)) continue;
        if (cause.exit_code == PF_EXIT_BAD_IMAGES) continue; /* the run itself will name it */
        *err = cause;
        return -1;
    }
    return 0;
}

/* ---- features ---- */

static int64_t tap_values(const Probe *probe, int tap)
{
    return pf_shape_count(&probe->session->taps[tap].shape);
}

static PfDtype tap_dtype(const Probe *probe, int tap)
{
    return pf_pixel_tap_dtype(probe->session->taps[tap].name, probe->session->plan->store);
}

/* outputs: (tap_count) rows of one way. */
static int run_network(const Probe *probe, Way way, void **outputs, PfError *err)
{
    const PfBackboneSession *session = probe->session;
    for (int t = 0; t < session->tap_count; t++) {
        size_t row = (size_t)tap_values(probe, t) * pf_dtype_size(tap_dtype(probe, t));
        outputs[t] = pf_alloc_aligned((size_t)probe->found->images, row, err);
        if (!outputs[t]) return -1;
    }
    return pf_backbone_forward(session->plugin, session->backbones[0], probe->crops[way],
                               probe->found->images, outputs, err);
}

static void compare_rows(const float *exact, const float *fast, int64_t count, PfDecodeError *found)
{
    double dot = 0, exact_square = 0, fast_square = 0, largest = 0, difference = 0;
    for (int64_t i = 0; i < count; i++) {
        double a = exact[i], b = fast[i];
        dot += a * b;
        exact_square += a * a;
        fast_square += b * b;
        largest = fmax(largest, fabs(a));
        difference = fmax(difference, fabs(a - b));
    }
    double norms = sqrt(exact_square * fast_square);
    found->mean_cosine += norms > 0 ? dot / norms : exact_square == fast_square;
    if (largest > 0) found->largest_error = fmax(found->largest_error, difference / largest);
}

static int compare_tap(Probe *probe, int tap, void *const outputs[WAYS], PfError *err)
{
    int64_t count = tap_values(probe, tap);
    PfDtype dtype = tap_dtype(probe, tap);
    size_t row = (size_t)count * pf_dtype_size(dtype);
    float *rows = pf_alloc_aligned(2 * (size_t)count, sizeof *rows, err);
    if (!rows) return -1;
    for (int i = 0; i < probe->found->images; i++) {
        for (Way way = EXACT; way < WAYS; way++)
            pf_f32_from_dtype_array(rows + way * count,
                                    (const uint8_t *)outputs[way] + (size_t)i * row, dtype,
                                    (size_t)count);
        compare_rows(rows, rows + count, count, probe->found);
    }
    free(rows);
    return 0;
}

static int compare_features(Probe *probe, PfError *err)
{
    int taps = probe->session->tap_count, failed = 0;
    void **outputs = pf_calloc(WAYS * (size_t)taps, sizeof *outputs, err);
    if (!outputs) return -1;
    for (Way way = EXACT; way < WAYS && !failed; way++)
        failed = run_network(probe, way, outputs + way * taps, err);
    for (int t = 0; t < taps && !failed; t++)
        failed = compare_tap(probe, t, (void *[]){outputs[t], outputs[taps + t]}, err);
    for (int i = 0; i < WAYS * taps; i++) free(outputs[i]);
    free(outputs);
    probe->found->mean_cosine /= (double)probe->found->images * taps;
    return failed ? -1 : 0;
}

/* ---- the measurement ---- */

int pf_decode_error_measure(const PfDataset *dataset, const int64_t *samples, int64_t count,
                            const PfBackboneSession *session, const PfImageLimits *limits,
                            PfDecodeError *found, PfError *err)
{
    Probe probe = {.session = session, .found = found, .image.limits = *limits};
    *found = (PfDecodeError){0};
    for (Way way = EXACT; way < WAYS; way++)
        probe.crops[way] = pf_alloc_aligned(IMAGES, crop_bytes(&probe), err);
    int failed = !probe.crops[EXACT] || !probe.crops[FAST] ||
                 look_at_first(&probe, dataset, samples, count, err) ||
                 (found->images && compare_features(&probe, err));
    for (Way way = EXACT; way < WAYS; way++) free(probe.crops[way]);
    pf_sample_bytes_free(&probe.bytes);
    pf_image_free(&probe.image);
    pf_resize_scratch_free(&probe.scratch);
    return failed ? -1 : 0;
}

void pf_decode_error_print(const PfDecodeError *found)
{
    if (!found->images)
        pf_say("fast decode: none of the first %d images is large enough to be decoded smaller",
               found->looked_at);
    else
        pf_say("fast decode: %d of the first %d images come smaller, %.1f times as fast; their "
               "features' cosine similarity to exact ones is %.5f (mean), largest relative error "
               "%.3f",
               found->images, found->looked_at, found->exact_seconds / found->fast_seconds,
               found->mean_cosine, found->largest_error);
}
