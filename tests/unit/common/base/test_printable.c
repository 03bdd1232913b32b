/* Text from outside as it is printed. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/printable.h"
#include "permafrost/error.h"

static const struct {
    const char *raw, *shown;
} TEXTS[] = {
    {"plain name.jpg", "plain name.jpg"},
    {"", ""},
    {"caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x90\x9d", "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x90\x9d"},
    {"x\nextract: error: disk\x1b[31m", "x\\nextract: error: disk\\x1b[31m"},
    {"\r\t\a\b\x7f", "\\r\\t\\x07\\x08\\x7f"},
    {"a\\n \\x1b", "a\\\\n \\\\x1b"}, /* not to be taken for an escape */
    {"caf\xe9", "caf\\xe9"},
    {"\xc3", "\\xc3"},
    {"\xc3(", "\\xc3("},
    {"\xe2\x82", "\\xe2\\x82"},
    {"\xc0\xaf \xe0\x80\xaf", "\\xc0\\xaf \\xe0\\x80\\xaf"}, /* overlong */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                     /* half of a pair */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},            /* above the last character */
    {"\xff\xfe", "\\xff\\xfe"},
    {"\xc2\x9b"
     "31m",
     "\\u009b31m"}, /* the one-character CSI */
    {"\xc2\x85", "\\u0085"},
    {"gpj.\xe2\x80\xae"
     "exe",
     "gpj.\\u202eexe"},
    {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
    {"\xe2\x81\xa6\xe2\x81\xa9", "\\u2066\\u2069"},
    {"\xd8\x9c\xe2\x80\x8f\xef\xbb\xbf", "\\u061c\\u200f\\ufeff"},
    {"\xe2\x80\x8d", "\xe2\x80\x8d"}, /* joins emoji */
};
enum { TEXT_COUNT = sizeof TEXTS / sizeof *TEXTS };

START_TEST(texts_are_shown_without_what_could_steer_a_terminal)
{
    char text[200];
    ck_assert_int_eq(pf_format(text, sizeof text, "<%s>", TEXTS[_i].raw),
                     (int)strlen(TEXTS[_i].shown) + 2);
    ck_assert_int_eq(text[0], '<');
    text[strlen(text) - 1] = '\0';
    ck_assert_str_eq(text + 1, TEXTS[_i].shown);
}
END_TEST

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A byte, and what it may be shown as, are told apart for every byte and pair of bytes. */
START_TEST(no_two_texts_look_the_same)
{
    static char seen[256 * 256][24];
    int count = 0, unsafe = 0, equal = 0;
    for (int a = 1; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            const char raw[] = {(char)a, (char)b, '\0'};
            pf_format(seen[count], sizeof *seen, "%s", raw);
            for (const unsigned char *c = (unsigned char *)seen[count++]; *c; c++)
                unsafe += *c < ' ' || *c == 0x7f;
        }
    qsort(seen, (size_t)count, sizeof *seen, compare_texts);
    for (int i = 1; i < count; i++) equal += !strcmp(seen[i - 1], seen[i]);
    ck_assert_int_eq(unsafe, 0);
    ck_assert_int_eq(equal, 0);
}
END_TEST

START_TEST(line_breaks_stay_where_they_are_ours)
{
    PfError inner = {0}, outer = {0};
    ck_assert_int_eq(pf_fail(&inner, PF_EXIT_USAGE, "no '%s':\n  %d\nHint: \\d", "a\nb\\c", 7), -1);
    ck_assert_str_eq(inner.message, "no 'a\\nb\\\\c':\n  7\nHint: \\d");
    pf_fail(&outer, PF_EXIT_FAILED, "'%s': %" PF_SENTENCE, "x\n", inner.message);
    ck_assert_str_eq(outer.message, "'x\\n': no 'a\\nb\\\\c':\n  7\nHint: \\d");
    pf_fail(&outer, PF_EXIT_FAILED, "%" PF_SENTENCE, "\x1b[31m\xc2\x9b\r\n"); /* a second net */
    ck_assert_str_eq(outer.message, "\\x1b[31m\\u009b\\r\n");
    pf_fail(&outer, PF_EXIT_FAILED, "%" PF_SENTENCE_LINE,
            "begins with '\\x0a'\nerror: \x1b"); /* kept */
    ck_assert_str_eq(outer.message, "begins with '\\x0a'\\nerror: \\x1b");
    errno = ENOENT;
    pf_fail_errno(&outer, "cannot open '%s'", "\x1b");
    ck_assert_str_eq(outer.message, "cannot open '\\x1b': No such file or directory");
    ck_assert_int_eq(outer.exit_code, PF_EXIT_FAILED);
}
END_TEST

