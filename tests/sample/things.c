/* Only +, -, *, / and sqrt, which every machine rounds alike. */
#include "things.h"

#include <math.h>

#define FAR_AWAY 9.0f

static float between(float low, float high, float share)
{
    return low + (high - low) * share;
}

static float clamp01(float value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

static float length(float x, float y)
{
    return sqrtf(x * x + y * y);
}

/* ---- primitives ---- */

static float disc(Point p, float x, float y, float radius)
{
    return length(p.x - x, p.y - y) - radius;
}

/* Near enough to the true distance close to the edge, which is where it matters. */
static float ellipse(Point p, float x, float y, float radius_x, float radius_y)
{
    float u = (p.x - x) / radius_x, v = (p.y - y) / radius_y;
    float scaled = length(u, v), slope = length(u / radius_x, v / radius_y);
    float deepest = (scaled - 1) * fminf(radius_x, radius_y);
    return slope > 1e-6f ? fmaxf(scaled * (scaled - 1) / slope, deepest) : deepest;
}

static float box(Point p, float left, float top, float right, float bottom)
{
    float dx = fmaxf(left - p.x, p.x - right), dy = fmaxf(top - p.y, p.y - bottom);
    return fminf(fmaxf(dx, dy), 0) + length(fmaxf(dx, 0), fmaxf(dy, 0));
}

static float segment(Point p, Point a, Point b)
{
    float x = b.x - a.x, y = b.y - a.y;
    float share = clamp01(((p.x - a.x) * x + (p.y - a.y) * y) / (x * x + y * y));
    return length(p.x - a.x - share * x, p.y - a.y - share * y);
}

static float rod(Point p, Point a, Point b, float radius)
{
    return segment(p, a, b) - radius;
}

static float polygon(Point p, const Point *corners, int count)
{
    float distance = FAR_AWAY;
    int inside = 0;
    for (int i = 0, last = count - 1; i < count; last = i++) {
        Point a = corners[last], b = corners[i];
        distance = fminf(distance, segment(p, a, b));
        if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (b.x - a.x) * (p.y - a.y) / (b.y - a.y))
            inside = !inside;
    }
    return inside ? -distance : distance;
}

static float triangle(Point p, Point a, Point b, Point c)
{
    return polygon(p, (const Point[]){a, b, c}, 3);
}

/* ---- things ---- */

static float boat(int part, Point p, const float *vary)
{
    float deck = 0.35f, bow = between(0.8f, 1.0f, vary[0]), top = between(-1.0f, -0.75f, vary[1]);
    float keel = between(0.65f, 0.85f, vary[2]);
    const Point hull[] = {{-0.85f, deck}, {bow, deck}, {0.55f, keel}, {-0.6f, keel}};
    switch (part) {
    case 0: return rod(p, (Point){0, top}, (Point){0, deck}, 0.04f);
    case 1: return triangle(p, (Point){0.08f, top}, (Point){0.8f, 0.22f}, (Point){0.08f, 0.22f});
    case 2:
        return triangle(p, (Point){-0.08f, top + 0.2f}, (Point){-0.6f, 0.22f},
                        (Point){-0.08f, 0.22f});
    default: return polygon(p, hull, 4);
    }
}

static float cat(int part, Point p, const float *vary)
{
    float wide = between(0.68f, 0.85f, vary[0]), ear = between(0.8f, 1.0f, vary[1]);
    Point mirrored = {fabsf(p.x), p.y};
    switch (part) {
    case 0: return triangle(mirrored, (Point){0.2f, -0.3f}, (Point){0.62f, -ear}, (Point){wide, 0});
    case 1: return ellipse(p, 0, 0.15f, wide, 0.62f);
    case 2: return ellipse(mirrored, 0.3f, 0.02f, 0.13f, between(0.1f, 0.17f, vary[2]));
    case 3: return disc(mirrored, 0.3f, 0.03f, 0.06f);
    case 4: return triangle(p, (Point){-0.09f, 0.24f}, (Point){0.09f, 0.24f}, (Point){0, 0.34f});
    case 5: return rod(mirrored, (Point){0.25f, 0.35f}, (Point){wide + 0.12f, 0.27f}, 0.018f);
    default: return rod(mirrored, (Point){0.25f, 0.42f}, (Point){wide + 0.08f, 0.48f}, 0.018f);
    }
}

