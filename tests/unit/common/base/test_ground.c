/* The ground layer: numbers, queues, options, files. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/random.h"
#include "common/base/size_text.h"
#include "common/file/atomic_file.h"
#include "common/file/csv.h"
#include "common/file/path.h"
#include "common/thread/parallel.h"
#include "common/thread/queue.h"
#include "permafrost/tensor.h"

START_TEST(half_precision_round_trips_every_value)
{
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = pf_f32_from_f16((uint16_t)bits);
        if (isnan(value)) {
            ck_assert(isnan(pf_f32_from_f16(pf_f16_from_f32(value))));
            continue;
        }
        ck_assert_uint_eq(pf_f16_from_f32(value), bits);
    }
}
END_TEST

START_TEST(numbers_of_json_are_whole_or_refused)
{
    static const struct {
        const char *text;
        bool is_whole; /* of 1 to 2^53 */
    } cases[] = {{"1", true},      {"9007199254740992", true}, {"0", false},     {"1.5", false},
                 {"1e300", false}, {"-1e300", false},          {"\"7\"", false}, {"null", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *item = pf_json_read(cases[i].text);
        ck_assert_msg(pf_json_is_whole(item, 1, 9007199254740992.0) == cases[i].is_whole, "%s",
                      cases[i].text);
        cJSON_Delete(item);
    }
    ck_assert(!pf_json_is_whole(NULL, 0, 1));
}
END_TEST

START_TEST(half_precision_rounds_to_nearest_even)
{
    ck_assert_uint_eq(pf_f16_from_f32(65504.0f), 0x7bff);
    ck_assert_uint_eq(pf_f16_from_f32(65519.0f), 0x7bff);
    ck_assert_uint_eq(pf_f16_from_f32(65520.0f), 0x7c00); /* halfway: to infinity */
    ck_assert_uint_eq(pf_f16_from_f32(1.0f + 0x1p-11f), 0x3c00);
    ck_assert_uint_eq(pf_f16_from_f32(1.0f + 0x3p-11f), 0x3c02);
    ck_assert_uint_eq(pf_f16_from_f32(0x1p-25f), 0);
    ck_assert_uint_eq(pf_f16_from_f32(-0x1.8p-25f), 0x8001);
}
END_TEST

START_TEST(half_precision_arrays_equal_the_scalar_twin)
{
    enum { COUNT = 4099 };
    static float in[COUNT], back[COUNT];
    static uint16_t out[COUNT];
    PfRandom random = pf_random_seeded(1, 0);
    for (int i = 0; i < COUNT; i++) in[i] = (float)ldexp(pf_random_normal(&random), i % 48 - 28);
    pf_f16_from_f32_array(out, in, COUNT);
    pf_f32_from_f16_array(back, out, COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(out[i], pf_f16_from_f32(in[i]));
        ck_assert(back[i] == pf_f32_from_f16(out[i]));
    }
}
END_TEST

START_TEST(shapes_read_as_people_write_them)
{
    PfShape shape = {3, {64, 7, 7}};
    char text[PF_SHAPE_TEXT_SIZE];
    ck_assert_str_eq(pf_shape_text(&shape, text), "(64,7,7)");
    ck_assert_int_eq(pf_shape_count(&shape), 3136);
}
END_TEST

