/* Manifests: CSV in all its forms, columns found and told apart, targets of every kind. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/hash_index.h"
#include "common/file/csv.h"
#include "common/file/text_encoding.h"
#include "extract/dataset/dataset.h"

static char top[64], csv_path[128];
static PfDataset *dataset;
static PfError err;

static void make_top(void)
{
    strcpy(top, "/tmp/pf_manifest_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(csv_path, sizeof csv_path, "%s/images.csv", top);
    dataset = NULL;
    err = (PfError){0};
}

static void remove_top(void)
{
    pf_dataset_close(&dataset);
    char command[192];
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    ck_assert_int_eq(system(command), 0);
}

static void write_text(const char *path, const char *text, size_t size)
{
    FILE *stream = fopen(path, "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(text, 1, size, stream), size);
    ck_assert_int_eq(fclose(stream), 0);
}

static void make_image(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", top, name);
    write_text(path, "x", 1);
}

/* a.jpg, b.jpg, c.jpg and d.jpg beside the manifest. */
static void make_images(void)
{
    for (const char *name = "abcd"; *name; name++)
        make_image((const char[]){*name, '.', 'j', 'p', 'g', '\0'});
}

/* ---- CSV ---- */

/* The records of the text, "a|b" a line; or the error. */
static const char *records(const char *text, size_t size)
{
    static char out[1000];
    PfCsvReader *reader;
    const char *const *fields;
    int count, status;
    out[0] = '\0';
    write_text(csv_path, text, size);
    if (pf_csv_open(csv_path, NULL, &reader, &err)) return err.message;
    while ((status = pf_csv_next(reader, &fields, &count, &err)) > 0) {
        char number[32];
        snprintf(number, sizeof number, "%lld:", (long long)pf_csv_line(reader));
        strcat(out, number);
        for (int i = 0; i < count; i++) strcat(strcat(out, i ? "|" : ""), fields[i]);
        strcat(out, "/");
    }
    pf_csv_close(&reader);
    return status < 0 ? err.message : out;
}

#define RECORDS(text) records(text, sizeof(text) - 1)

START_TEST(records_are_read_as_rfc_4180_says)
{
    ck_assert_str_eq(RECORDS(""), "");
    ck_assert_str_eq(RECORDS("a,b"), "1:a|b/");
    ck_assert_str_eq(RECORDS("a,b\n1,2\n"), "1:a|b/2:1|2/");
    ck_assert_str_eq(RECORDS("a,b\r\n1,2\r\n"), "1:a|b/2:1|2/");
    ck_assert_str_eq(RECORDS("a,b\r1,2\r"), "1:a|b/2:1|2/");
    ck_assert_str_eq(RECORDS("a,b\n\n\r\n1,2"), "1:a|b/4:1|2/");
    ck_assert_str_eq(RECORDS("\xef\xbb\xbf\"a\",b\n"), "1:a|b/");
    ck_assert_str_eq(RECORDS(",\n,,\n"), "1:|/2:||/");
    ck_assert_str_eq(RECORDS("\"a,b\",\"c\"\"d\",\"\"\n"), "1:a,b|c\"d|/");
    ck_assert_str_eq(RECORDS("\"a\nb\r\nc\",d\ne,f"), "1:a\nb\r\nc|d/4:e|f/");
    ck_assert_str_eq(RECORDS(" a , b\t, \"c \" \n"), "1:a|b|c /");
    ck_assert_str_eq(RECORDS("a\"b,c\n"), "1:a\"b|c/");
}
END_TEST

START_TEST(delimiters_are_told_by_the_first_line)
{
    ck_assert_str_eq(RECORDS("a;b;c\n1,5;2;3\n"), "1:a|b|c/2:1,5|2|3/");
    ck_assert_str_eq(RECORDS("a\tb c\n1\t 2\n"), "1:a|b c/2:1|2/");
    ck_assert_str_eq(RECORDS("\"a;b;c;d\",e\n"), "1:a;b;c;d|e/");
    snprintf(csv_path, sizeof csv_path, "%s/images.TSV", top);
    ck_assert_str_eq(RECORDS("a,b,c\td\n"), "1:a,b,c|d/");
}
END_TEST

START_TEST(spreadsheets_and_lists_are_told_by_all_lines)
{
    ck_assert_str_eq(RECORDS("sep=;\r\na;b\r\n1,5;2\r\n"), "2:a|b/3:1,5|2/");
    ck_assert_str_eq(RECORDS("a.jpg;1,5\nb.jpg;2,5\n"), "1:a.jpg|1,5/2:b.jpg|2,5/");
    ck_assert_str_eq(RECORDS("a,b;c\n1,2;3\n"), "1:a|b;c/2:1|2;3/");
    ck_assert_str_eq(RECORDS("a|b\n1|2\n"), "1:a|b/2:1|2/");
    ck_assert_str_eq(RECORDS("a.jpg  3 \n b.jpg\t4\n"), "1:a.jpg|3/2:b.jpg|4/");
    ck_assert_str_eq(RECORDS("name\nmy a.jpg\nmy, b.PNG\n"), "1:name/2:my a.jpg/3:my, b.PNG/");
    ck_assert_str_eq(RECORDS("a b\nc\n"), "1:a b/2:c/");
}
END_TEST

START_TEST(encodings_are_marked_or_said)
{
    PfCsvReader *reader;
    const char *const *fields;
    int count;
    ck_assert_str_eq(RECORDS("\xff\xfe\x61\0,\0\xe4\0\n\0"), "1:a|\xc3\xa4/");
    ck_assert_str_eq(RECORDS("\xfe\xff\0a\0,\0\xe4"), "1:a|\xc3\xa4/");
    write_text(csv_path, "a,\x80\n", 4);
    ck_assert(!pf_csv_open(csv_path, &(PfCsvOptions){.encoding = "cp1252"}, &reader, &err));
    ck_assert_int_eq(pf_csv_next(reader, &fields, &count, &err), 1);
    ck_assert_str_eq(fields[1], "\xe2\x82\xac");
    pf_csv_close(&reader);
    write_text(csv_path, "a\nb\n\xc3\x28\n", 7);
    ck_assert(pf_csv_open(csv_path, &(PfCsvOptions){.encoding = "utf8"}, &reader, &err));
    ck_assert_msg(strstr(err.message, "line 3: byte 0xc3 is no character of utf8") != NULL, "%s",
                  err.message);
    ck_assert_uint_eq(pf_text_encoding_utf8_length("a\xc3\xa4\xed\xa0\x80", 6), 3);
    ck_assert_uint_eq(pf_text_encoding_utf8_length("\xc0\x80", 2), 0);
    ck_assert_uint_eq(pf_text_encoding_utf8_length("\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", 8), 4);
}
END_TEST

