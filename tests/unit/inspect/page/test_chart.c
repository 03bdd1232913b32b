/* Charts of numbers that lie too close together, or too far apart, to be told by ticks: they have
 * an end, a few ticks, and no places but finite ones. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "inspect/page/chart.h"

#define ROOM 65536

static char text[ROOM];

static int count(const char *what)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) found++;
    return found;
}

static void check_text(FILE *stream, int least_ticks)
{
    long size = ftell(stream);
    fclose(stream);
    ck_assert_int_gt(size, 0);
    ck_assert_int_lt(size, 20000);
    ck_assert_int_eq(count("nan"), 0);
    ck_assert_int_eq(count("inf"), 0);
    ck_assert_int_ge(count("class=\"grid\""), least_ticks);
    ck_assert_int_le(count("class=\"grid\""), 40);
}

static void draw_lines(double a, double b, int least_ticks)
{
    const double x[] = {a, b, a}, y[] = {b, a, b};
    const PfChartSeries series = {"numbers", 3, x, y, NULL, NULL};
    PfChart chart = {.id = "chart", .title = "A chart"};
    chart.x = pf_chart_axis("x", &series, 1, true);
    chart.y = pf_chart_axis("y", &series, 1, false);
    FILE *stream = fmemopen(text, sizeof text, "w");
    pf_chart_lines(stream, &chart, &series, 1, true);
    check_text(stream, least_ticks);
}

static void draw_intervals(double a, double b, int least_ticks)
{
    const PfChartInterval items[] = {{"one", a, a, b}, {"two", b, a, b}};
    FILE *stream = fmemopen(text, sizeof text, "w");
    pf_chart_intervals(stream, "chart", "A chart", "x", items, 2);
    check_text(stream, least_ticks);
}

static const struct {
    double a, b;
} near[] = {{0.98, 0.9800000000000001},
            {0.98, 0.98},
            {8.0 / 9, 0.8888888888888888},
            {0, 0},
            {-0.5, -0.5},
            {0, 5e-324},
            {0, 1e-310},
            {0x1p51 + 0.5, 0x1p51 + 0.5},
            {0x1p51, 0x1p51 + 0.5},
            {0x1p52 - 0.5, 0x1p52 - 0.5},
            {-1e17, -1e17},
            {1e300, 1e300}};

START_TEST(close_numbers)
{
    double a = near[_i].a, b = near[_i].b;
    int ticks = b > 0 && b < 1e-300 ? 0 : 2; /* none of numbers that are as good as zero */
    draw_lines(a, b, 2 * ticks);
    draw_intervals(a, b, ticks);
}
END_TEST

START_TEST(usual_numbers)
{
    draw_lines(0, 1, 10);
    ck_assert_int_eq(count(">0.2</text>"), 2);
    draw_lines(-3, 4, 8);
    ck_assert_int_eq(count(">0</text>"), 2);
    draw_lines(1e9, 1e9 + 100, 8);
    draw_intervals(-0.1, 0.3, 4);
    ck_assert_int_eq(count(">0.1</text>"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chart");
    TCase *cases = tcase_create("chart");
    tcase_set_timeout(cases, 20);
    tcase_add_loop_test(cases, close_numbers, 0, (int)(sizeof near / sizeof *near));
    tcase_add_test(cases, usual_numbers);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