START_TEST(digests_match_published_ones)
{
    char text[PF_SHA256_TEXT_SIZE];
    pf_digest_sha256_text("abc", 3, text);
    ck_assert_str_eq(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    uint8_t digest[16]; /* printf '' | xxhsum -H2 */
    pf_digest_xxh128("", 0, digest);
    ck_assert_uint_eq(digest[0], 0x99);
    ck_assert_uint_eq(digest[15], 0x7f);
}
END_TEST

static void *produce(void *argument)
{
    static int items[1000];
    for (int i = 0; i < 1000; i++) {
        items[i] = i;
        if (pf_queue_push(argument, &items[i])) return NULL;
    }
    pf_queue_close(argument);
    return NULL;
}

START_TEST(json_that_holds_no_object_is_refused_or_empty)
{
    PfError err = {0};
    const char *const others[] = {"", "[1]", "7", "{\"a\":", "null"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_ptr_null(pf_json_parse(others[i], "x.h5", "identity", &err));
        ck_assert_str_eq(err.message, "'x.h5': its identity is no JSON object");
        cJSON *empty = pf_json_parse_or_empty(others[i], "x.h5", "identity", &err);
        ck_assert(cJSON_IsObject(empty) && !empty->child);
        cJSON_Delete(empty);
    }
    pf_json_begin();
    cJSON *object = pf_json_parse("{\"a\": 1}", "x.h5", "identity", &err);
    cJSON_AddTrueToObject(object, "b");
    char *text = pf_json_finish(object, "identity", &err);
    ck_assert_str_eq(text, "{\"a\":1,\"b\":true}");
    free(text);
    ck_assert_ptr_null(pf_json_finish(NULL, "identity", &err));
    ck_assert_str_eq(err.message, "out of memory for the identity");
}
END_TEST

/* What names may hold, and how it stands in JSON. */
static const struct {
    const char *raw, *text;
} JSON_TEXTS[] = {
    {"bee", "\"bee\""},
    {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
    {"caf\xe9.jpg", "\"caf\\udce9.jpg\""},
    {"\xff\x80", "\"\\udcff\\udc80\""},
    {"\xe2\x82", "\"\\udce2\\udc82\""},
    {"\xed\xb3\xa9", "\"\\udced\\udcb3\\udca9\""}, /* a lone surrogate, in three bytes */
    {"\\udce9", "\"\\\\udce9\""},                  /* six characters that look like one */
    {"\\\xe9", "\"\\\\\\udce9\""},
    {"\n\x1b\x7f\xc2\x9b", "\"\\n\\u001b\\u007f\\u009b\""},
    {"a\xe2\x80\xae", "\"a\\u202e\""},
    {"\xf0\x9f\x90\x9d\xe9", "\"\xf0\x9f\x90\x9d\\udce9\""},
};
enum { JSON_TEXT_COUNT = sizeof JSON_TEXTS / sizeof *JSON_TEXTS };

START_TEST(json_holds_every_byte_and_is_valid)
{
    const char *raw = JSON_TEXTS[_i].raw;
    cJSON *item = cJSON_CreateString(raw);
    char *text = pf_json_text(item);
    ck_assert_str_eq(text, JSON_TEXTS[_i].text);
    cJSON_Delete(item);
    item = pf_json_read(text);
    ck_assert_ptr_nonnull(item);
    ck_assert_str_eq(item->valuestring, raw);
    cJSON_Delete(item);
    free(text);
    cJSON *object = cJSON_CreateObject(); /* as a key, within another */
    cJSON_AddNullToObject(cJSON_AddObjectToObject(object, "a"), raw);
    text = pf_json_indented_text(object);
    cJSON *again = pf_json_read(text);
    ck_assert(cJSON_Compare(object, again, 1));
    ck_assert_str_eq(again->child->child->string, raw);
    cJSON_Delete(again);
    cJSON_Delete(object);
    free(text);
}
END_TEST

START_TEST(json_of_others_is_read_as_they_mean_it)
{
    static const struct {
        const char *text, *wanted; /* NULL: it is refused */
    } cases[] = {
        {"\"\\uD83D\\uDC9D\"", "\xf0\x9f\x92\x9d"}, /* a pair, its second like a byte */
        {"\"\\uDCE9\"", "\xe9"},
        {"\"\\ud83d\\ud83d\\udc9d\"", NULL},
        {"\"\\ud83d\\n\"", NULL},
        {"\"\\udc7f\"", NULL}, /* no byte: ASCII needs no escape */
        {"\"\\udd00\"", NULL},
        {"\"\\udce\"", NULL},
        {"\"\\u", NULL},
        {"\"caf\xe9\"", "caf\xe9"}, /* as files of before have it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *item = pf_json_read(cases[i].text);
        ck_assert_int_eq(!item, !cases[i].wanted);
        if (item) ck_assert_str_eq(item->valuestring, cases[i].wanted);
        cJSON_Delete(item);
    }
    const char front[] = "{\"\\udce9\": \"\\udce8\"}  XX", *end; /* XX: not of the text */
    cJSON *item = pf_json_read_front(front, sizeof front - 3, &end);
    ck_assert_ptr_nonnull(item);
    ck_assert_str_eq(item->child->string, "\xe9");
    ck_assert_ptr_eq(end, strchr(front, '}') + 1);
    cJSON_Delete(item);
    ck_assert_ptr_null(pf_json_read(NULL));
    item = cJSON_CreateNumber((double)NAN);
    char *text = pf_json_text(item);
    ck_assert_str_eq(text, "null");
    cJSON_Delete(item);
    free(text);
}
END_TEST

START_TEST(csv_fields_are_quoted_and_no_formulas)
{
    static const struct {
        const char *raw, *plain, *safe, *shown; /* shown: on a terminal */
    } cases[] = {
        {"bee", "bee", "bee", "bee"},
        {"", "", "", ""},
        {"a,b", "\"a,b\"", "\"a,b\"", "\"a,b\""},
        {"say \"x\"\"", "\"say \"\"x\"\"\"\"\"", "\"say \"\"x\"\"\"\"\"", "\"say \"\"x\"\"\"\"\""},
        {"a\nb\x1b", "\"a\nb\x1b\"", "\"a\nb\x1b\"", "\"a\\nb\\x1b\""},
        {"a\rb", "\"a\rb\"", "\"a\rb\"", "\"a\\rb\""},
        {"=1+1", "=1+1", "'=1+1", "=1+1"},
        {"=HYPERLINK(\"u\",1)", "\"=HYPERLINK(\"\"u\"\",1)\"", "\"'=HYPERLINK(\"\"u\"\",1)\"",
         "\"=HYPERLINK(\"\"u\"\",1)\""},
        {"@SUM(A1)", "@SUM(A1)", "'@SUM(A1)", "@SUM(A1)"},
        {"+1+1", "+1+1", "'+1+1", "+1+1"},
        {"-2+3", "-2+3", "'-2+3", "-2+3"},
        {"-0.5", "-0.5", "-0.5", "-0.5"}, /* a number */
        {"-1e-3", "-1e-3", "-1e-3", "-1e-3"},
        {"\t=1", "\t=1", "'\t=1", "\\t=1"},
        {"\n=1", "\"\n=1\"", "\"'\n=1\"", "\"\\n=1\""},
        {"a=1", "a=1", "a=1", "a=1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int kind = 0; kind < 3; kind++) {
            const char *wanted = kind == 0   ? cases[i].plain
                                 : kind == 1 ? cases[i].safe
                                             : cases[i].shown;
            char *text = NULL;
            size_t size;
            FILE *stream = open_memstream(&text, &size);
            PfCsv csv = {stream, kind == 2, kind == 1};
            pf_csv_write_field(&csv, cases[i].raw);
            fclose(stream);
            ck_assert_str_eq(text, wanted);
            free(text);
        }
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    pf_csv_write_column(&(PfCsv){.stream = stream}, "a,\"", "_x3");
    fclose(stream);
    ck_assert_str_eq(text, "\"a,\"\"_x3\"");
    free(text);
}
END_TEST

START_TEST(queue_keeps_order_and_drains_after_close)
{
    PfQueue *queue;
    pthread_t thread;
    ck_assert_int_eq(pf_queue_new(3, &queue, NULL), 0);
    pthread_create(&thread, NULL, produce, queue);
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(*(int *)pf_queue_pop(queue), i);
    ck_assert_ptr_null(pf_queue_pop(queue));
    pthread_join(thread, NULL);
    pf_queue_free(&queue);
    ck_assert_ptr_null(queue);
}
END_TEST

START_TEST(aborting_a_queue_wakes_a_blocked_push)
{
    PfQueue *queue;
    pthread_t thread;
    ck_assert_int_eq(pf_queue_new(2, &queue, NULL), 0);
    pthread_create(&thread, NULL, produce, queue);
    while (pf_queue_length(queue) < 2) usleep(1000);
    pf_queue_abort(queue);
    pthread_join(thread, NULL); /* hangs here if nothing wakes it */
    ck_assert_ptr_null(pf_queue_pop(queue));
    pf_queue_free(&queue);
}
END_TEST

typedef struct Settings {
    int epochs, verbose, quiet, threads;
    double rate;
    const char *output, *name;
} Settings;

/* clang-format off */
static const PfOption table[] = {
    {.name = "epochs", .kind = PF_OPTION_INT, .offset = offsetof(Settings, epochs), .argument = "N",
     .help = "passes", .minimum = 1, .maximum = 1e6},
    {.name = "lr", .kind = PF_OPTION_DOUBLE, .offset = offsetof(Settings, rate), .argument = "X",
     .help = "rate", .aliases = "learning-rate step"},
    {.name = "threads", .letter = 'j', .kind = PF_OPTION_INT, .offset = offsetof(Settings, threads),
     .argument = "N", .help = "at once", .effect = PF_OPTION_ON_RUN},
    {.name = "quiet", .letter = 'q', .kind = PF_OPTION_FLAG, .offset = offsetof(Settings, quiet),
     .help = "less"},
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, output), .argument = "FILE", .help = "where to",
     .bare = "-"},
    {.name = "verbose", .letter = 'v', .kind = PF_OPTION_FLAG,
     .offset = offsetof(Settings, verbose), .help = "more"},
    {.name = "name", .repeat = PF_OPTION_LAST_WINS, .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, name), .argument = "NAME", .help = "of it"},
    {0},
};
/* clang-format on */

static int parse(Settings *settings, int argc, char **argv, const char **operands, int *count,
                 PfError *err)
{
    return pf_options_parse(table, settings, argc, argv, operands, count, err);
}

START_TEST(options_come_in_every_usual_form)
{
    char *argv[] = {"x", "a.h5", "--epochs=7", "-ofile", "-v", "--lr", "1e-3", "--", "-b", NULL};
    Settings settings = {.epochs = 5};
    const char *operands[16];
    int count;
    ck_assert_int_eq(parse(&settings, 9, argv, operands, &count, NULL), 0);
    ck_assert_int_eq(settings.epochs, 7);
    ck_assert_int_eq(settings.verbose, 1);
    ck_assert_str_eq(settings.output, "file");
    ck_assert(settings.rate == 1e-3);
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(operands[1], "-b");
}
END_TEST

static Settings parsed(int argc, char **argv)
{
    Settings settings = {0};
    const char *operands[16];
    int count;
    PfError err = {0};
    ck_assert_msg(!parse(&settings, argc, argv, operands, &count, &err), "%s", err.message);
    return settings;
}

START_TEST(an_argument_may_be_left_out_at_the_end)
{
    ck_assert_str_eq(parsed(3, (char *[]){"x", "-v", "--output"}).output, "-");
    ck_assert_str_eq(parsed(3, (char *[]){"x", "--output", "-v"}).output, "-v");
    Settings settings = {0};
    const char *operands[16];
    int count;
    PfError err = {0};
    ck_assert_int_eq(parse(&settings, 2, (char *[]){"x", "--epochs"}, operands, &count, &err), -1);
    ck_assert_str_eq(err.message, "option '--epochs' needs an argument: N");
}
END_TEST

START_TEST(what_has_an_effect_on_the_run_only_is_left_out)
{
    char *argv[] = {"x", "-j2", "--lr=2", "-qj", "3", "--step", "4"};
    cJSON *words = pf_options_words(table, 7, argv), *given = pf_options_given(table, 7, argv);
    ck_assert_int_eq(cJSON_GetArraySize(words), 5);
    pf_options_leave_result(table, words);
    ck_assert_int_eq(cJSON_GetArraySize(words), 3);
    ck_assert_str_eq(cJSON_GetArrayItem(words, 0)->valuestring, "--lr=2");
    ck_assert_str_eq(cJSON_GetArrayItem(words, 1)->valuestring, "--quiet");
    ck_assert_str_eq(cJSON_GetArrayItem(words, 2)->valuestring, "--lr=4");
    pf_options_leave_result(table, given);
    ck_assert_int_eq(cJSON_GetArraySize(given), 2);
    ck_assert(cJSON_HasObjectItem(given, "lr") && cJSON_HasObjectItem(given, "quiet"));
    pf_options_leave_result(table, NULL);
    cJSON_Delete(words);
    cJSON_Delete(given);
}
END_TEST

START_TEST(letters_are_bundled_and_names_have_aliases)
{
    Settings settings = parsed(2, (char *[]){"x", "-qvj2"});
    ck_assert(settings.quiet && settings.verbose && settings.threads == 2);
    settings = parsed(3, (char *[]){"x", "-vj", "3"});
    ck_assert(!settings.quiet && settings.verbose && settings.threads == 3);
    settings = parsed(2, (char *[]){"x", "-voqj4"});
    ck_assert(settings.verbose && !settings.quiet);
    ck_assert_str_eq(settings.output, "qj4");
    ck_assert(parsed(2, (char *[]){"x", "--learning-rate=2"}).rate == 2);
    ck_assert(parsed(3, (char *[]){"x", "--step", "3"}).rate == 3);
    ck_assert_str_eq(pf_options_named(table, "learning-rate")->name, "lr");
    ck_assert_str_eq(pf_options_named(table, "lr")->name, "lr");
    ck_assert_ptr_null(pf_options_named(table, "learning"));
}
END_TEST

static void expect_usage(int argc, char **argv, const char *part)
{
    Settings settings = {0};
    const char *operands[16];
    int count;
    PfError err = {0};
    ck_assert_int_eq(parse(&settings, argc, argv, operands, &count, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    ck_assert_msg(strstr(err.message, part) != NULL, "'%s' lacks '%s'", err.message, part);
}

START_TEST(a_text_that_is_given_twice_is_refused)
{
    expect_usage(5, (char *[]){"x", "-o", "a", "--output", "b"}, "--output is given twice: 'a', ");
    ck_assert_str_eq(parsed(4, (char *[]){"x", "-oa", "-o", "a"}).output, "a");
    ck_assert(parsed(3, (char *[]){"x", "--lr=1", "--lr=2"}).rate == 2);
    ck_assert_str_eq(parsed(3, (char *[]){"x", "--name=a", "--name=b"}).name, "b");
    Settings settings = {.output = "by default"};
    const char *operands[16];
    int count;
    ck_assert_int_eq(parse(&settings, 2, (char *[]){"x", "-ob"}, operands, &count, NULL), 0);
    ck_assert_str_eq(settings.output, "b");
}
END_TEST

START_TEST(wrong_options_are_named_with_a_hint)
{
    expect_usage(2, (char *[]){"x", "--epoch=3"}, "--epochs");
    expect_usage(3, (char *[]){"x", "--epochs", "0"}, "from 1");
    expect_usage(3, (char *[]){"x", "--epochs", "3x"}, "whole number");
    expect_usage(3, (char *[]){"x", "--lr", "nan"}, "number");
    expect_usage(2, (char *[]){"x", "--lr"}, "needs an argument");
    expect_usage(2, (char *[]){"x", "--verbose=1"}, "no argument");
    expect_usage(2, (char *[]){"x", "-z"}, "unknown option");
    expect_usage(2, (char *[]){"x", "-qz"}, "unknown option '-qz'");
    expect_usage(2, (char *[]){"x", "-qj"}, "'-qj' needs an argument: N");
    expect_usage(2, (char *[]){"x", "-verbose"}, "Did you mean --verbose?");
    expect_usage(2, (char *[]){"x", "-output=m"}, "Did you mean --output?");
    expect_usage(2, (char *[]){"x", "--learning_rate=1"}, "Did you mean --learning-rate?");
    expect_usage(2, (char *[]){"x", "--jobs"}, "Did you mean --threads?");
    expect_usage(2, (char *[]){"x", "--dest"}, "Did you mean --output?");
    expect_usage(2, (char *[]){"x", "--silent"}, "Did you mean --quiet?");
    expect_usage(2, (char *[]){"x", "--gpu"}, "--help lists"); /* there is no --device */
}
END_TEST

START_TEST(numbers_are_plain_decimals)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"5", 5},      {"-0.25", -0.25}, {".5", 0.5},    {"5.", 5},
                {"1e3", 1000}, {"1E-3", 1e-3},   {"2.5e+1", 25}, {"007", 7}};
    static const char *const bad[] = {
        "",    " 5",  "5 ",  "\t5",   "5\n",      "0x10",  "0X1p3", "+5",  "--5",
        "nan", "NAN", "inf", "-inf",  "infinity", "1e",    "1e+",   "e3",  ".",
        "-",   "-.",  "1,5", "1_000", "5x",       "1e999", "1.2.3", "0b1", "\xef\xbc\x95"};
    double real;
    long long whole;
    uint64_t natural;
    PfError err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_int_eq(pf_options_parse_double("x", good[i].text, -1e300, 1e300, &real, &err), 0);
        ck_assert(real == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(pf_options_parse_double("x", bad[i], -1e300, 1e300, &real, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
        ck_assert_int_eq(pf_options_parse_long("x", bad[i], INT64_MIN, INT64_MAX, &whole, &err),
                         -1);
        ck_assert_int_eq(pf_options_read_unsigned(bad[i], strlen(bad[i]), &natural), -1);
    }
    for (const char *const *text = (const char *const[]){"1e3", "5.", "0.5", NULL}; *text; text++)
        ck_assert_int_eq(pf_options_parse_long("x", *text, -9, 9, &whole, &err), -1);
    ck_assert_int_eq(pf_options_read_long("9223372036854775807", 19, &whole), 0);
    ck_assert_int_eq(whole, INT64_MAX);
    ck_assert_int_eq(pf_options_read_long("-9223372036854775808", 20, &whole), 0);
    ck_assert_int_eq(whole, INT64_MIN);
    ck_assert_int_eq(pf_options_read_long("9223372036854775808", 19, &whole), -1);
    ck_assert_int_eq(pf_options_read_long("-9223372036854775809", 20, &whole), -1);
    ck_assert_int_eq(pf_options_read_long("-0", 2, &whole), 0);
    ck_assert_int_eq(whole, 0);
    ck_assert_int_eq(pf_options_read_unsigned("18446744073709551615", 20, &natural), 0);
    ck_assert_uint_eq(natural, UINT64_MAX);
    ck_assert_int_eq(pf_options_read_unsigned("18446744073709551616", 20, &natural), -1);
    ck_assert_int_eq(pf_options_read_unsigned("-1", 2, &natural), -1);
    ck_assert_int_eq(pf_options_read_long("12x34", 2, &whole),
                     0); /* only the part that is asked for */
    ck_assert_int_eq(whole, 12);
    ck_assert_int_eq(pf_options_read_double("1.5..2", 3, &real), 0);
    ck_assert(real == 1.5);
}
END_TEST

START_TEST(sizes_are_plain_decimals_with_a_unit)
{
    static const struct {
        const char *text;
        int64_t bytes; /* 0: refused */
    } cases[] = {{"512M", 512000000},
                 {"2G", 2000000000},
                 {"1.5kb", 1500},
                 {"1e9", 1000000000},
                 {"7", 7},
                 {"7B", 7},
                 {"0x10M", 0},
                 {" 5M", 0},
                 {"5 M", 0},
                 {"5M ", 0},
                 {"+5M", 0},
                 {"-5M", 0},
                 {"", 0},
                 {"M", 0},
                 {"nan", 0},
                 {"inf", 0},
                 {"5MM", 0},
                 {"1e-9G", 1},
                 {"0", 0},
                 {"1e99", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t bytes = 0;
        int failed = pf_size_text_parse("--memory", cases[i].text, &bytes, NULL);
        ck_assert_msg(failed == (cases[i].bytes ? 0 : -1), "'%s'", cases[i].text);
        if (!failed) ck_assert_int_eq(bytes, cases[i].bytes);
    }
}
END_TEST

START_TEST(atomic_file_replaces_whole_or_not_at_all)
{
    char directory[] = "/tmp/permafrost-atomic-XXXXXX", path[64], text[8] = "";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    ck_assert_int_eq(pf_atomic_file_write(path, "old", 3, NULL), 0);
    PfAtomicFile *half;
    ck_assert_int_eq(pf_atomic_file_begin(path, &half, NULL), 0);
    fputs("half", pf_atomic_file_stream(half));
    pf_atomic_file_abandon(&half);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "old");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else was left in it */
}
END_TEST

START_TEST(atomic_file_refuses_a_missing_folder_at_once)
{
    PfError err = {0};
    PfAtomicFile *file;
    ck_assert_int_eq(pf_atomic_file_begin("/nonexistent/x.h5", &file, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/x.h5"));
}
END_TEST

/* As two processes would have that have the same number, in two containers. */
START_TEST(atomic_files_of_one_target_do_not_meet)
{
    char directory[] = "/tmp/permafrost-atomic-XXXXXX", path[64], text[8] = "";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    PfAtomicFile *first, *second;
    ck_assert_int_eq(pf_atomic_file_begin(path, &first, NULL), 0);
    fputs("first", pf_atomic_file_stream(first));
    ck_assert_int_eq(pf_atomic_file_check(path, NULL), 0); /* sweeps */
    ck_assert_int_eq(pf_atomic_file_begin(path, &second, NULL), 0);
    fputs("second", pf_atomic_file_stream(second));
    ck_assert_str_ne(pf_atomic_file_temporary(first), pf_atomic_file_temporary(second));
    pf_atomic_file_abandon(&second);
    ck_assert_int_eq(pf_atomic_file_commit(&first, NULL), 0);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "first");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

static void count_up(void *context, int64_t index)
{
    ((int *)context)[index]++;
}

START_TEST(parallel_for_does_every_task_once)
{
    int done[100] = {0};
    for (int threads = 0; threads < 5; threads++) pf_parallel_for(100, threads, count_up, done);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(done[i], 5);
    pf_parallel_for(0, 3, count_up, NULL);
}
END_TEST

START_TEST(random_numbers_have_the_moments_they_should)
{
    PfRandom random = pf_random_seeded(3, 7), other = pf_random_seeded(3, 8);
    ck_assert(pf_random_u64(&random) != pf_random_u64(&other));
    double sum = 0, squares = 0;
    enum { DRAWS = 200000 };
    for (int i = 0; i < DRAWS; i++) {
        double value = pf_random_normal(&random);
        sum += value;
        squares += value * value;
    }
    ck_assert(fabs(sum / DRAWS) < 0.01); /* 4.5 standard errors */
    ck_assert(fabs(squares / DRAWS - 1.0) < 0.015);
}
END_TEST

START_TEST(normal_numbers_equal_the_inverse_distribution_function)
{
    /* Python: statistics.NormalDist().inv_cdf of the same splitmix64 stream. */
    PfRandom random = pf_random_seeded(3, 7);
    double least = 0, most = 0;
    ck_assert_double_eq_tol(pf_random_normal(&random), -0.47134877761629795, 1e-14);
    for (int i = 1; i < 100000; i++) {
        double value = pf_random_normal(&random);
        least = fmin(least, value);
        most = fmax(most, value);
    }
    ck_assert_double_eq_tol(least, -3.9261855031558697, 1e-14);
    ck_assert_double_eq_tol(most, 4.288328846203894, 1e-14);
}
END_TEST

START_TEST(pieces_of_an_arena_are_aligned_and_apart)
{
    static unsigned char *pieces[3000];
    static size_t sizes[3000];
    PfArena arena = {0};
    PfError err;
    for (int i = 0; i < 3000; i++) {
        size_t alignment = (size_t)1 << i % 7;
        sizes[i] = i % 500 == 499 ? 100000 : (size_t)(i % 37);
        pieces[i] = pf_arena_allocate(&arena, sizes[i], alignment, &err);
        ck_assert_uint_eq((uintptr_t)pieces[i] % alignment, 0);
        memset(pieces[i], i, sizes[i]);
    }
    for (int i = 0; i < 3000; i++)
        for (size_t k = 0; k < sizes[i]; k++) ck_assert_int_eq(pieces[i][k], (unsigned char)i);
    ck_assert_uint_ge(arena.bytes, 600000);
    ck_assert_uint_le(arena.bytes, 1000000); /* large ones do not cost the rest of a block */
    ck_assert_ptr_null(pf_arena_allocate(&arena, SIZE_MAX - 8, 16, &err));
    pf_arena_free(&arena);
    ck_assert_uint_eq(arena.bytes, 0);
}
END_TEST

/* A shell gives each of them back. */
START_TEST(words_for_a_shell_are_the_text)
{
    static const char *const texts[] = {
        "plain/path-1.h5",
        "",
        "a b",
        "it's",
        "'",
        "''x",
        "$HOME",
        "`ls`",
        "a\"b",
        "~",
        "*",
        "-n",
        "a;b",
        "\xc3\xa4 b",
        "(x)",
        "a\\b",
        "#",
        "{a,b}",
        "!x",
    };
    PfError err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char found[64] = "", *word = pf_path_shell_word(texts[i], "FILE", &err);
        char *command = pf_asprintf(&err, "printf '<%%s>' %s", word);
        FILE *pipe = popen(command, "r");
        size_t size = fread(found, 1, sizeof found - 1, pipe);
        ck_assert_int_eq(pclose(pipe), 0);
        ck_assert_uint_eq(size, strlen(texts[i]) + 2);
        ck_assert(found[0] == '<' && found[size - 1] == '>');
        ck_assert_mem_eq(found + 1, texts[i], size - 2);
        free(command);
        free(word);
    }
    char *word = pf_path_shell_word("plain/path-1.h5", "FILE", &err);
    ck_assert_str_eq(word, "plain/path-1.h5");
    free(word);
    static const char *const shown_otherwise[] = {"a\nb", "\x1b[2J", "\xff", "\xe2\x80\xae"};
    for (int i = 0; i < 4; i++) {
        word = pf_path_shell_word(shown_otherwise[i], "FILE", &err);
        ck_assert_str_eq(word, "FILE");
        free(word);
    }
}
END_TEST

START_TEST(paths_to_one_file_are_told)
{
    char folder[] = "/tmp/pf_ground_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    int fd = openat(directory, "a", O_RDWR | O_CREAT, 0600);
    char *a = pf_asprintf(NULL, "%s/a", folder), *b = pf_asprintf(NULL, "%s/b", folder),
         *c = pf_asprintf(NULL, "%s/../%s/c", folder, strrchr(folder, '/') + 1);
    ck_assert(!symlink("a", b) && !link(a, c));
    ck_assert(pf_path_same(a, b) && pf_path_same(a, c) && pf_path_same(b, c));
    ck_assert(!pf_path_same(a, folder) && !pf_path_same("nowhere", "nowhere"));
    ck_assert(pf_path_still_named(fd, directory, "a") && pf_path_still_named(fd, AT_FDCWD, c));
    ck_assert(!pf_path_still_named(fd, directory, "b")); /* a link is another file */
    ck_assert(!unlink(a));
    ck_assert(!pf_path_still_named(fd, directory, "a"));
    ck_assert_int_ge(close(openat(directory, "a", O_RDWR | O_CREAT, 0600)), 0);
    ck_assert(!pf_path_still_named(fd, directory, "a") && !pf_path_same(a, c));
    ck_assert(!unlink(a) && !unlink(b) && !unlink(c));
    ck_assert(!close(fd) && !close(directory));
    rmdir(folder);
    free(a);
    free(b);
    free(c);
}
END_TEST

START_TEST(stored_texts_stay_where_they_are)
{
    static const char *texts[20000];
    PfArena store = {0};
    PfError err;
    char text[64], *large = calloc(100001, 1);
    memset(large, 'x', 100000);
    for (int i = 0; i < 20000; i++) {
        int size = snprintf(text, sizeof text, "%0*d", i % 50, i);
        texts[i] = pf_arena_text(&store, text, (size_t)size, &err);
        if (i == 777) ck_assert_str_eq(pf_arena_text(&store, large, 100000, &err), large);
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "%0*d", i % 50, i);
        ck_assert_str_eq(texts[i], text);
    }
    ck_assert_str_eq(pf_arena_text(&store, NULL, 0, &err), "");
    pf_arena_free(&store);
    ck_assert_ptr_null(store.newest);
    free(large);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ground");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, half_precision_round_trips_every_value);
    tcase_add_test(cases, half_precision_rounds_to_nearest_even);
    tcase_add_test(cases, numbers_of_json_are_whole_or_refused);
    tcase_add_test(cases, half_precision_arrays_equal_the_scalar_twin);
    tcase_add_test(cases, shapes_read_as_people_write_them);
    tcase_add_test(cases, digests_match_published_ones);
    tcase_add_test(cases, json_that_holds_no_object_is_refused_or_empty);
    tcase_add_loop_test(cases, json_holds_every_byte_and_is_valid, 0, JSON_TEXT_COUNT);
    tcase_add_test(cases, json_of_others_is_read_as_they_mean_it);
    tcase_add_test(cases, csv_fields_are_quoted_and_no_formulas);
    tcase_add_test(cases, queue_keeps_order_and_drains_after_close);
    tcase_add_test(cases, aborting_a_queue_wakes_a_blocked_push);
    tcase_add_test(cases, options_come_in_every_usual_form);
    tcase_add_test(cases, letters_are_bundled_and_names_have_aliases);
    tcase_add_test(cases, an_argument_may_be_left_out_at_the_end);
    tcase_add_test(cases, what_has_an_effect_on_the_run_only_is_left_out);
    tcase_add_test(cases, a_text_that_is_given_twice_is_refused);
    tcase_add_test(cases, wrong_options_are_named_with_a_hint);
    tcase_add_test(cases, numbers_are_plain_decimals);
    tcase_add_test(cases, sizes_are_plain_decimals_with_a_unit);
    tcase_add_test(cases, atomic_file_replaces_whole_or_not_at_all);
    tcase_add_test(cases, atomic_file_refuses_a_missing_folder_at_once);
    tcase_add_test(cases, atomic_files_of_one_target_do_not_meet);
    tcase_add_test(cases, parallel_for_does_every_task_once);
    tcase_add_test(cases, random_numbers_have_the_moments_they_should);
    tcase_add_test(cases, normal_numbers_equal_the_inverse_distribution_function);
    tcase_add_test(cases, stored_texts_stay_where_they_are);
    tcase_add_test(cases, words_for_a_shell_are_the_text);
    tcase_add_test(cases, paths_to_one_file_are_told);
    tcase_add_test(cases, pieces_of_an_arena_are_aligned_and_apart);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