START_TEST(broken_csv_is_refused_with_its_line)
{
    ck_assert_ptr_nonnull(
        strstr(RECORDS("a,b\n1,\"2\n3"), "line 2, field 2: the quote that opens"));
    ck_assert_ptr_nonnull(strstr(RECORDS("a\n\"1\" 2\n"), "line 2, field 1: text follows"));
    ck_assert_ptr_nonnull(strstr(RECORDS("a\nb\n\0"), "line 3 holds a NUL byte"));
}
END_TEST

START_TEST(texts_are_found_by_number)
{
    PfTextIndex index = {0};
    static char texts[1000][8];
    int32_t new_numbers[1000];
    ck_assert_int_eq(pf_text_index_find(&index, "1", 1), -1);
    for (int i = 0; i < 1000; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", 999 - i);
        ck_assert(!pf_text_index_add(&index, texts[i], &err));
    }
    ck_assert_int_eq(pf_text_index_find(&index, "990", 3), 9);
    ck_assert_int_eq(pf_text_index_find(&index, "990", 2), 900);
    ck_assert_int_eq(pf_text_index_find(&index, "1000", 4), -1);
    ck_assert(!pf_text_index_sort(&index, strcmp, new_numbers, &err));
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(pf_text_index_find(&index, texts[i], strlen(texts[i])), new_numbers[i]);
    ck_assert_str_eq(index.texts[2], "10");
    pf_text_index_free(&index);
}
END_TEST

/* ---- datasets ---- */

typedef struct Targets {
    const char *items[8]; /* up to a NULL */
} Targets;

static int open_manifest(const char *text, Targets targets, PfDatasetOptions options)
{
    while (options.target_count < 8 && targets.items[options.target_count]) options.target_count++;
    options.targets = targets.items;
    pf_dataset_close(&dataset);
    write_text(csv_path, text, strlen(text));
    return pf_dataset_open(csv_path, &options, &dataset, &err);
}

#define OPEN(text, ...)                                                                            \
    ck_assert_msg(!open_manifest(text, (Targets){{__VA_ARGS__}}, (PfDatasetOptions){0}), "%s",     \
                  err.message)
#define REFUSE(text, words, ...)                                                                   \
    do {                                                                                           \
        ck_assert_int_eq(open_manifest(text, (Targets){{__VA_ARGS__}}, (PfDatasetOptions){0}),     \
                         -1);                                                                      \
        ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);                      \
    } while (0)

static const PfCacheTarget *target(int index)
{
    int count;
    const PfCacheTarget *targets = pf_dataset_targets(dataset, &count);
    ck_assert_int_lt(index, count);
    return &targets[index];
}

/* "name kind width: names" */
static const char *describe(int index)
{
    static char text[300];
    const PfCacheTarget *found = target(index);
    int used = snprintf(text, sizeof text, "%s %s %d:", found->name,
                        pf_target_kind_name(found->kind), found->width);
    for (int i = 0; i < found->class_count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %s", found->classes[i]);
    return text;
}

static int target_count(void)
{
    int count;
    pf_dataset_targets(dataset, &count);
    return count;
}

static void check_values(int64_t row, int count, const float *expected)
{
    const float *values = pf_dataset_values(dataset, row);
    for (int i = 0; i < count; i++)
        ck_assert_msg(values[i] == expected[i] || (isnan(values[i]) && isnan(expected[i])),
                      "row %lld, number %d is %g", (long long)row, i, (double)values[i]);
}

#define CHECK_VALUES(row, ...)                                                                     \
    check_values(row, sizeof((const float[]){__VA_ARGS__}) / sizeof(float),                        \
                 (const float[]){__VA_ARGS__})

static int has_warning(const char *words)
{
    int count;
    const char *const *warnings = pf_dataset_warnings(dataset, &count);
    for (int i = 0; i < count; i++)
        if (strstr(warnings[i], words)) return 1;
    return 0;
}

static int has_remark(const char *words)
{
    int count;
    const char *const *remarks = pf_dataset_remarks(dataset, &count);
    for (int i = 0; i < count; i++)
        if (strstr(remarks[i], words)) return 1;
    return 0;
}

START_TEST(columns_are_targets_by_what_they_hold)
{
    OPEN("path,age,sex,smiles,note\n"
         "a.jpg,31,f,1,\nb.jpg,30.5,m,0,\nc.jpg,,f,1,\nd.jpg,NaN,,0,\n",
         NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "manifest");
    ck_assert_int_eq(pf_dataset_count(dataset), 4);
    ck_assert_int_eq(target_count(), 3);
    ck_assert_str_eq(describe(0), "age regression 1:");
    ck_assert_str_eq(describe(1), "sex class 1: f m");
    ck_assert_str_eq(describe(2), "smiles class 1: 0 1");
    CHECK_VALUES(0, 31);
    CHECK_VALUES(1, 30.5f);
    CHECK_VALUES(2, NAN);
    CHECK_VALUES(3, NAN);
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 1)[0], 1);
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 1)[1], 0);
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 3)[0], -1);
    ck_assert_int_eq(pf_dataset_samples(dataset)[1].class_index, 1);
    ck_assert(has_remark("column 'note' is left out: it is empty"));
    ck_assert(has_remark("target sex: class, 2 classes, column 'sex'"));
}
END_TEST

