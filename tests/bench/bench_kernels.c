/* bench_kernels: the kernels of training beside what they replace, on this machine.
 *
 * Products: ours and OpenBLAS's in turns on one thread, the fastest of each, the
 * median of the ratios, and the share of the ceiling, which is a loop of fused
 * multiply-adds in registers. The rest: time per call, also in turns. One thread's
 * times are those of its processor, so that other programs disturb them less. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/thread/parallel.h"
#include "tests/bench/ceiling.h"
#include "train/kernels/gemm.h"
#include "train/kernels/kernels.h"
#include "train/kernels/loss.h"
#include "train/kernels/optimizer.h"
#include "train/kernels/vector_math.h"

#define PAIRS 15
#define SLICE_SECONDS 0.003 /* of work before the other one's turn */

/* ---- two ways to do the same, in turns ---- */

typedef struct Contest {
    double ours, theirs; /* seconds of a call, the fastest */
    double ratio;        /* median of theirs / ours */
} Contest;

typedef double (*Clock)(void);

static double seconds_of_a_call(void (*call)(void *), void *context, int calls, Clock now)
{
    double start = now();
    for (int i = 0; i < calls; i++) call(context);
    return (now() - start) / calls;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static Contest compete_by(Clock now, void (*ours)(void *), void (*theirs)(void *), void *context)
{
    Contest contest = {.ours = INFINITY, .theirs = INFINITY};
    double ratios[PAIRS];
    int calls = 1 + (int)(SLICE_SECONDS / seconds_of_a_call(ours, context, 2, now));
    for (int i = 0; i < PAIRS; i++) {
        double mine = seconds_of_a_call(ours, context, calls, now);
        double other = seconds_of_a_call(theirs, context, calls, now);
        contest.ours = fmin(contest.ours, mine);
        contest.theirs = fmin(contest.theirs, other);
        ratios[i] = other / mine;
    }
    qsort(ratios, PAIRS, sizeof *ratios, ascending);
    contest.ratio = ratios[PAIRS / 2];
    return contest;
}

static Contest compete(void (*ours)(void *), void (*theirs)(void *), void *context)
{
    return compete_by(thread_seconds, ours, theirs, context);
}

static float *draw(int64_t count)
{
    PfRandom random = pf_random_seeded(1, (uint64_t)count);
    float *values = aligned_alloc(64, ((size_t)count * sizeof *values + 63) / 64 * 64);
    if (!values) exit(1);
    for (int64_t i = 0; i < count; i++) values[i] = (float)pf_random_normal(&random);
    return values;
}

/* ---- products ---- */

typedef struct Product {
    const char *kind; /* nn, tn, nt */
    int m, n, k;
    PfGemm gemm;
} Product;

static void multiply_ours(void *context)
{
    const Product *p = context;
    if (p->kind[0] == 't')
        pf_gemm_tn(&p->gemm, NULL);
    else
        (p->kind[1] == 't' ? pf_gemm_nt : pf_gemm_nn)(&p->gemm, NULL);
}

static void multiply_openblas(void *context)
{
    const Product *p = context;
    const PfGemm *g = &p->gemm;
    cblas_sgemm(CblasRowMajor, p->kind[0] == 't' ? CblasTrans : CblasNoTrans,
                p->kind[1] == 't' ? CblasTrans : CblasNoTrans, p->m, p->n, p->k, 1, g->a,
                (int)g->lda, g->b, (int)g->ldb, 0, g->c, (int)g->ldc);
}

static void bench_product(Product p, double ceiling)
{
    float *a = draw((int64_t)p.m * p.k), *b = draw((int64_t)p.k * p.n);
    float *c = draw((int64_t)p.m * p.n);
    p.gemm = (PfGemm){.m = p.m, .n = p.n, .k = p.k, .a = a, .b = b, .c = c, .ldc = p.n};
    p.gemm.lda = p.kind[0] == 't' ? p.m : p.k;
    p.gemm.ldb = p.kind[1] == 't' ? p.k : p.n;
    Contest contest = compete(multiply_ours, multiply_openblas, &p);
    double work = 2.0 * p.m * p.n * p.k;
    printf("  %s %6d x %4d x %5d  %9.1f us  %6.1f  %6.1f  %5.2f  %4.0f %%\n", p.kind, p.m, p.n, p.k,
           contest.ours * 1e6, work / contest.ours / 1e9, work / contest.theirs / 1e9,
           contest.ratio, 100 * work / contest.ours / ceiling);
    free(a);
    free(b);
    free(c);
}

static void bench_products(double ceiling)
{
    static const Product products[] = {
        {.kind = "nn", .m = 64, .n = 640, .k = 512},   {.kind = "tn", .m = 512, .n = 640, .k = 64},
        {.kind = "nn", .m = 256, .n = 640, .k = 512},  {.kind = "tn", .m = 512, .n = 640, .k = 256},
        {.kind = "nn", .m = 64, .n = 10, .k = 512},    {.kind = "tn", .m = 512, .n = 10, .k = 64},
        {.kind = "nn", .m = 256, .n = 10, .k = 512},   {.kind = "tn", .m = 512, .n = 10, .k = 256},
        {.kind = "nn", .m = 64, .n = 2, .k = 512},     {.kind = "tn", .m = 512, .n = 2, .k = 64},
        {.kind = "nn", .m = 64, .n = 10, .k = 2048},   {.kind = "tn", .m = 2048, .n = 10, .k = 64},
        {.kind = "nn", .m = 64, .n = 640, .k = 2048},  {.kind = "tn", .m = 2048, .n = 640, .k = 64},
        {.kind = "nn", .m = 64, .n = 2, .k = 25088},   {.kind = "tn", .m = 25088, .n = 2, .k = 64},
        {.kind = "nn", .m = 10000, .n = 10, .k = 512}, {.kind = "nt", .m = 64, .n = 512, .k = 256},
        {.kind = "nt", .m = 256, .n = 512, .k = 256},
    };
    openblas_set_num_threads(1);
    printf("products on one thread (%s, OpenBLAS for %s)\n", pf_kernels()->name,
           openblas_get_corename());
    printf("  kind   m      n       k         ours  GFLOP/s OpenBLAS ratio of ceiling\n");
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        bench_product(products[i], ceiling);
    printf("  ceiling, fused multiply-adds in registers: %.1f GFLOP/s\n", ceiling / 1e9);
}

/* ---- several threads ---- */

typedef struct Threaded {
    PfGemm gemm;
    PfThreadPool *pool;
} Threaded;

static void multiply_pool(void *context)
{
    Threaded *t = context;
    pf_gemm_nn(&t->gemm, t->pool);
}

static void multiply_alone(void *context)
{
    Threaded *t = context;
    pf_gemm_nn(&t->gemm, NULL);
}

static void nothing(void *context, int64_t index)
{
    (void)context;
    (void)index;
}

static void empty_pool_loop(void *context)
{
    pf_thread_pool_for(context, 2, nothing, NULL);
}

static void empty_parallel_loop(void *context)
{
    (void)context;
    pf_parallel_for(2, 2, nothing, NULL);
}

static void bench_threads(void)
{
    PfThreadPool *pool;
    if (pf_thread_pool_new(2, &pool, NULL)) exit(1);
    float *a = draw(256 * 512), *b = draw(512 * 640), *c = draw(256 * 640);
    Threaded t = {{256, 640, 512, a, 512, b, 640, c, 640, 0}, pool};
    Contest contest = compete_by(pf_clock_seconds, multiply_pool, multiply_alone, &t);
    printf("two threads: 256 x 640 x 512 in %.1f us, %.2f times one thread's speed\n",
           contest.ours * 1e6, contest.ratio);
    contest = compete_by(pf_clock_seconds, empty_pool_loop, empty_parallel_loop, pool);
    printf("  an empty loop: %.1f us in a pool, %.1f us with new threads\n", contest.ours * 1e6,
           contest.theirs * 1e6);
    pf_thread_pool_free(&pool);
    free(a);
    free(b);
    free(c);
}

/* ---- losses and steps ---- */

enum { BATCH = 64 };

typedef struct Softmax {
    PfSoftmaxBatch batch;
    float *start, *logits, *scale;
    PfHeadSum *sums;
} Softmax;

static void restore_logits(const Softmax *s)
{
    memcpy(s->logits, s->start, (size_t)(BATCH * s->batch.stride) * sizeof *s->logits);
}

static void softmax_ours(void *context)
{
    const Softmax *s = context;
    restore_logits(s);
    pf_softmax_gradient(&s->batch, s->scale, s->logits, s->sums);
}

/* One head's slices, as one would write it without vectors. */
static double scalar_head(const Softmax *s, int64_t head)
{
    int64_t classes = s->batch.classes;
    double loss = 0;
    for (int64_t i = 0; i < BATCH; i++) {
        float *z = s->logits + i * s->batch.stride + head * classes;
        float largest = z[0], total = 0, label_logit = z[s->batch.labels[i]];
        for (int64_t c = 1; c < classes; c++)
            if (z[c] > largest) largest = z[c];
        for (int64_t c = 0; c < classes; c++) total += z[c] = expf(z[c] - largest);
        loss += log((double)total) - (double)(label_logit - largest);
        for (int64_t c = 0; c < classes; c++) z[c] *= s->scale[head] / total;
        z[s->batch.labels[i]] -= s->scale[head];
    }
    return loss;
}

static void softmax_scalar(void *context)
{
    const Softmax *s = context;
    restore_logits(s);
    for (int64_t h = 0; h < s->batch.heads; h++) s->sums[h].loss += scalar_head(s, h);
}

static void bench_softmax(int64_t heads, int64_t classes)
{
    int32_t labels[BATCH];
    Softmax s = {.batch = {BATCH, heads, classes, heads * classes, labels, NULL, NULL, NULL}};
    for (int i = 0; i < BATCH; i++) labels[i] = (int32_t)(i % classes);
    s.start = draw(BATCH * s.batch.stride);
    s.logits = draw(BATCH * s.batch.stride);
    s.scale = draw(heads);
    s.sums = calloc((size_t)heads, sizeof *s.sums);
    if (!s.sums) exit(1);
    Contest contest = compete(softmax_ours, softmax_scalar, &s);
    printf("  softmax gradient, %2d heads of %4d: %8.1f us, %5.1f ns a row and head, %4.1f times "
           "the scalar loop's speed\n",
           (int)heads, (int)classes, contest.ours * 1e6,
           contest.ours * 1e9 / (double)(BATCH * heads), contest.ratio);
    free(s.start);
    free(s.logits);
    free(s.scale);
    free(s.sums);
}

typedef struct Step {
    PfStepBlock block;
    PfAdamStep adam;
} Step;

static void adam_ours(void *context)
{
    const Step *s = context;
    pf_adam_step(&s->block, &s->adam);
}

/* All columns with the settings of the first: one loop, which the compiler turns
 * into vectors where it is told that square roots set no errno. */
static void adam_plain(void *context)
{
    const Step *s = context;
    const PfAdamStep *a = &s->adam;
    float *restrict p = s->block.parameters, *restrict m = s->block.mean;
    float *restrict v = s->block.square;
    const float *restrict gradient = s->block.gradient;
    for (int64_t i = 0; i < s->block.rows * s->block.columns; i++) {
        float g = gradient[i] + a->decay[0] * p[i];
        m[i] = a->beta1 * m[i] + a->one_less_beta1 * g;
        v[i] = a->beta2 * v[i] + a->one_less_beta2 * g * g;
        p[i] = a->shrink[0] * p[i] - a->rate[0] * m[i] / (sqrtf(v[i]) * a->correction + a->epsilon);
    }
}

static void bench_adam(int64_t rows, int64_t columns)
{
    int64_t count = rows * columns;
    Step s = {.block = {rows, columns, columns, draw(count), draw(count), draw(count), draw(count),
                        columns}};
    float *rate = draw(columns), *decay = draw(columns), *shrink = draw(columns);
    for (int64_t j = 0; j < columns; j++) {
        rate[j] = 1e-3f;
        decay[j] = 0;
        shrink[j] = 1;
    }
    for (int64_t i = 0; i < count; i++) s.block.square[i] *= s.block.square[i];
    s.adam = (PfAdamStep){rate, decay, shrink, 0.9f, 0.1f, 0.999f, 0.001f, 1.0f, 1e-8f};
    Contest contest = compete(adam_ours, adam_plain, &s);
    printf("  Adam, %4d x %3d: %8.1f us, %4.2f ns a parameter, %4.1f times the plain loop's "
           "speed\n",
           (int)rows, (int)columns, contest.ours * 1e6, contest.ours * 1e9 / (double)count,
           contest.ratio);
    free(s.block.parameters);
    free(s.block.mean);
    free(s.block.square);
    free(rate);
    free(decay);
    free(shrink);
}

enum { VALUES = 1 << 14 };

typedef struct Map {
    const float *x;
    float *out;
    void (*function)(const float *x, int64_t count, float *out);
    float (*scalar)(float x);
} Map;

static void map_ours(void *context)
{
    const Map *map = context;
    map->function(map->x, VALUES, map->out);
}

static void map_libm(void *context)
{
    const Map *map = context;
    for (int i = 0; i < VALUES; i++) map->out[i] = map->scalar(map->x[i]);
}

static void bench_map(const char *name, void (*function)(const float *, int64_t, float *),
                      float (*scalar)(float), const char *peer)
{
    Map map = {draw(VALUES), draw(2 * VALUES), function, scalar};
    Contest contest = compete(map_ours, map_libm, &map);
    printf("  %-7s %5.2f ns a value, %4.1f times the speed of libm's %s\n", name,
           contest.ours * 1e9 / VALUES, contest.ratio, peer);
    free(map.out);
}

int main(void)
{
    bench_products(measure_ceiling(pf_kernels()->name));
    bench_threads();
    printf("losses, a batch of %d\n", BATCH);
    bench_softmax(1, 10);
    bench_softmax(64, 2);
    bench_softmax(64, 10);
    bench_softmax(4, 1000);
    printf("optimisers\n");
    bench_adam(512, 10);
    bench_adam(512, 640);
    printf("functions\n");
    bench_map("exp", pf_exp, expf, "expf");
    bench_map("gelu", pf_gelu, erff, "erff");
    return 0;
}