static float fish(int part, Point p, const float *vary)
{
    float tall = between(0.36f, 0.6f, vary[0]), tail = between(0.3f, 0.5f, vary[1]);
    float body = ellipse(p, -0.18f, 0, 0.78f, tall);
    switch (part) {
    case 0: return triangle(p, (Point){0.45f, 0}, (Point){1, -tail}, (Point){1, tail});
    case 1: return triangle(p, (Point){-0.25f, 0}, (Point){0.35f, 0}, (Point){0.25f, -tall - 0.2f});
    case 2: return body;
    case 3: return vary[2] < 0.5f ? FAR_AWAY : fmaxf(body, fabsf(p.x - 0.05f) - 0.08f);
    case 4: return disc(p, -0.6f, -0.1f, 0.12f);
    default: return disc(p, -0.62f, -0.1f, 0.06f);
    }
}

static float petals(Point p, const float *vary)
{
    /* cos and sin of a turn divided by 5, 6, 7, 8 */
    static const Point turns[] = {{0.30901699f, 0.95105652f},
                                  {0.5f, 0.86602540f},
                                  {0.62348980f, 0.78183148f},
                                  {0.70710678f, 0.70710678f}};
    static const float radii[] = {0.33f, 0.29f, 0.25f, 0.22f};
    int kind = (int)(vary[0] * 4);
    float away = between(0.42f, 0.52f, vary[1]), distance = FAR_AWAY;
    Point petal = {0, -away};
    for (int i = 0; i < kind + 5; i++) {
        distance = fminf(distance, disc(p, petal.x, petal.y - 0.2f, radii[kind]));
        petal = (Point){petal.x * turns[kind].x - petal.y * turns[kind].y,
                        petal.x * turns[kind].y + petal.y * turns[kind].x};
    }
    return distance;
}

static float flower(int part, Point p, const float *vary)
{
    switch (part) {
    case 0: return rod(p, (Point){0, 0}, (Point){between(-0.15f, 0.15f, vary[2]), 1}, 0.06f);
    case 1: return vary[3] < 0.4f ? FAR_AWAY : ellipse(p, 0.25f, 0.8f, 0.26f, 0.1f);
    case 2: return petals(p, vary);
    default: return disc(p, 0, -0.2f, between(0.2f, 0.3f, vary[2]));
    }
}

static float house(int part, Point p, const float *vary)
{
    float eaves = between(-0.3f, -0.05f, vary[0]), half = between(0.6f, 0.75f, vary[1]);
    float window = between(0.13f, 0.18f, vary[3]);
    switch (part) {
    case 0: return vary[2] < 0.4f ? FAR_AWAY : box(p, 0.3f, -0.85f, 0.5f, eaves);
    case 1: return box(p, -half, eaves, half, 0.85f);
    case 2:
        return triangle(p, (Point){-half - 0.2f, eaves}, (Point){0, -0.95f},
                        (Point){half + 0.2f, eaves});
    case 3: return box(p, -0.4f, 0.3f, -0.1f, 0.85f);
    default: return box(p, 0.28f - window, 0.35f - window, 0.28f + window, 0.35f + window);
    }
}