START_TEST(whole_numbers_are_classes_in_their_order)
{
    OPEN("path,k\na.jpg,10.0\nb.jpg,9\nc.jpg,\nd.jpg,-2.0\n", "k:class");
    ck_assert_str_eq(describe(0), "k class 1: -2 9 10");
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 0)[0], 2);
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 2)[0], -1);
    OPEN("path,k\na.jpg,10.5\nb.jpg,9.0\n", "k:class");
    ck_assert_str_eq(describe(0), "k class 1: 10.5 9.0");
    /* Every number another one: nothing to tell classes by. */
    OPEN("path,k\na.jpg,1\nb.jpg,2\nc.jpg,3\n", NULL);
    ck_assert_str_eq(describe(0), "k regression 1:");
}
END_TEST

START_TEST(targets_of_every_kind)
{
    OPEN("path,left_x,left_y,right_x,right_y,red,round,tags\n"
         "a.jpg,1,2,3,4,1,0,new;old\nb.jpg,,,3,4.5,True,,|\nc.jpg,1,2,3,4,0,1,\n",
         "eyes:keypoints=left_x..right_y", "look:multilabel=red,round", "tags:multilabel",
         "pair:regression=right_y,left_x", "x=left_x");
    ck_assert_str_eq(describe(0), "eyes keypoints 4: left right");
    ck_assert_str_eq(describe(1), "look multilabel 2: red round");
    ck_assert_str_eq(describe(2), "tags multilabel 2: new old");
    ck_assert_str_eq(describe(3), "pair regression 2:");
    ck_assert_str_eq(describe(4), "x class 1: 1");
    CHECK_VALUES(0, 1, 2, 3, 4, 1, 0, 1, 1, 4, 1);
    CHECK_VALUES(1, NAN, NAN, 3, 4.5f, 1, NAN, 0, 0, 4.5f, NAN);
    CHECK_VALUES(2, 1, 2, 3, 4, 0, 1, NAN, NAN, 4, 1);
    OPEN("path,x1,y1\na.jpg,1,2\n", "p:keypoints=x1..y1");
    ck_assert_str_eq(describe(0), "p keypoints 2:");
}
END_TEST

START_TEST(a_single_column_of_flags_is_a_label)
{
    OPEN("path,smiles\na.jpg,1\nb.jpg,\n", "smiles:multilabel");
    ck_assert_str_eq(describe(0), "smiles multilabel 1: smiles");
    CHECK_VALUES(0, 1);
    CHECK_VALUES(1, NAN);
}
END_TEST

START_TEST(errors_name_line_and_column)
{
    const char *text = "path,age,sex\na.jpg,1,f\nb.jpg,old,m\n";
    REFUSE(text, "line 3, column 'age': found 'old'; expected a number", "age:regression");
    REFUSE(text, "line 2, column 'sex': found 'f'; expected 0 or 1", "m:multilabel=age,sex");
    REFUSE(text, "line 2, column 'sex': found 'f'; expected a number of", "p:keypoints=age,sex");
    REFUSE(text, "no column 'agee', did you mean 'age'?", "agee");
    REFUSE(text, "no kind 'numbers'", "age:numbers");
    REFUSE(text, "two targets are called 'age'", "age:class", "age=sex");
    REFUSE(text, "comes after 'age'", "p:keypoints=sex..age");
    REFUSE(text, "2 columns; a class is in one", "p:class=age,sex");
    REFUSE(text, "1 column; points are x and y", "age:keypoints");
    REFUSE(text, "2 columns and no kind", "p=age,sex");
    REFUSE(text, "cannot be called 'a/b'", "a/b=age");
    REFUSE("path,a,a\na.jpg,1,2\n", "2 columns of the name 'a'", "a");
    REFUSE("path,age\na.jpg,1e99\n", "found '1e99'", "age:regression");
    REFUSE("path,age\na.jpg,inf\n", "found 'inf'", "age:regression");
    REFUSE("path,age\na.jpg,1e39\n", "found '1e39'; expected a number from -3.4e38 to 3.4e38",
           "age:regression");
    REFUSE("path,age\na.jpg,-1e400\n", "found '-1e400'; expected a number from -3.4e38",
           "age:regression");
    REFUSE("path,age\na.jpg,1e400\nb.jpg,.5\nc.jpg,2.5\n", "expected a number from -3.4e38", NULL);
    REFUSE("path,age\na.jpg,0x10\n", "found '0x10'", "age:regression");
    REFUSE("path,age\na.jpg,\n", "column 'age' of --target age is empty", "age");
    REFUSE("path,age\na.jpg,;\n", "names no labels", "age:multilabel");
    REFUSE("path,age\n,1\na.jpg,2\n", "line 2, column 'path': found ''", NULL);
    REFUSE("path,age\na.jpg\n", "line 2 has 1 fields; the header has 2", NULL);
    REFUSE("path,age\na.jpg,1,2\n", "line 2 has 3 fields", NULL);
    REFUSE("path,split\na.jpg,north\n", "line 2, column 'split': found 'north'", NULL);
    REFUSE("", "is empty", NULL);
    REFUSE("path,age\n\n", "has a header and nothing below it", NULL);
    REFUSE("path\nz.jpg\n", "none of its 1 images is there; the first is 'z.jpg'", NULL);
    REFUSE("a,b\n1,2\n", "no column's first entries name files", NULL);
}
END_TEST

START_TEST(a_list_names_several_targets)
{
    OPEN("path,age,sex\na.jpg,31.5,f\nb.jpg,30,m\n", "sex:class,age");
    ck_assert_int_eq(target_count(), 2);
    ck_assert_str_eq(describe(0), "sex class 1: f m");
    ck_assert_str_eq(describe(1), "age regression 1:");
    /* A column may have a comma in its name. */
    OPEN("path,\"age,sex\",sex\na.jpg,1.5,f\nb.jpg,2.5,m\n", "age,sex:regression", "sex");
    ck_assert_int_eq(target_count(), 2);
    ck_assert_str_eq(describe(0), "age,sex regression 1:");
    REFUSE("path,age,sex\na.jpg,31,f\n", "empty entry in the list 'age,,sex'", "age,,sex");
    REFUSE("path,age,sex\na.jpg,31,f\n", "two targets are called 'age'", "age,age");
}
END_TEST