/* Our conversions against the library's. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char ours[800], theirs[800];                                                               \
        int length = snprintf(theirs, sizeof theirs, __VA_ARGS__);                                 \
        ck_assert_int_eq(pf_format(ours, sizeof ours, __VA_ARGS__), length);                       \
        ck_assert_str_eq(ours, theirs);                                                            \
    } while (0)

START_TEST(all_else_is_formatted_as_by_printf)
{
    SAME("100 %% of %d, %i", INT_MIN, INT_MAX);
    SAME("%5d|%-5d|%05d|%+d|% d|%.3d", 42, 42, 42, 42, 42, 42);
    SAME("%ld %lld %zd %td %jd", LONG_MIN, LLONG_MIN, (ssize_t)-1, (ptrdiff_t)-2, INTMAX_MIN);
    SAME("%u %lu %llu %zu %ju", UINT_MAX, ULONG_MAX, ULLONG_MAX, (size_t)-1, UINTMAX_MAX);
    SAME("%x %#X %o %hhx %02x", 48879, 48879, 8, (unsigned char)254, 7);
    SAME("%f %.2f %e %g %.9g %G", 1.5, 2.0 / 3, 1e-9, 1e20, 0.1, 1e-300);
    SAME("%.2f|%8.3f|%-9.1f|%+g", 1.7e308, -2.5, 0.25, INFINITY);
    SAME("%Lf %p", 1.25L, (void *)&_i);
    SAME("%-10s|%10s|%.3s|%-10.3s|%.*s|%*s|%-*s|", "ab", "ab", "abcd", "abcd", 2, "abcd", 6, "x", 6,
         "y");
    SAME("%*d|%-*d|%.*f|%*s", 6, 1, 6, 2, 3, 0.5, -6, "left");
    SAME("%c%c", 'a', 'z');
    SAME("\xe2\x94\x9c\xe2\x94\x80 %s", "tree");
    const char unterminated[3] = {'a', 'b', 'c'};
    SAME("%.*s", 3, unterminated);
}
END_TEST

START_TEST(padding_counts_what_is_shown)
{
    char text[64];
    pf_format(text, sizeof text, "%-8s|%8s|%c", "a\n", "\x1b", 7);
    ck_assert_str_eq(text, "a\\n     |    \\x1b|\\x07");
    pf_format(text, sizeof text, "%.3s|%.4s|%.*s", "ab\xc3\xa9", "ab\xc3\xa9", 3, "ab\xc3\xa9");
    ck_assert_str_eq(text, "ab|ab\xc3\xa9|ab\\xc3");
}
END_TEST

START_TEST(what_does_not_fit_is_cut_between_characters)
{
    const char *raw = "ab\xc3\xa9\x1b\xe2\x80\xae";
    const char *const wanted[] = {"", "a", "ab", "ab", "ab\xc3\xa9", "ab\xc3\xa9", "ab\xc3\xa9"};
    for (size_t size = 1; size <= 7; size++) {
        char text[8];
        memset(text, '#', sizeof text);
        ck_assert_int_eq(pf_format(text, size, "%s", raw), 14);
        ck_assert_str_eq(text, wanted[size - 1]);
    }
    char text[32] = "#";
    ck_assert_int_eq(pf_format(text, 0, "%s", raw), 14);
    ck_assert_str_eq(text, "#");
    ck_assert_int_eq(pf_format(text, 9, "%s", raw), 14);
    ck_assert_str_eq(text, "ab\xc3\xa9\\x1b");
}
END_TEST

START_TEST(streams_get_the_same)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    pf_print(stream, "%s: %-6s|%lld rows\n", "a\nb", "\x1b", 5LL);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_str_eq(text, "a\\nb: \\x1b  |5 rows\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("printable");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, texts_are_shown_without_what_could_steer_a_terminal, 0, TEXT_COUNT);
    tcase_add_test(tests, no_two_texts_look_the_same);
    tcase_add_test(tests, line_breaks_stay_where_they_are_ours);
    tcase_add_test(tests, all_else_is_formatted_as_by_printf);
    tcase_add_test(tests, padding_counts_what_is_shown);
    tcase_add_test(tests, what_does_not_fit_is_cut_between_characters);
    tcase_add_test(tests, streams_get_the_same);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