static float mushroom(int part, Point p, const float *vary)
{
    float wide = between(0.75f, 0.98f, vary[0]), high = between(0.75f, 1.0f, vary[1]);
    float foot = between(0.22f, 0.36f, vary[2]);
    float cap = fmaxf(ellipse(p, 0, 0.08f, wide, high), p.y - 0.08f);
    const Point stem[] = {{-0.18f, 0}, {0.18f, 0}, {foot, 0.9f}, {-foot, 0.9f}};
    switch (part) {
    case 0: return polygon(p, stem, 4) - 0.04f;
    case 1: return cap;
    case 2: return vary[3] < 0.3f ? FAR_AWAY : fmaxf(cap, disc(p, -0.38f, -0.2f, 0.13f));
    case 3: return vary[3] < 0.3f ? FAR_AWAY : fmaxf(cap, disc(p, 0.08f, -0.4f, 0.15f));
    default: return vary[3] < 0.3f ? FAR_AWAY : fmaxf(cap, disc(p, 0.45f, -0.14f, 0.11f));
    }
}

static float fir(Point p, float top)
{
    float low = triangle(p, (Point){-0.7f, 0.55f}, (Point){0, -0.25f}, (Point){0.7f, 0.55f});
    float middle = triangle(p, (Point){-0.56f, 0.12f}, (Point){0, -0.6f}, (Point){0.56f, 0.12f});
    float high = triangle(p, (Point){-0.4f, -0.3f}, (Point){0, top}, (Point){0.4f, -0.3f});
    return fminf(low, fminf(middle, high));
}

static float tree(int part, Point p, const float *vary)
{
    float trunk = between(0.08f, 0.16f, vary[1]), spread = between(0.32f, 0.42f, vary[2]);
    if (part == 0) return box(p, -trunk, 0.3f, trunk, 1);
    if (vary[0] < 0.5f) return fir(p, between(-1.0f, -0.85f, vary[3]));
    float crown = fminf(disc(p, -spread, 0.05f, 0.38f), disc(p, spread, 0.05f, 0.38f));
    return fminf(crown, disc(p, 0, -0.4f, between(0.42f, 0.52f, vary[3])));
}

static float umbrella(int part, Point p, const float *vary)
{
    float wide = between(0.8f, 1.0f, vary[0]), high = between(0.7f, 0.9f, vary[1]);
    float dome = fmaxf(ellipse(p, 0, 0, wide, high), p.y);
    float scallop = wide / 3;
    switch (part) {
    case 0: return rod(p, (Point){0, -0.95f}, (Point){0, 0.75f}, 0.04f);
    case 1: /* the handle: the lower half of a ring */
        return fmaxf(fabsf(disc(p, 0.17f, 0.75f, 0.17f)) - 0.045f, 0.75f - p.y);
    case 2:
        for (int i = -1; i <= 1; i++)
            dome = fmaxf(dome, -ellipse(p, (float)i * 2 * scallop, 0.02f, scallop, 0.15f));
        return dome;
    default: return fmaxf(ellipse(p, 0, 0, wide * 0.34f, high), fmaxf(dome, p.y + 0.12f));
    }
}

const Thing things[THING_COUNT] = {
    {"boat", 4, {INK_DARK, INK_LIGHT, INK_SECOND, INK_MAIN}, boat},
    {"cat", 7, {INK_MAIN, INK_MAIN, INK_LIGHT, INK_DARK, INK_SECOND, INK_DARK, INK_DARK}, cat},
    {"fish", 6, {INK_SECOND, INK_SECOND, INK_MAIN, INK_SECOND, INK_LIGHT, INK_DARK}, fish},
    {"flower", 4, {INK_DARK, INK_DARK, INK_MAIN, INK_SECOND}, flower},
    {"house", 5, {INK_DARK, INK_LIGHT, INK_MAIN, INK_SECOND, INK_DARK}, house},
    {"mushroom", 5, {INK_LIGHT, INK_MAIN, INK_LIGHT, INK_LIGHT, INK_LIGHT}, mushroom},
    {"tree", 2, {INK_DARK, INK_MAIN}, tree},
    {"umbrella", 4, {INK_DARK, INK_DARK, INK_MAIN, INK_SECOND}, umbrella},
};