/* Among numbers, a text is an error and no class of its own. */
START_TEST(text_below_many_numbers_is_an_error)
{
    char text[4000] = "path,age\n";
    for (int i = 0; i < 100; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "a.jpg,%d\n", i);
    }
    OPEN(text, NULL);
    ck_assert_str_eq(describe(0), "age regression 1:");
    ck_assert(has_warning("paths in more than one line, each a row of its own: 'a.jpg'"));
    strcat(text, "a.jpg,unknown\n");
    REFUSE(text, "line 102, column 'age': found 'unknown'", NULL);
    OPEN(text, "age:class");
    ck_assert_int_eq(target(0)->class_count, 101);
}
END_TEST

START_TEST(texts_that_all_differ_are_left_out)
{
    char text[8000] = "path,id\n";
    for (int i = 0; i < 200; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "a.jpg,id%d\n", i);
    }
    OPEN(text, NULL);
    ck_assert_int_eq(target_count(), 0);
    ck_assert(has_remark("column 'id' is left out: most of its texts differ"));
    OPEN(text, "id");
    ck_assert_str_eq(pf_dataset_classes(dataset, &(int){0})[0], "id0");
}
END_TEST

START_TEST(paths_are_found)
{
    char inner[128];
    OPEN("n,which,path\n1,x,a.jpg\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "a.jpg");
    /* No usual name: the column whose entries are files. pandas' index is no target. */
    OPEN(",k,where\n0,1,a.jpg\n1,1,b.jpg\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[1].path, "b.jpg");
    ck_assert_int_eq(target_count(), 1);
    /* A usual name whose entries are none, and one whose are. */
    OPEN("image,file\nfirst,a.jpg\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "a.jpg");
    /* A folder beside the file, a column without a name. */
    snprintf(inner, sizeof inner, "%s/inner", top);
    ck_assert(!mkdir(inner, 0777));
    make_image("inner/e.jpg");
    OPEN(",0,1\ne.jpg,1,2\n", "p:keypoints=0..1");
    ck_assert_str_eq(pf_dataset_root(dataset), inner);
    ck_assert(has_remark("paths: column '', in the folder"));
    /* As told, wherever the file is; and absolute. */
    ck_assert(!open_manifest("path,k\ne.jpg,1\n", (Targets){{NULL}},
                             (PfDatasetOptions){.image_root = inner}));
    ck_assert(open_manifest("path,k\na.jpg,1\n", (Targets){{NULL}},
                            (PfDatasetOptions){.path_column = "pathh"}));
    ck_assert_msg(strstr(err.message, "did you mean 'path'") != NULL, "%s", err.message);
    char text[256];
    snprintf(text, sizeof text, "path,k\n%s/e.jpg,1\n", inner);
    OPEN(text, NULL);
}
END_TEST

START_TEST(missing_images_are_warned_of)
{
    PfSampleBytes bytes = {0};
    OPEN("path,k\na.jpg,1\nz.jpg,2\nb.jpg,2\n", NULL);
    ck_assert(has_warning("images of the manifest that are not there: 'z.jpg'"));
    ck_assert_int_eq(pf_dataset_read(dataset, 1, &bytes, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    pf_sample_bytes_free(&bytes);
}
END_TEST

START_TEST(splits_are_a_column_or_chosen)
{
    static const char text[] = "path,k,Split\na.jpg,1,train\nb.jpg,1,VAL\nc.jpg,2,test\n";
    OPEN(text, NULL);
    ck_assert_int_eq(pf_dataset_samples(dataset)[1].split, PF_SPLIT_VAL);
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TEST), 1);
    ck_assert_int_eq(target_count(), 1);
    OPEN(text, "Split:class");
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TRAIN), 3);
    ck_assert_str_eq(describe(0), "Split class 1: VAL test train");
    ck_assert(open_manifest(text, (Targets){{NULL}}, (PfDatasetOptions){.val_fraction = 0.5}));
    ck_assert(!open_manifest("path,k\na.jpg,1\nb.jpg,1\nc.jpg,1\nd.jpg,1\n", (Targets){{"k:class"}},
                             (PfDatasetOptions){.val_fraction = 0.5, .split_by_path = 1}));
    ck_assert_int_gt(pf_dataset_split_count(dataset, PF_SPLIT_VAL), 0);
}
END_TEST

START_TEST(a_group_is_no_target)
{
    static const char text[] = "path,who,age\na.jpg,ann,1.5\nb.jpg,,2.5\nc.jpg,bob,3.5\n"
                               "d.jpg,ann,4.5\n";
    ck_assert(!open_manifest(text, (Targets){{NULL}}, (PfDatasetOptions){.group_column = "who"}));
    ck_assert_int_eq(target_count(), 1);
    ck_assert(pf_dataset_group(dataset, 0) == pf_dataset_group(dataset, 3));
    ck_assert(pf_dataset_group(dataset, 0) != pf_dataset_group(dataset, 2));
    ck_assert(pf_dataset_group(dataset, 1) == 0);
    uint64_t last = pf_dataset_group(dataset, 3);
    ck_assert(!open_manifest(text, (Targets){{NULL}},
                             (PfDatasetOptions){.group_column = "who", .shard = {4, 4}}));
    ck_assert(pf_dataset_group(dataset, 0) == last);
    ck_assert(open_manifest(text, (Targets){{NULL}}, (PfDatasetOptions){.group_column = "whom"}));
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
}
END_TEST

/* ---- as people write them ---- */

/* The column's only target, with these fields from line 2 on, or the error. */
static const char *column(const char *delimiter, const char *const *fields,
                          PfDatasetOptions options)
{
    char text[2000];
    int used = snprintf(text, sizeof text, "path%sx\n", delimiter);
    for (int i = 0; fields[i]; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%c.jpg%s%s\n", 'a' + i % 4,
                         delimiter, fields[i]);
    return open_manifest(text, (Targets){{NULL}}, options) ? err.message : describe(0);
}
#define COLUMN(delimiter, ...)                                                                     \
    column(delimiter, (const char *const[]){__VA_ARGS__, NULL}, (PfDatasetOptions){0})
#define COLUMN_FAILS(words, delimiter, ...)                                                        \
    ck_assert_msg(strstr(COLUMN(delimiter, __VA_ARGS__), words) != NULL, "%s", err.message)

static void check_numbers(int count, const float *expected)
{
    for (int i = 0; i < count; i++) check_values(i, 1, &expected[i]);
}
#define CHECK_NUMBERS(...)                                                                         \
    check_numbers(sizeof((const float[]){__VA_ARGS__}) / sizeof(float),                            \
                  (const float[]){__VA_ARGS__})
#define NUMBER "x regression 1:"

START_TEST(numbers_are_read_as_the_column_writes_them)
{
    ck_assert_str_eq(COLUMN(";", "0,25", "-7", "1.000", "12.345.678,5"), NUMBER);
    CHECK_NUMBERS(0.25f, -7, 1000, 12345678.5f);
    ck_assert(has_remark("'0,25' is 0.25") || has_remark("'1.000' is 1000"));
    ck_assert_str_eq(COLUMN(",", "\"2,500\"", "\"1,000,000\"", "3.5"), NUMBER);
    CHECK_NUMBERS(2500, 1000000, 3.5f);
    ck_assert_str_eq(COLUMN(",", "\"2,500\"", "\"4,750\""), NUMBER);
    CHECK_NUMBERS(2500, 4750);
    ck_assert_str_eq(COLUMN(",", "$7", "-$2.50", "$ 3"), NUMBER);
    CHECK_NUMBERS(7, -2.5f, 3);
    ck_assert_str_eq(COLUMN(";", "7 %", "12,5%"), NUMBER);
    CHECK_NUMBERS(7, 12.5f);
    ck_assert_str_eq(COLUMN(";", "1 234 567", "8'000",
                            "\xe2\x88\x92"
                            "3",
                            "9\xc2\xa0"
                            "000"),
                     NUMBER);
    CHECK_NUMBERS(1234567, 8000, -3, 9000);
    ck_assert_str_eq(COLUMN("\t", "2,5e3", "1,5"), NUMBER);
    CHECK_NUMBERS(2500, 1.5f);
    /* As ever. */
    ck_assert_str_eq(COLUMN(",", "1.250", "2.125"), NUMBER);
    CHECK_NUMBERS(1.25f, 2.125f);
}
END_TEST

START_TEST(what_is_unsure_is_refused_or_said)
{
    COLUMN_FAILS("line 2, column 'x': found '1,200'", ";", "1,200", "4,500");
    COLUMN_FAILS("'0.5' (line 2) and '0,5' (line 4)", ";", "0.5", "3", "0,5");
    COLUMN_FAILS("'$5' (line 2) and '5' (line 3)", ",", "$5", "5", "6");
    COLUMN_FAILS("line 3, column 'x': found '-inf'", ",", "0.5", "-inf", "3");
    ck_assert_str_eq(COLUMN(";", "1.200", "4.500"), NUMBER);
    ck_assert(has_warning("'1.200' (line 2) is read as 1.2"));
    static const char *const fields[] = {"1,200", "4.500", NULL};
    ck_assert_str_eq(column(";", fields, (PfDatasetOptions){.table.decimal = ","}), NUMBER);
    CHECK_NUMBERS(1.2f, 4500);
    column(";", fields, (PfDatasetOptions){.table.decimal = "."});
    CHECK_NUMBERS(1200, 4.5f);
    /* Another column says what this one does not. */
    OPEN("path;x;y\na.jpg;1,200;0,5\n", NULL);
    CHECK_VALUES(0, 1.2f, 0.5f);
    ck_assert_str_eq(COLUMN(",", "12 kg", "15 kg", "9 kg"), "x class 1: 12 kg 15 kg 9 kg");
    ck_assert(has_warning("looks like numbers in 3 of 3 lines, but '12 kg' (line 2)"));
    ck_assert_str_eq(COLUMN(",", "3.5", "old", "4.5"), "x class 1: 3.5 4.5 old");
    ck_assert(has_warning("looks like numbers in 2 of 3 lines, but 'old' (line 3)"));
}
END_TEST

START_TEST(a_fault_among_numbers_is_one_wherever_it_stands)
{
    for (int place = 0; place <= 40; place += 20) {
        char text[2000] = "path,age\n", words[64];
        for (int i = 0; i <= 40; i++) {
            size_t used = strlen(text);
            if (i == place) used += (size_t)snprintf(text + used, 99, "a.jpg,old\n");
            snprintf(text + used, sizeof text - used, "a.jpg,%d\n", i);
        }
        snprintf(words, sizeof words, "line %d, column 'age': found 'old'", place + 2);
        REFUSE(text, words, NULL);
    }
}
END_TEST

START_TEST(missing_fields_are_counted)
{
    ck_assert_str_eq(COLUMN(",", "1.5", "None", "#N/A", "", "<NA>", "?", "2"), NUMBER);
    CHECK_NUMBERS(1.5f, NAN, NAN, NAN, NAN, NAN, 2);
    ck_assert(has_remark("missing in 5 lines, 4 of them 'None' or the like"));
    ck_assert_str_eq(COLUMN(",", "1.5", "NA", "None", "null", "2.5"), NUMBER);
    ck_assert(has_remark("missing in 3 lines, 3 of them 'NA' or the like"));
    ck_assert_str_eq(COLUMN(",", "1.5", "NA", "NA", "2.5"), NUMBER);
    ck_assert(has_remark("missing in 2 lines, 2 of them 'NA'") && !has_remark("or the like"));
    ck_assert_str_eq(COLUMN(",", "f", "-", "m", "-", "f", "None"), "x class 1: - f m");
    ck_assert(has_warning("'-' is a class of its own, in 2 lines"));
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 5)[0], -1);
}
END_TEST

