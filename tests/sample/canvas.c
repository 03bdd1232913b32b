#include "canvas.h"

#include <math.h>
#include <stddef.h>

/* ---- colours ---- */

float random_between(PfRandom *random, float low, float high)
{
    return low + (high - low) * (float)pf_random_uniform(random);
}

static Color mix(Color a, Color b, float share)
{
    return (Color){a.r + (b.r - a.r) * share, a.g + (b.g - a.g) * share, a.b + (b.b - a.b) * share};
}

static float clamp01(float value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

static float luminance(Color color)
{
    return 0.299f * color.r + 0.587f * color.g + 0.114f * color.b;
}

/* Hue, saturation and value, all from 0 to 1. */
static Color color_of(float hue, float saturation, float value)
{
    float turn = hue * 6;
    Color pure = {clamp01(fabsf(turn - 3) - 1), clamp01(2 - fabsf(turn - 2)),
                  clamp01(2 - fabsf(turn - 4))};
    Color white = {1, 1, 1};
    Color tint = mix(white, pure, saturation);
    return (Color){tint.r * value, tint.g * value, tint.b * value};
}

static Color random_color(PfRandom *random, float least_saturation, float most_saturation,
                          float least_value, float most_value)
{
    float hue = random_between(random, 0, 1);
    float saturation = random_between(random, least_saturation, most_saturation);
    return color_of(hue, saturation, random_between(random, least_value, most_value));
}

static Color *pixel_at(const Canvas *canvas, int x, int y)
{
    return &canvas->pixels[(ptrdiff_t)y * canvas->width + x];
}

/* ---- patterns ---- */

/* A number in [0, 1) for each point of the lattice. */
static float lattice(uint32_t seed, int x, int y)
{
    uint32_t value = seed + (uint32_t)x * 0x9e3779b1u + (uint32_t)y * 0x85ebca77u;
    value = (value ^ (value >> 15)) * 0x2c1b3c6du;
    value = (value ^ (value >> 12)) * 0x297a2d39u;
    return (float)((value ^ (value >> 15)) >> 8) * 0x1p-24f;
}

/* Value noise: the lattice, smoothly interpolated. */
static float cloud(uint32_t seed, float x, float y)
{
    float left = floorf(x), top = floorf(y);
    float u = x - left, v = y - top;
    u *= u * (3 - 2 * u);
    v *= v * (3 - 2 * v);
    int column = (int)left, row = (int)top;
    float a = lattice(seed, column, row), b = lattice(seed, column + 1, row);
    float c = lattice(seed, column, row + 1), d = lattice(seed, column + 1, row + 1);
    return (a + (b - a) * u) + ((c + (d - c) * u) - (a + (b - a) * u)) * v;
}

/* Of period 2, from 0 to 1, with edges `soft` wide. */
static float wave(float at, float soft)
{
    float phase = at - 2 * floorf(at / 2);
    return clamp01((0.5f - fabsf(phase - 1)) / soft + 0.5f);
}

typedef enum PatternKind {
    GRADIENT,
    CLOUDS,
    STRIPES,
    CHECKS,
    DOTS,
    HORIZON,
    PATTERN_KINDS
} PatternKind;

typedef struct Pattern {
    PatternKind kind;
    uint32_t seed;
    float along_x, along_y; /* a direction, in periods per pixel */
    float horizon;
} Pattern;

/* A random unit vector without trigonometry. */
static Point random_direction(PfRandom *random)
{
    for (;;) {
        Point p = {random_between(random, -1, 1), random_between(random, -1, 1)};
        float size = sqrtf(p.x * p.x + p.y * p.y);
        if (size > 0.1f && size < 1) return (Point){p.x / size, p.y / size};
    }
}

static Pattern random_pattern(PfRandom *random)
{
    PatternKind kind = (PatternKind)pf_random_below(random, PATTERN_KINDS);
    Point direction = random_direction(random);
    float period = random_between(random, 6, 22);
    return (Pattern){kind, (uint32_t)pf_random_u64(random), direction.x / period,
                     direction.y / period, random_between(random, 0.45f, 0.8f)};
}

/* How much of the second colour there is at (x, y). */
static float pattern_at(const Pattern *pattern, const Canvas *canvas, float x, float y)
{
    float u = x * pattern->along_x + y * pattern->along_y;
    float v = y * pattern->along_x - x * pattern->along_y;
    switch (pattern->kind) {
    case GRADIENT: return clamp01(0.5f + (u - v) * 0.08f);
    case STRIPES: return wave(u, 0.3f);
    case CHECKS: return fabsf(wave(u, 0.2f) - wave(v, 0.2f));
    case DOTS: {
        float du = u - floorf(u) - 0.5f, dv = v - floorf(v) - 0.5f;
        return clamp01((0.3f - sqrtf(du * du + dv * dv)) * 8);
    }
    case HORIZON: {
        float hills = (cloud(pattern->seed, x / 40, 0) - 0.5f) * 0.25f;
        return clamp01((y / (float)canvas->height - pattern->horizon - hills) * 40);
    }
    default:
        return 0.6f * cloud(pattern->seed, x / 28, y / 28) +
               0.4f * cloud(pattern->seed + 1, x / 9, y / 9);
    }
}

void canvas_paint_background(Canvas *canvas, PfRandom *random)
{
    Pattern pattern = random_pattern(random);
    float value = pf_random_below(random, 3) ? 0.75f : 0.15f; /* day or night */
    Color first = random_color(random, 0.1f, 0.5f, value, value + 0.2f);
    Color second = random_color(random, 0.1f, 0.5f, value, value + 0.2f);
    if (pattern.kind != HORIZON) second = mix(first, second, random_between(random, 0.2f, 0.5f));
    float grain = random_between(random, 0, 0.1f), shade = random_between(random, -0.25f, 0.25f);
    for (int y = 0; y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++) {
            Color color = mix(first, second, pattern_at(&pattern, canvas, (float)x, (float)y));
            float rough = cloud(pattern.seed + 2, (float)x / 5, (float)y / 5) - 0.5f;
            float light = 1 + grain * rough + shade * ((float)y / (float)canvas->height - 0.5f);
            *pixel_at(canvas, x, y) = (Color){color.r * light, color.g * light, color.b * light};
        }
}

/* ---- things ---- */

/* One thing as this picture shows it. */
typedef struct Specimen {
    const Thing *thing;
    float vary[VARY_COUNT];
    Color inks[INK_COUNT];
    Point center;    /* in pixels */
    Point direction; /* of its x axis */
    float size;      /* pixels from its centre to its edge */
    float stretch;   /* of its x axis */
    int mirrored;
    float probe, halo; /* in its own units; 0 = none */
} Specimen;

/* Turned by up to about 15 degrees: a direction near (1, 0). */
static Point random_tilt(PfRandom *random)
{
    float tilt = random_between(random, -0.13f, 0.13f); /* the tangent of half the angle */
    float scale = 1 / (1 + tilt * tilt);
    return (Point){(1 - tilt * tilt) * scale, 2 * tilt * scale};
}

static void choose_inks(Color *inks, PfRandom *random)
{
    inks[INK_MAIN] = random_color(random, 0.5f, 0.9f, 0.45f, 1);
    inks[INK_SECOND] = random_color(random, 0.4f, 0.9f, 0.45f, 1);
    inks[INK_LIGHT] =
        color_of(random_between(random, 0, 1), 0.15f, random_between(random, 0.85f, 1));
    inks[INK_DARK] =
        color_of(random_between(random, 0, 1), 0.5f, random_between(random, 0.1f, 0.4f));
}

static Specimen random_specimen(const Canvas *canvas, const Thing *thing, PfRandom *random)
{
    Specimen it = {.thing = thing};
    float side = (float)(canvas->width < canvas->height ? canvas->width : canvas->height);
    for (int i = 0; i < VARY_COUNT; i++) it.vary[i] = random_between(random, 0, 1);
    choose_inks(it.inks, random);
    it.size = side * random_between(random, 0.38f, 0.48f);
    it.center.x = (float)canvas->width * random_between(random, 0.45f, 0.55f);
    it.center.y = (float)canvas->height * random_between(random, 0.45f, 0.55f);
    it.direction = random_tilt(random);
    it.stretch = random_between(random, 0.8f, 1.2f);
    it.mirrored = (int)pf_random_below(random, 2);
    it.probe = pf_random_below(random, 2) ? random_between(random, 0.02f, 0.06f) : 0;
    it.halo = random_between(random, 0.05f, 0.3f);
    return it;
}

static Point to_thing(const Specimen *it, float x, float y)
{
    float dx = (x - it->center.x) / it->size, dy = (y - it->center.y) / it->size;
    Point p = {(dx * it->direction.x + dy * it->direction.y) / it->stretch,
               dy * it->direction.x - dx * it->direction.y};
    if (it->mirrored) p.x = -p.x;
    return p;
}

/* Share of a pixel that lies inside an edge `distance` away. */
static float coverage(const Specimen *it, float distance)
{
    return clamp01(0.5f - distance * it->size);
}

static Color paint_pixel(const Specimen *it, Point p, Color under)
{
    const Color dark = it->inks[INK_DARK], black = {0, 0, 0};
    float distances[PARTS_MAX], nearest = 9;
    for (int i = 0; i < it->thing->part_count; i++) {
        distances[i] = it->thing->distance(i, p, it->vary);
        nearest = fminf(nearest, distances[i]);
    }
    under = mix(under, black, 0.35f * clamp01(1 - nearest / it->halo));
    if (it->probe > 0) under = mix(under, dark, coverage(it, nearest - it->probe));
    float light = 1.05f - 0.2f * p.y; /* from above */
    for (int i = 0; i < it->thing->part_count; i++) {
        Color ink = it->inks[it->thing->inks[i]];
        Color lit = {ink.r * light, ink.g * light, ink.b * light};
        under = mix(under, lit, coverage(it, distances[i]));
    }
    return under;
}

void canvas_paint_thing(Canvas *canvas, const Thing *thing, PfRandom *random)
{
    const Specimen it = random_specimen(canvas, thing, random);
    const float reach = 1.4f;
    for (int y = 0; y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++) {
            Point p = to_thing(&it, (float)x + 0.5f, (float)y + 0.5f);
            if (fabsf(p.x) > reach || fabsf(p.y) > reach) continue;
            Color *pixel = pixel_at(canvas, x, y);
            *pixel = paint_pixel(&it, p, *pixel);
        }
}

void canvas_paint_bars(Canvas *canvas, int count, PfRandom *random)
{
    for (int i = 0; i < count; i++) {
        Point normal = random_direction(random);
        float x0 = (float)canvas->width * random_between(random, 0.15f, 0.85f);
        float y0 = (float)canvas->height * random_between(random, 0.15f, 0.85f);
        float half = random_between(random, 1.5f, 5);
        Color color = random_color(random, 0.1f, 0.6f, 0.2f, 0.8f);
        for (int y = 0; y < canvas->height; y++)
            for (int x = 0; x < canvas->width; x++) {
                float away = fabsf(((float)x - x0) * normal.x + ((float)y - y0) * normal.y) - half;
                Color *pixel = pixel_at(canvas, x, y);
                *pixel = mix(*pixel, color, clamp01(0.5f - away));
            }
    }
}

/* ---- finish ---- */

/* from, to: rows of `count` pixels `step` apart; running sum, edges repeated. */
static void blur_line(const Color *from, Color *to, int count, ptrdiff_t step, int radius)
{
    for (int i = 0; i < count; i++) {
        Color sum = {0, 0, 0};
        for (int k = i - radius; k <= i + radius; k++) {
            Color near = from[(k < 0 ? 0 : k >= count ? count - 1 : k) * step];
            sum = (Color){sum.r + near.r, sum.g + near.g, sum.b + near.b};
        }
        float share = 1 / (float)(2 * radius + 1);
        to[i * step] = (Color){sum.r * share, sum.g * share, sum.b * share};
    }
}

void canvas_blur(Canvas *canvas, int radius, Color *scratch)
{
    for (int pass = 0; radius > 0 && pass < 2; pass++) {
        for (int y = 0; y < canvas->height; y++) {
            ptrdiff_t start = (ptrdiff_t)y * canvas->width;
            blur_line(canvas->pixels + start, scratch + start, canvas->width, 1, radius);
        }
        for (int x = 0; x < canvas->width; x++)
            blur_line(scratch + x, canvas->pixels + x, canvas->height, canvas->width, radius);
    }
}

void canvas_to_gray(Canvas *canvas)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)canvas->width * canvas->height; i++) {
        float gray = luminance(canvas->pixels[i]);
        canvas->pixels[i] = (Color){gray, gray, gray};
    }
}

static uint8_t to_byte(float value)
{
    return (uint8_t)(clamp01(value) * 255 + 0.5f);
}

void canvas_to_bytes(const Canvas *canvas, float noise, PfRandom *random, uint8_t *bytes)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)canvas->width * canvas->height; i++) {
        /* The sum of two uniform numbers: near enough to a normal one. */
        float grain = noise * (random_between(random, -1, 1) + random_between(random, -1, 1));
        Color color = canvas->pixels[i];
        bytes[3 * i] = to_byte(color.r + grain);
        bytes[3 * i + 1] = to_byte(color.g + grain);
        bytes[3 * i + 2] = to_byte(color.b + grain);
    }
}