/* Names of --target x:multilabel. */
static const char *labels(const char *const *fields, const char *separator)
{
    char text[1000] = "path;x\n";
    for (int i = 0; fields[i]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "a.jpg;\"%s\"\n", fields[i]);
    return open_manifest(text, (Targets){{"x:multilabel"}},
                         (PfDatasetOptions){.table.separator = separator})
               ? err.message
               : describe(0);
}
#define LABELS(separator, ...) labels((const char *const[]){__VA_ARGS__, NULL}, separator)

START_TEST(labels_are_parted_as_all_fields_say)
{
    ck_assert_str_eq(LABELS(NULL, "red, big", "big", "old,red"), "x multilabel 3: big old red");
    CHECK_VALUES(2, 0, 1, 1);
    ck_assert_str_eq(LABELS(NULL, "red big", "red", "big", "old big"),
                     "x multilabel 3: big old red");
    ck_assert_str_eq(LABELS(NULL, "['long hair' 'x']", "[]", "['x']"),
                     "x multilabel 2: long hair x");
    CHECK_VALUES(1, 0, 0);
    ck_assert_str_eq(LABELS(NULL, "(4, 7)", "(7,)"), "x multilabel 2: 4 7");
    ck_assert_str_eq(LABELS(NULL, "long hair", "red hat"), "x multilabel 2: long hair red hat");
    ck_assert(has_warning("'long hair' (line 2) has spaces in its labels' names"));
    ck_assert_str_eq(LABELS(NULL, "a,b;c", "c"), "x multilabel 2: a,b c");
    ck_assert(has_warning("has commas in its labels' names"));
    ck_assert_str_eq(LABELS("/", "a,b/c", "c"), "x multilabel 2: a,b c");
    ck_assert_ptr_nonnull(strstr(LABELS(NULL, "[a]", "b"), "'[a]' (line 2) and 'b' (line 3)"));
    ck_assert_ptr_nonnull(strstr(LABELS(NULL, "[0, 1]", "[1, 0]"), "by their place"));
    OPEN("path,p,q\na.jpg,-1,1\nb.jpg,1,-1\n", "l:multilabel=p,q");
    CHECK_VALUES(0, 0, 1);
    REFUSE("path,p,q\na.jpg,-1,1\nb.jpg,1,0\n",
           "'-1' (line 2, column 'p') and '0' (line 3, column 'q')", "l:multilabel=p,q");
    OPEN("path,p\na.jpg,yes\nb.jpg,No\n", "p:multilabel");
    ck_assert_str_eq(describe(0), "p multilabel 1: p");
}
END_TEST

/* In memory, labels in one column are lines times different labels: a few of everything are
 * nothing, and a text of its own in every line is no label. */
START_TEST(labels_that_all_differ_are_refused)
{
    enum { LINES = 20000 };
    char *text = malloc(LINES * 16 + 16), *at = text;
    at += sprintf(at, "path,x\n");
    for (int i = 0; i < LINES; i++) at += sprintf(at, "a.jpg,n%d\n", i);
    REFUSE(text, "column 'x' of --target x has 20000 different labels", "x:multilabel");
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "expected 1024 MB at most"));
    at = text + sprintf(text, "path,x\n");
    for (int i = 0; i < LINES; i++) at += sprintf(at, "a.jpg,n%d\n", i % 100);
    OPEN(text, "x:multilabel");
    ck_assert_int_eq(target(0)->width, 100);
    free(text);
}
END_TEST

static void check_splits(const char *expected)
{
    for (int i = 0; expected[i]; i++)
        ck_assert_int_eq("Tve"[pf_dataset_samples(dataset)[i].split], expected[i]);
}

static int open_split(const char *text, const char *column_name)
{
    return open_manifest(text, (Targets){{NULL}},
                         (PfDatasetOptions){.table.split_column = column_name});
}

START_TEST(splits_are_told_by_what_columns_hold)
{
    OPEN("path,is_valid\na.jpg,FALSE\nb.jpg,1\nc.jpg,no\n", NULL);
    check_splits("TvT");
    ck_assert(has_remark("split: column 'is_valid', true is val"));
    ck_assert_int_eq(target_count(), 0);
    OPEN("path,is_train\na.jpg,1\nb.jpg,0\n", NULL);
    check_splits("Tv");
    OPEN("path,Subset\na.jpg,training\nb.jpg,Dev\nc.jpg,TESTING\n", NULL);
    check_splits("Tve");
    REFUSE("path,fold\na.jpg,train\nb.jpg,val\nc.jpg,\n", "line 4, column 'fold': found ''", NULL);
    REFUSE("path,set,fold\na.jpg,train,train\n", "'set' and 'fold' both", NULL);
    static const char folds[] = "path,fold,y\na.jpg,0,p\nb.jpg,1,q\nc.jpg,2,p\n";
    OPEN(folds, NULL);
    check_splits("TTT");
    ck_assert(has_warning("column 'fold' is not taken for the split"));
    ck_assert(!open_split(folds, "fold=1"));
    check_splits("TvT");
    ck_assert(!open_split(folds, "fold=2,0"));
    check_splits("eTv");
    ck_assert_int_eq(target_count(), 1);
    ck_assert(open_split(folds, "fold"));
    ck_assert_msg(strstr(err.message, "line 2, column 'fold': found '0'") != NULL, "%s",
                  err.message);
    ck_assert(open_split(folds, "fold="));
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    static const char floats[] = "path,fold\na.jpg,0.0\nb.jpg,1.0\nc.jpg,\n";
    ck_assert(!open_split(floats, "fold=0"));
    check_splits("vTT");
    ck_assert(!open_split(floats, "fold=1,0"));
    check_splits("evT");
    ck_assert(!open_split("path,split\na.jpg,val\nb.jpg,x\n", "none"));
    check_splits("TT");
    OPEN("path,test\na.jpg,0\nb.jpg,1\n", NULL);
    check_splits("TT");
    ck_assert(has_warning("--split-column test"));
    ck_assert(!open_split("path,test\na.jpg,0\nb.jpg,1\n", "test"));
    check_splits("Te");
    /* Of a column that --target names, alone or among others, it is a target. */
    static const char *const named[] = {"split", "split:class", "split,y", "y,split:class",
                                        "split=y"};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        OPEN("path,split,y\na.jpg,train,1.5\nb.jpg,val,2.5\n", named[i]);
        check_splits("TT");
    }
    OPEN("path,split,y\na.jpg,train,1.5\nb.jpg,val,2.5\n", "y");
    check_splits("Tv");
    OPEN("path,split,splits\na.jpg,train,p\nb.jpg,val,q\n", "splits");
    check_splits("Tv");
    REFUSE("path,split,Split\na.jpg,train,val\n", "'split' and 'Split' both look like", NULL);
}
END_TEST

START_TEST(values_of_splits_that_no_line_has_are_refused)
{
    static const char folds[] = "path,fold\na.jpg,0\nb.jpg,1\nc.jpg,2\n";
    ck_assert(open_split(folds, "fold=9"));
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    ck_assert_msg(strstr(err.message, "is val: none has '9' in the column 'fold'. Line 2 has '0'"),
                  "%s", err.message);
    ck_assert(open_split(folds, "fold=0,9"));
    ck_assert_msg(strstr(err.message, "is test: none has '9' in the column 'fold'. Line 3 has '1'"),
                  "%s", err.message);
    ck_assert(open_split(folds, "fold=0,0.0"));
    ck_assert_msg(strstr(err.message, "that is not val's. Line 3 has '1'"), "%s", err.message);
}
END_TEST

/* A header of `columns` names, and a line of numbers below it. */
static char *wide_table(int columns, const char *first, const char *path)
{
    size_t size = (size_t)columns * 24 + 1000, used;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    used = (size_t)sprintf(text, "%s", first);
    for (int i = 1; i < columns; i++) used += (size_t)sprintf(text + used, ",gene%d", i);
    used += (size_t)sprintf(text + used, "\n%s", path);
    for (int i = 1; i < columns; i++) used += (size_t)sprintf(text + used, ",%d.5", i % 10);
    return text;
}

START_TEST(wide_tables_are_read_and_wider_ones_refused)
{
    char *text = wide_table(40000, "path", "a.jpg");
    OPEN(text, "genes:regression=gene1..gene39999");
    ck_assert_int_eq(target(0)->width, 39999);
    OPEN(text, NULL);
    ck_assert_int_eq(target_count(), 39999);
    free(text);
    text = wide_table(40000, "what", "nothing");
    REFUSE(text, "no column's first entries name files", NULL);
    free(text);
    text = wide_table(200000, "path", "a.jpg");
    REFUSE(text, "has 200000 columns in its first line; expected 65536 at most", NULL);
    free(text);
}
END_TEST

START_TEST(a_first_line_of_an_image_is_no_header)
{
    OPEN("b.jpg,dog\na.jpg,cat\n", NULL);
    ck_assert_int_eq(pf_dataset_count(dataset), 2);
    ck_assert_str_eq(describe(0), "column2 class 1: cat dog");
    ck_assert(has_warning("line 1 names no columns: 'b.jpg' is an image"));
    make_image("raw");
    make_image("raw2");
    OPEN("7,raw\n8,raw2\n", NULL);
    ck_assert_int_eq(pf_dataset_count(dataset), 2);
    ck_assert(
        !open_manifest("a,x\nb,y\n", (Targets){{NULL}}, (PfDatasetOptions){.table.no_header = 1}));
    ck_assert_str_eq(pf_dataset_samples(dataset)[1].path, "b.jpg");
    snprintf(csv_path, sizeof csv_path, "%s/list.txt", top);
    OPEN("a.jpg 3\nb.jpg 4\n", "column2:class");
    ck_assert_str_eq(describe(0), "column2 class 1: 3 4");
    ck_assert(!has_warning("names no columns"));
}
END_TEST

START_TEST(paths_are_found_in_other_spellings)
{
    char inner[128];
    snprintf(inner, sizeof inner, "%s/in", top);
    ck_assert(!mkdir(inner, 0777));
    make_image("in/e.png");
    OPEN("path,k\nin\\e.png,1\na.jpg,2\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "in/e.png");
    ck_assert(has_remark("1 of 2 are there in another spelling only, 'in\\\\e.png' as 'in/e.png'"));
    OPEN("path,k\nD:\\my photos\\in\\e.png,1\nD:\\my photos\\a.jpg,2\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[1].path, "a.jpg");
    /* Folders that differ are not left out: their images are others. */
    ck_assert(open_manifest("path,k\nd/one/a.jpg,1\nd/two/b.jpg,2\n", (Targets){{NULL}},
                            (PfDatasetOptions){0}));
    OPEN("path,k\nd/x/a.jpg,1\nd/x/in/e.png,1\nd/x/b.jpg,2\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[1].path, "in/e.png");
    OPEN("id,k\na,1\nb.jpg,2\nb,2\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "a.jpg");
    ck_assert(has_warning("paths in more than one line, each a row of its own: 'b.jpg'"));
    make_image("a.png");
    REFUSE("id,k\na,1\nb,2\n", "--suffix says which ending is meant", NULL);
    /* One file of two endings, as on a disk that does not tell A from a. */
    char one[128], two[128];
    snprintf(one, sizeof one, "%s/b.jpg", top);
    snprintf(two, sizeof two, "%s/b.JPG", top);
    ck_assert(!link(one, two));
    OPEN("path,k\nb,2\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "b.jpg");
    ck_assert(!unlink(two));
    ck_assert(!open_manifest("id,k\na,1\nb.JPG,2\n", (Targets){{NULL}},
                             (PfDatasetOptions){.table.suffix = ".jpg", .path_column = "id"}));
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "a.jpg");
    ck_assert(has_warning("not there: 'b.JPG'"));
    /* Numbers are no names of files just because there are such. */
    make_image("0.jpg");
    REFUSE("k,what\n0,x\n0,y\n", "no column's first entries name files", NULL);
}
END_TEST

START_TEST(texts_that_are_not_utf8_are_refused)
{
    REFUSE("path,k\na.jpg,B\xe4r\n", "line 2: byte 0xe4 behind 'B' is not UTF-8", NULL);
    REFUSE("path,B\xe4r\na.jpg,1\n", "line 1: byte 0xe4", NULL);
    ck_assert(!open_manifest("path,k\na.jpg,B\xe4r\n", (Targets){{NULL}},
                             (PfDatasetOptions){.table.encoding = "latin1"}));
    ck_assert_str_eq(describe(0), "k class 1: B\xc3\xa4r");
    /* Names of files are bytes. */
    make_image("\xe4.jpg");
    OPEN("path,k\n\xe4.jpg,1\n", NULL);
    ck_assert_str_eq(pf_dataset_samples(dataset)[0].path, "\xe4.jpg");
}
END_TEST

/* What caches that are there were begun with. */
START_TEST(the_first_reading_is_still_there)
{
    static const char text[] = "path,set,x,l\na.jpg,train,\"1,5\",None\nb.jpg,val,\"2,5\",B\xe4r\n";
    PfDatasetOptions before = {.as_before = 1};
    ck_assert(!open_manifest(text, (Targets){{NULL}}, before));
    ck_assert_int_eq(target_count(), 3);
    ck_assert_str_eq(describe(0), "set class 1: train val");
    ck_assert_str_eq(describe(1), "x class 1: 1,5 2,5");
    ck_assert_str_eq(describe(2), "l class 1: B\xe4r None");
    check_splits("TT");
    ck_assert(!open_manifest("a.jpg,dog\nb.jpg,cat\n", (Targets){{NULL}}, before));
    ck_assert_str_eq(describe(0), "dog class 1: cat");
    ck_assert(
        !open_manifest("path,l\na.jpg,\"a,b\"\nb.jpg,b\n", (Targets){{"l:multilabel"}}, before));
    ck_assert_str_eq(describe(0), "l multilabel 2: a,b b");
}
END_TEST

START_TEST(a_shard_has_its_own_rows)
{
    ck_assert(!open_manifest("path,age\na.jpg,1.5\nb.jpg,2.5\n", (Targets){{NULL}},
                             (PfDatasetOptions){.shard = {2, 2}}));
    ck_assert_int_eq(pf_dataset_count(dataset), 1);
    CHECK_VALUES(0, 2.5f);
}
END_TEST

START_TEST(class_folders_have_one_target)
{
    char path[128];
    snprintf(path, sizeof path, "%s/ants", top);
    ck_assert(!mkdir(path, 0777));
    make_image("ants/1.jpg");
    pf_dataset_close(&dataset);
    ck_assert(!pf_dataset_open(top, NULL, &dataset, &err));
    ck_assert_str_eq(describe(0), "class class 1: ants");
    ck_assert_int_eq(pf_dataset_class_indices(dataset, 0)[0], 0);
    ck_assert_ptr_null(pf_dataset_values(dataset, 0));
    pf_dataset_close(&dataset);
    ck_assert(pf_dataset_open(top, &(PfDatasetOptions){.path_column = "path"}, &dataset, &err));
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest");
    TCase *csv = tcase_create("csv"), *manifests = tcase_create("manifests");
    tcase_add_checked_fixture(csv, make_top, remove_top);
    tcase_add_checked_fixture(manifests, make_top, remove_top);
    tcase_add_checked_fixture(manifests, make_images, NULL);
    tcase_add_test(csv, records_are_read_as_rfc_4180_says);
    tcase_add_test(csv, delimiters_are_told_by_the_first_line);
    tcase_add_test(csv, spreadsheets_and_lists_are_told_by_all_lines);
    tcase_add_test(csv, encodings_are_marked_or_said);
    tcase_add_test(csv, broken_csv_is_refused_with_its_line);
    tcase_add_test(csv, texts_are_found_by_number);
    tcase_add_test(manifests, columns_are_targets_by_what_they_hold);
    tcase_add_test(manifests, whole_numbers_are_classes_in_their_order);
    tcase_add_test(manifests, targets_of_every_kind);
    tcase_add_test(manifests, a_list_names_several_targets);
    tcase_add_test(manifests, a_single_column_of_flags_is_a_label);
    tcase_add_test(manifests, errors_name_line_and_column);
    tcase_add_test(manifests, text_below_many_numbers_is_an_error);
    tcase_add_test(manifests, texts_that_all_differ_are_left_out);
    tcase_add_test(manifests, paths_are_found);
    tcase_add_test(manifests, missing_images_are_warned_of);
    tcase_add_test(manifests, splits_are_a_column_or_chosen);
    tcase_add_test(manifests, a_group_is_no_target);
    tcase_add_test(manifests, numbers_are_read_as_the_column_writes_them);
    tcase_add_test(manifests, what_is_unsure_is_refused_or_said);
    tcase_add_test(manifests, a_fault_among_numbers_is_one_wherever_it_stands);
    tcase_add_test(manifests, missing_fields_are_counted);
    tcase_add_test(manifests, labels_are_parted_as_all_fields_say);
    tcase_add_test(manifests, labels_that_all_differ_are_refused);
    tcase_add_test(manifests, splits_are_told_by_what_columns_hold);
    tcase_add_test(manifests, values_of_splits_that_no_line_has_are_refused);
    tcase_add_test(manifests, wide_tables_are_read_and_wider_ones_refused);
    tcase_add_test(manifests, a_first_line_of_an_image_is_no_header);
    tcase_add_test(manifests, paths_are_found_in_other_spellings);
    tcase_add_test(manifests, texts_that_are_not_utf8_are_refused);
    tcase_add_test(manifests, the_first_reading_is_still_there);
    tcase_add_test(manifests, a_shard_has_its_own_rows);
    tcase_add_test(manifests, class_folders_have_one_target);
    suite_add_tcase(suite, csv);
    suite_add_tcase(suite, manifests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
