/* Datasets: trees made in a temporary folder, listed and read. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/cache/split.h"
#include "extract/dataset/dataset.h"

static char top[64];
static PfDataset *dataset;
static PfError err;

/* ---- making trees ---- */

static void make_top(void)
{
    strcpy(top, "/tmp/pf_dataset_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    dataset = NULL;
    err = (PfError){0};
}

static void remove_top(void)
{
    pf_dataset_close(&dataset);
    char command[192];
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", top, top);
    ck_assert_int_eq(system(command), 0);
}

static const char *in_top(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void make_folders(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s", in_top(name));
    for (char *slash = path + strlen(top) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        ck_assert(!mkdir(path, 0777) || errno == EEXIST);
        *slash = '/';
    }
}

static void make_file(const char *name, const void *data, size_t size)
{
    make_folders(name);
    FILE *stream = fopen(in_top(name), "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(data, 1, size, stream), size);
    ck_assert_int_eq(fclose(stream), 0);
}

/* Files that hold their own names; the list ends with NULL. A name that ends
 * with '/' is an empty folder. */
static void make_tree(const char *const *names)
{
    for (; *names; names++)
        if ((*names)[strlen(*names) - 1] == '/')
            make_folders(*names);
        else
            make_file(*names, *names, strlen(*names));
}
#define MAKE_TREE(...) make_tree((const char *const[]){__VA_ARGS__, NULL})

/* ---- looking at datasets ---- */

static void open_dataset(const char *operand, const PfDatasetOptions *options)
{
    if (pf_dataset_open(operand, options, &dataset, &err)) ck_abort_msg("%s", err.message);
}

/* Class names, comma-separated. */
static const char *classes_text(void)
{
    static char text[512];
    int count;
    const char *const *classes = pf_dataset_classes(dataset, &count);
    text[0] = '\0';
    for (int i = 0; i < count; i++) sprintf(text + strlen(text), "%s%s", i ? "," : "", classes[i]);
    return text;
}

/* "path:class:split" of every sample, blank-separated. */
static const char *samples_text(void)
{
    static char text[2048];
    text[0] = '\0';
    const PfSample *samples = pf_dataset_samples(dataset);
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++)
        sprintf(text + strlen(text), "%s%s:%d:%d", i ? " " : "", samples[i].path,
                samples[i].class_index, (int)samples[i].split);
    return text;
}

static int warns_of(const char *words)
{
    int count;
    const char *const *warnings = pf_dataset_warnings(dataset, &count);
    for (int i = 0; i < count; i++)
        if (strstr(warnings[i], words)) return 1;
    return 0;
}

static int warning_count(void)
{
    int count;
    pf_dataset_warnings(dataset, &count);
    return count;
}

static void assert_fails(const char *operand, const PfDatasetOptions *options, int exit_code,
                         const char *words)
{
    ck_assert_int_eq(pf_dataset_open(operand, options, &dataset, &err), -1);
    ck_assert_ptr_null(dataset);
    ck_assert_int_eq(err.exit_code, exit_code);
    if (!strstr(err.message, words)) ck_abort_msg("'%s' not in: %s", words, err.message);
}

/* ---- class folders ---- */

START_TEST(class_folders_are_listed_in_torchvisions_order)
{
    MAKE_TREE("10/b.jpg", "10/a.JPG", "2/x.png", "1/x.webp", "1/notes.txt", "readme.md",
              "2/deep/er/y.tif", "2/deep er/z.bmp", "2/e/w.pgm");
    open_dataset(top, NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "class folders");
    ck_assert_str_eq(classes_text(), "1,10,2");
    ck_assert_str_eq(samples_text(), "1/x.webp:0:0 10/a.JPG:1:0 10/b.jpg:1:0 2/x.png:2:0 "
                                     "2/deep er/z.bmp:2:0 2/deep/er/y.tif:2:0 2/e/w.pgm:2:0");
    ck_assert_int_eq(pf_dataset_ignored_count(dataset), 2);
    ck_assert_int_eq(warning_count(), 0);
    ck_assert_str_eq(pf_dataset_root(dataset), top);
}
END_TEST

START_TEST(hidden_and_empty_folders_are_named)
{
    MAKE_TREE("ants/1.jpg", "ants/.ipynb_checkpoints/1.jpg", ".git/1.jpg", "bees/1.jpg",
              "bees/._1.jpg", "masks/1.xml", "none/", "stray.jpg");
    open_dataset(top, NULL);
    ck_assert_str_eq(classes_text(), "ants,bees");
    ck_assert_str_eq(samples_text(), "ants/1.jpg:0:0 bees/1.jpg:1:0");
    ck_assert(warns_of("hidden folders left out"));
    ck_assert(warns_of("'.git', 'ants/.ipynb_checkpoints'"));
    ck_assert(warns_of("'bees/._1.jpg'"));
    ck_assert(warns_of("class folders without images, left out: 'masks', 'none'"));
    ck_assert(warns_of("images beside the class folders, left out: 'stray.jpg'"));
    ck_assert_int_eq(warning_count(), 4);
}
END_TEST

START_TEST(long_lists_of_names_are_cut)
{
    MAKE_TREE("a/1.jpg", "e7/", "e3/", "e5/", "e1/", "e2/", "e4/", "e6/");
    open_dataset(top, NULL);
    ck_assert(warns_of("'e1', 'e2', 'e3', 'e4', 'e5' and 2 more"));
}
END_TEST

START_TEST(links_are_followed_but_not_in_circles)
{
    MAKE_TREE("data/a/x.jpg", "data/a/sub/y.jpg", "data/b/x.jpg", "elsewhere/z.jpg");
    ck_assert_int_eq(symlink("../elsewhere", in_top("data/c")), 0);
    ck_assert_int_eq(symlink("..", in_top("data/a/sub/up")), 0);
    ck_assert_int_eq(symlink("../..", in_top("data/a/top")), 0);
    ck_assert_int_eq(symlink("../../data", in_top("data/b/root")), 0);
    ck_assert_int_eq(symlink("nowhere", in_top("data/b/dangling.jpg")), 0);
    open_dataset(in_top("data"), NULL);
    ck_assert(warns_of("links back to a folder that they lie in, not followed: "
                       "'a/sub/up', "));
    ck_assert(warns_of("'b/root'"));
    ck_assert_str_eq(classes_text(), "a,b,c");
    ck_assert_ptr_nonnull(strstr(samples_text(), "c/z.jpg:2:0"));
    ck_assert_ptr_nonnull(strstr(samples_text(), "b/dangling.jpg:1:0"));
}
END_TEST

/* Where class folders lie, such a link would have every image once more, under another class or on
 * another side. */
START_TEST(links_back_are_no_classes)
{
    MAKE_TREE("photos/a/x.jpg", "photos/b/x.jpg", "split/train/a/x.jpg", "split/val/a/y.jpg");
    ck_assert_int_eq(symlink(".", in_top("photos/all")), 0);
    open_dataset(in_top("photos"), NULL);
    ck_assert_str_eq(classes_text(), "a,b");
    ck_assert(warns_of("links back to a folder that they lie in, not followed: 'all'"));
    pf_dataset_close(&dataset);
    ck_assert_int_eq(symlink("..", in_top("split/train/up")), 0);
    ck_assert_int_eq(symlink(".", in_top("split/test")), 0);
    open_dataset(in_top("split"), NULL);
    ck_assert_str_eq(classes_text(), "a");
    ck_assert_str_eq(samples_text(), "train/a/x.jpg:0:0 val/a/y.jpg:0:1");
    ck_assert(warns_of("not followed: 'test', 'train/up'"));
}
END_TEST

/* Followed, ten of them would be 10^16 folders for the look at what "test" holds. */
START_TEST(links_in_circles_are_not_looked_into)
{
    MAKE_TREE("cat/1.jpg", "test/");
    for (char name[] = "test/a"; name[5] <= 'j'; name[5]++)
        ck_assert_int_eq(symlink(".", in_top(name)), 0);
    open_dataset(top, NULL);
    ck_assert_str_eq(samples_text(), "cat/1.jpg:0:0");
    ck_assert(warns_of("links back to a folder that they lie in, not followed: "
                       "'test/a', 'test/b', 'test/c', 'test/d', 'test/e' and 5 more"));
}
END_TEST

/* Folders 0 to `rungs` - 1 below `folder`, each with links to the next one. */
static void make_ladder(const char *folder, int rungs, int links)
{
    char name[64], target[16];
    for (int rung = 0; rung < rungs; rung++) {
        snprintf(name, sizeof name, "%s/%d/", folder, rung);
        make_folders(name);
        snprintf(target, sizeof target, "../%d", rung + 1);
        for (int link = 0; link < links && rung + 1 < rungs; link++) {
            snprintf(name, sizeof name, "%s/%d/%d", folder, rung, link);
            ck_assert_int_eq(symlink(target, in_top(name)), 0);
        }
    }
}

START_TEST(ladders_of_links_are_refused)
{
    MAKE_TREE("cat/1.jpg");
    make_ladder("cat", 3, 30);
    open_dataset(top, NULL);
    ck_assert_int_eq(pf_dataset_count(dataset), 1);
    pf_dataset_close(&dataset);
    make_ladder("dog", 3, 1000);
    assert_fails(top, NULL, PF_EXIT_FAILED, "links lead to more than 1000000 folders, the last");
    ck_assert_ptr_nonnull(strstr(err.message, "'dog/"));
}
END_TEST

START_TEST(ladders_of_links_are_not_looked_into)
{
    MAKE_TREE("cat/1.jpg");
    make_ladder("test", 10, 10);
    assert_fails(top, NULL, PF_EXIT_FAILED, "links lead to more than 100000 folders, the last");
    ck_assert_ptr_nonnull(strstr(err.message, "'test/"));
}
END_TEST

START_TEST(a_folder_above_the_one_meant_is_pointed_out)
{
    MAKE_TREE("photos/ants/1.jpg", "photos/bees/1.jpg");
    open_dataset(top, NULL);
    ck_assert_str_eq(classes_text(), "photos");
    ck_assert(warns_of("'photos' is the only class"));
}
END_TEST

/* For the rest of this test's process: root may read anything. */
static void be_an_ordinary_user(void)
{
    const uid_t nobody = 65534;
    if (geteuid()) return;
    ck_assert_int_eq(chown(top, nobody, (gid_t)-1), 0);
    ck_assert_int_eq(seteuid(nobody), 0);
}

/* Whoever cleans up may be root. */
static void be_who_one_was(void)
{
    ck_assert_int_eq(seteuid(getuid()), 0);
}

START_TEST(a_folder_that_may_not_be_read_is_an_error)
{
    MAKE_TREE("a/1.jpg", "b/1.jpg", "b/closed/2.jpg", "lost+found/x", "c/3.jpg");
    ck_assert_int_eq(chmod(in_top("b/closed"), 0), 0);
    ck_assert_int_eq(chmod(in_top("lost+found"), 0), 0);
    be_an_ordinary_user();
    assert_fails(top, NULL, PF_EXIT_FAILED, "folder 'b/closed' cannot be read: Permission denied");
    be_who_one_was();
    ck_assert_int_eq(chmod(in_top("b/closed"), 0755), 0);
    ck_assert_int_eq(chmod(in_top("b"), 0), 0);
    be_an_ordinary_user();
    assert_fails(top, NULL, PF_EXIT_FAILED, "folder 'b' cannot be read");
    ck_assert_ptr_nonnull(strstr(err.message, "Hint: make it readable"));
    be_who_one_was();
    ck_assert_int_eq(chmod(in_top("b"), 0755), 0);
    be_an_ordinary_user();
    open_dataset(top, NULL);
    ck_assert(warns_of("folders that cannot be read, left out: 'lost+found'"));
    ck_assert_int_eq(pf_dataset_count(dataset), 4);
    be_who_one_was();
}
END_TEST

/* A split's folder, and what a link leads to. */
START_TEST(a_closed_split_or_link_is_an_error_too)
{
    MAKE_TREE("train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "photos/a/1.jpg", "far/b/2.jpg");
    ck_assert_int_eq(chmod(in_top("val"), 0), 0);
    ck_assert_int_eq(symlink("../far/b", in_top("photos/b")), 0);
    ck_assert_int_eq(symlink("../nowhere", in_top("photos/c")), 0);
    ck_assert_int_eq(chmod(in_top("far"), 0), 0);
    be_an_ordinary_user();
    assert_fails(top, NULL, PF_EXIT_FAILED, "cannot be read: Permission denied");
    assert_fails(in_top("photos"), NULL, PF_EXIT_FAILED, "folder 'b' cannot be read");
    be_who_one_was();
}
END_TEST

/* ---- splits and flat folders ---- */

START_TEST(split_folders_become_splits)
{
    MAKE_TREE("test/1.jpg", "test/10.jpg", "valid/bees/v.jpg", "valid/wasps/w.jpg",
              "train/bees/b.jpg", "train/ants/a.jpg", "masks/x.jpg", "README.txt");
    open_dataset(top, NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "train/valid/test class folders");
    ck_assert_str_eq(classes_text(), "ants,bees,wasps");
    ck_assert_str_eq(samples_text(),
                     "train/ants/a.jpg:0:0 train/bees/b.jpg:1:0 valid/bees/v.jpg:1:1 "
                     "valid/wasps/w.jpg:2:1 test/1.jpg:-1:2 test/10.jpg:-1:2");
    ck_assert(warns_of("classes without training images: 'wasps'"));
    ck_assert(warns_of("folders beside the splits' folders, left out: 'masks'"));
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TEST), 2);
}
END_TEST

START_TEST(a_second_folder_for_a_split_is_left_out)
{
    MAKE_TREE("train/a/1.jpg", "val/a/2.jpg", "validation/a/3.jpg");
    open_dataset(top, NULL);
    ck_assert_str_eq(samples_text(), "train/a/1.jpg:0:0 val/a/2.jpg:0:1");
    ck_assert(warns_of("'validation'"));
}
END_TEST

START_TEST(a_class_may_be_called_train)
{
    MAKE_TREE("bus/1.jpg", "ship/1.jpg", "train/1.jpg");
    open_dataset(top, NULL);
    ck_assert_str_eq(classes_text(), "bus,ship,train");
}
END_TEST

START_TEST(train_alone_is_a_split)
{
    MAKE_TREE("train/a/1.jpg", "train/b/1.jpg", "labels.csv");
    open_dataset(top, NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "train class folders");
    ck_assert_str_eq(classes_text(), "a,b");
}
END_TEST

/* "kind; classes; train/val/test" of a tree that has just been made, which is removed. */
static const char *layout(const char *const *names, const PfDatasetOptions *options)
{
    static char text[512];
    make_tree(names);
    open_dataset(top, options);
    snprintf(text, sizeof text, "%s; %s; %d/%d/%d", pf_dataset_kind(dataset), classes_text(),
             (int)pf_dataset_split_count(dataset, PF_SPLIT_TRAIN),
             (int)pf_dataset_split_count(dataset, PF_SPLIT_VAL),
             (int)pf_dataset_split_count(dataset, PF_SPLIT_TEST));
    remove_top();
    make_top();
    return text;
}
#define LAYOUT(options, ...) layout((const char *const[]){__VA_ARGS__, NULL}, options)

START_TEST(splits_are_called_as_people_call_them)
{
    ck_assert_str_eq(LAYOUT(NULL, "VAL/x/1.jpg", "Train/x/1.jpg", "Train/y/2.jpg", "Test/y/3.jpg"),
                     "Train/VAL/Test class folders; x,y; 2/1/1");
    ck_assert_str_eq(LAYOUT(NULL, "test-images/x/1.jpg", "train_images/x/1.jpg"),
                     "train_images/test-images class folders; x; 1/0/1");
    ck_assert_str_eq(LAYOUT(NULL, "TrainingSet/x/1.jpg", "dev/y/1.jpg", "TESTING/x/1.jpg"),
                     "TrainingSet/dev/TESTING class folders; x,y; 1/1/1");
    ck_assert_str_eq(LAYOUT(NULL, "Evaluation/x/1.jpg", "training_data/x/1.jpg", "notes/1.txt"),
                     "training_data/Evaluation class folders; x; 1/1/0");
    ck_assert_str_eq(LAYOUT(NULL, "seg_test/x/1.jpg", "seg_train/x/1.jpg", "seg_pred/none.txt"),
                     "seg_train/seg_test class folders; x; 1/0/1");
    /* Nobody is asked about these: they are called otherwise, or among others of their kind. */
    ck_assert_str_eq(LAYOUT(NULL, "trains/x/1.jpg", "tester/x/1.jpg", "values/x/1.jpg"),
                     "class folders; tester,trains,values; 3/0/0");
    ck_assert_str_eq(LAYOUT(NULL, "Train/1.jpg", "Tram/1.jpg", "Bus/deep/1.jpg"),
                     "class folders; Bus,Train,Tram; 3/0/0");
    ck_assert_str_eq(LAYOUT(NULL, "bullet_train/x/1.jpg", "bus/y/1.jpg"),
                     "class folders; bullet_train,bus; 2/0/0");
    ck_assert_str_eq(LAYOUT(NULL, "road_test/1.jpg", "crash_test/1.jpg"),
                     "class folders; crash_test,road_test; 2/0/0");
    ck_assert_str_eq(LAYOUT(NULL, "road_test/x/1.jpg", "crash_train/x/1.jpg"),
                     "class folders; crash_train,road_test; 2/0/0");
}
END_TEST

static void assert_unsure(const char *const *names, const char *hint)
{
    make_tree(names);
    assert_fails(top, NULL, PF_EXIT_USAGE, hint);
    ck_assert_ptr_nonnull(strstr(err.message, "--split-folders none"));
    err = (PfError){0};
    /* A cache that is there goes on, and both answers are taken. */
    open_dataset(top, &(PfDatasetOptions){.exact_split_names = 1});
    ck_assert(pf_dataset_keeps_split_names(dataset));
    pf_dataset_close(&dataset);
    open_dataset(top, &(PfDatasetOptions){.split_folders = "none"});
    ck_assert_str_eq(pf_dataset_kind(dataset), "class folders");
    remove_top();
    make_top();
}
#define ASSERT_UNSURE(hint, ...) assert_unsure((const char *const[]){__VA_ARGS__, NULL}, hint)

START_TEST(folders_that_may_be_both_are_asked_about)
{
    ASSERT_UNSURE("--split-folders train=Train,val=Val", "Train/x/1.jpg", "Val/x/1.jpg",
                  "Spare/x/1.jpg");
    ASSERT_UNSURE("'Spare' beside them is not", "Train/x/1.jpg", "Spare/x/1.jpg");
    ASSERT_UNSURE("--split-folders train=training,test=testing", "training/1.jpg", "testing/2.jpg");
    ASSERT_UNSURE("two of them are like the same one", "train/x/1.jpg", "dev/x/1.jpg",
                  "eval/x/1.jpg");
    ASSERT_UNSURE("--split-folders train=training_set/training_set,test=test_set/test_set",
                  "training_set/training_set/x/1.jpg", "test_set/test_set/x/1.jpg");
    ASSERT_UNSURE("train=seg_train/seg_train,test=seg_test/seg_test", "seg_train/seg_train/x/1.jpg",
                  "seg_test/seg_test/x/1.jpg");
    ASSERT_UNSURE("nothing but a folder that is called so again", "train/train/1.jpg",
                  "test/test/1.jpg");
    ASSERT_UNSURE("'bus' beside them is not", "train/1.jpg", "test/1.jpg", "bus/1.jpg");
}
END_TEST

START_TEST(folders_can_be_named_splits)
{
    const PfDatasetOptions named = {.split_folders = "val=b/,train=in/a"};
    ck_assert_str_eq(LAYOUT(&named, "in/a/x/1.jpg", "b/y/2.jpg", "c/z/3.jpg"),
                     "in/a/b class folders; x,y; 1/1/0");
    MAKE_TREE("a/x/1.jpg", "b/x/1.jpg", "c/x/2.jpg");
    open_dataset(top, &(PfDatasetOptions){.split_folders = "train=a,test=c"});
    ck_assert(warns_of("folders beside the splits' folders, left out: 'b'"));
    pf_dataset_close(&dataset);
    static const char *const wrong[] = {"train",           "train=",         "a=b",
                                        "train=nowhere",   "train=../x",     "train=a,train=b",
                                        "train=a,val=a",   "train=/tmp",     "",
                                        "train=.",         "train=./a",      "train=a/.",
                                        "train=b/../a",    "train=a//x",     "train=..",
                                        "train=a,val=a/x", "train=a/x,val=a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        PfDatasetOptions options = {.split_folders = wrong[i]};
        ck_assert_int_eq(pf_dataset_open(top, &options, &dataset, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    }
    assert_fails(top, &(PfDatasetOptions){.split_folders = "train=a/x,val=a"}, PF_EXIT_USAGE,
                 "of 'a/x' and 'a' one lies in the other");
    assert_fails("-", &(PfDatasetOptions){.split_folders = "none"}, PF_EXIT_USAGE,
                 "--split-folders is for folders");
    MAKE_TREE("..x/x/1.jpg", "a b/x/1.jpg", "a/x/1.jpg");
    open_dataset(top, &(PfDatasetOptions){.split_folders = "train=..x,val=a b,test=a"});
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TRAIN), 1);
}
END_TEST

START_TEST(a_cache_of_the_first_days_keeps_its_folders)
{
    const PfDatasetOptions exact = {.exact_split_names = 1};
    ck_assert_str_eq(LAYOUT(&exact, "Train/x/1.jpg", "Val/x/1.jpg"),
                     "class folders; Train,Val; 2/0/0");
    ck_assert_str_eq(LAYOUT(&exact, "train/x/1.jpg", "valid/x/1.jpg", "Test/x/1.jpg"),
                     "train/valid class folders; x; 1/1/0");
    MAKE_TREE("train/x/1.jpg", "test/x/1.jpg");
    open_dataset(top, &exact);
    ck_assert(!pf_dataset_keeps_split_names(dataset)); /* the same by the names of today */
}
END_TEST

START_TEST(classes_of_a_cache_stay_classes)
{
    static const char *const classes[] = {"bus", "train", "val"};
    const PfDatasetOptions known = {.known_classes = classes, .known_class_count = 3};
    ck_assert_str_eq(LAYOUT(&known, "bus/x/1.jpg", "train/x/1.jpg", "val/x/1.jpg"),
                     "class folders; bus,train,val; 3/0/0");
    /* A class inside splits may be called like one of them. */
    ck_assert_str_eq(LAYOUT(&known, "train/val/1.jpg", "test/val/1.jpg"),
                     "train/test class folders; val; 1/0/1");
}
END_TEST

/* ---- other files ---- */

static int remarks(const char *words)
{
    int count;
    const char *const *texts = pf_dataset_remarks(dataset, &count);
    for (int i = 0; i < count; i++)
        if (strstr(texts[i], words)) return 1;
    return 0;
}

START_TEST(images_are_told_by_their_first_bytes)
{
    MAKE_TREE("a/1.jpg", "b/2.jpg");
    make_file("a/scan", "\xff\xd8\xff\xe0JFIF", 8);
    make_file("b/photo.JFIF", "\xff\xd8\xff\xdb", 4);
    make_file("b/named.gif", "\x89PNG\r\n\x1a\n....", 12);
    make_file("b/chart.dat", "BM\x36\x10\0\0\0\0\0\0\x36\0\0\0", 14);
    make_file("b/grey", "P5\n2 2\n255\nabcd", 15);
    /* Text that begins like one, and an image called like text. */
    make_file("a/BMW", "BMW is a maker of cars", 22);
    make_file("a/P5", "P5-text", 7);
    make_file("a/x.txt", "\xff\xd8\xff\xe0", 4);
    open_dataset(top, NULL);
    ck_assert_str_eq(samples_text(), "a/1.jpg:0:0 a/scan:0:0 b/2.jpg:1:0 b/chart.dat:1:0 "
                                     "b/grey:1:0 b/named.gif:1:0 b/photo.JFIF:1:0");
    ck_assert(remarks("images by their first bytes, not by their names"));
    ck_assert(remarks("'b/photo.JFIF'"));
    ck_assert(remarks("other files, left out: 2 without an ending, 1 .txt"));
    ck_assert_int_eq(warning_count(), 0);
}
END_TEST

START_TEST(pictures_that_are_left_out_are_counted_by_kind)
{
    MAKE_TREE("a/1.jpg", "a/Thumbs.db", "a/.DS_Store", "a/desktop.ini", "b/2.jpg", "b/3.TGA",
              "b/list.csv", "b/LIST.CSV", "b/odd.\033[31m", "README.md", "cover.jxl", "loose.jpg");
    make_file("loose", "\xff\xd8\xff\xe0", 4);
    make_file("a/IMG_1.HEIC", "empty", 5);
    make_file("b/IMG_2.heic", "too", 3);
    make_file("b/untold", "\0\0\0\x0cJXL ", 8);
    ck_assert_int_eq(mkfifo(in_top("b/pipe"), 0600), 0);
    open_dataset(top, NULL);
    ck_assert(warns_of("pictures left out that extract does not read, or that do not begin as "
                       "their names say: 2 HEIC, 1 JPEG XL, 1 JXL, 1 TGA"));
    ck_assert(remarks("other files, left out: 2 .csv, 2 without an ending, 1 .md"));
    ck_assert(warns_of("images beside the class folders, left out: 'loose', 'loose.jpg'"));
    ck_assert_int_eq(pf_dataset_count(dataset), 2);
    ck_assert_int_eq(pf_dataset_ignored_count(dataset), 10);
}
END_TEST

START_TEST(loose_images_are_unlabelled)
{
    MAKE_TREE("b.jpg", "a.PNG", "notes.txt", "empty/");
    open_dataset(top, NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "images without labels");
    ck_assert_str_eq(classes_text(), "");
    ck_assert_str_eq(samples_text(), "a.PNG:-1:0 b.jpg:-1:0");
    ck_assert(warns_of("'empty'"));
}
END_TEST

START_TEST(what_is_no_dataset_is_refused)
{
    MAKE_TREE("text/a.txt", "text/deep/b.gif", "table.xyz", "nothing/");
    assert_fails(in_top("text"), NULL, PF_EXIT_FAILED, "found 2 other files, such as");
    ck_assert_ptr_nonnull(strstr(err.message, ".jpg .jpeg .png"));
    assert_fails(in_top("nothing"), NULL, PF_EXIT_FAILED, "found no other files either");
    assert_fails(in_top("table.xyz"), NULL, PF_EXIT_FAILED, "is a file; expected a folder");
    assert_fails(in_top("missing"), NULL, PF_EXIT_FAILED, "No such file or directory");
}
END_TEST

/* ---- --split ---- */

static void make_many(const char *format, int count)
{
    for (int i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, format, i);
        make_file(name, "x", 1);
    }
}

START_TEST(split_by_hash_reaches_every_class)
{
    make_many("a/%d.jpg", 100);
    make_many("b/%d.jpg", 2);
    PfDatasetOptions options = {.val_fraction = 0.2, .split_by_path = 1};
    open_dataset(top, &options);
    int64_t val = pf_dataset_split_count(dataset, PF_SPLIT_VAL);
    ck_assert_int_gt(val, 8);
    ck_assert_int_lt(val, 36);
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TRAIN), 102 - val);
    const PfSample *b = pf_dataset_samples(dataset) + 100;
    ck_assert_int_eq(b[0].split == PF_SPLIT_VAL, b[1].split != PF_SPLIT_VAL);
}
END_TEST

START_TEST(split_by_hash_survives_new_images)
{
    make_many("a/%d.jpg", 50);
    PfDatasetOptions options = {.val_fraction = 0.3, .test_fraction = 0.2, .split_by_path = 1};
    open_dataset(top, &options);
    PfSplit before[50];
    for (int i = 0; i < 50; i++) {
        const PfSample *sample = &pf_dataset_samples(dataset)[i];
        before[atoi(sample->path + 2)] = sample->split;
    }
    pf_dataset_close(&dataset);
    make_many("a/%d.jpg", 80);
    open_dataset(top, &options);
    for (int i = 0; i < 80; i++) {
        const PfSample *sample = &pf_dataset_samples(dataset)[i];
        int number = atoi(sample->path + 2);
        if (number < 50) ck_assert_int_eq(sample->split, before[number]);
    }
}
END_TEST

START_TEST(split_leaves_what_is_already_split)
{
    make_many("train/a/%d.jpg", 20);
    make_many("test/a/%d.jpg", 5);
    PfDatasetOptions options = {.val_fraction = 0.5, .split_by_path = 1};
    open_dataset(top, &options);
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TEST), 5);
    ck_assert_int_gt(pf_dataset_split_count(dataset, PF_SPLIT_VAL), 0);
    pf_dataset_close(&dataset);
    options = (PfDatasetOptions){.test_fraction = 0.5};
    assert_fails(top, &options, PF_EXIT_USAGE, "has a test split of its own, of 5 images");
}
END_TEST

START_TEST(split_by_contents_is_left_to_be_drawn)
{
    make_many("a/%d.jpg", 8);
    PfDatasetOptions options = {.val_fraction = 0.5, .test_fraction = 0.1};
    open_dataset(top, &options);
    const PfDrawing *drawing = pf_dataset_drawing(dataset);
    ck_assert_ptr_nonnull(drawing);
    ck_assert(drawing->val == 0.5 && drawing->test == 0.1 && drawing->fill);
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_TRAIN), 8);
    pf_dataset_close(&dataset);
    /* A part knows nothing of the other images, on which filling would depend. */
    options.shard = (PfShard){1, 2};
    open_dataset(top, &options);
    ck_assert(!pf_dataset_drawing(dataset)->fill);
    pf_dataset_close(&dataset);
    options = (PfDatasetOptions){.val_fraction = 0.5, .sample = 3};
    open_dataset(top, &options);
    ck_assert(!pf_dataset_drawing(dataset)->fill);
    pf_dataset_close(&dataset);
    open_dataset(top, NULL);
    ck_assert_ptr_null(pf_dataset_drawing(dataset));
}
END_TEST

/* ---- lists of paths ---- */

static void open_list(const char *text, size_t size)
{
    make_file("list", text, size);
    FILE *list = fopen(in_top("list"), "rb");
    PfDatasetOptions options = {.list = list};
    pf_dataset_close(&dataset);
    int status = pf_dataset_open("-", &options, &dataset, &err);
    fclose(list);
    ck_assert_int_eq(status == 0, dataset != NULL);
}

START_TEST(paths_come_one_a_line)
{
    static const char lines[] = "\xef\xbb\xbf"
                                "b.jpg\r\n\n/abs/a b.jpg\nno/such.jpg";
    open_list(lines, sizeof lines - 1);
    ck_assert_str_eq(pf_dataset_kind(dataset), "paths from standard input");
    ck_assert_str_eq(samples_text(), "b.jpg:-1:0 /abs/a b.jpg:-1:0 no/such.jpg:-1:0");
}
END_TEST

START_TEST(paths_may_be_separated_by_nul)
{
    static const char names[] = "new\nline.jpg\0b.jpg\0";
    open_list(names, sizeof names - 1);
    ck_assert_str_eq(samples_text(), "new\nline.jpg:-1:0 b.jpg:-1:0");
}
END_TEST

START_TEST(an_empty_list_is_refused)
{
    open_list("\n\n", 2);
    ck_assert_ptr_null(dataset);
    ck_assert_ptr_nonnull(strstr(err.message, "no paths found"));
    open_list("", 0);
    ck_assert_ptr_null(dataset);
}
END_TEST

START_TEST(paths_of_a_command_line_are_a_dataset)
{
    MAKE_TREE("x.jpg");
    const char *paths[] = {"nowhere.jpg", in_top("x.jpg")};
    ck_assert_int_eq(pf_dataset_open_paths(paths, 2, &dataset, &err), 0);
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, 0, &bytes, &err), -1);
    ck_assert_int_eq(pf_dataset_read(dataset, 1, &bytes, &err), 0);
    ck_assert_mem_eq(bytes.data, "x.jpg", 5);
    pf_sample_bytes_free(&bytes);
}
END_TEST

/* ---- reading ---- */

START_TEST(files_are_read_whole)
{
    static uint8_t large[3 << 20];
    for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i * 7);
    make_file("a/1.jpg", large, sizeof large);
    make_file("a/2.jpg", "small", 5);
    open_dataset(top, NULL);
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, 0, &bytes, &err), 0);
    ck_assert_uint_eq(bytes.size_bytes, sizeof large);
    ck_assert_mem_eq(bytes.data, large, sizeof large);
    ck_assert_int_eq(pf_dataset_read(dataset, 1, &bytes, &err), 0);
    ck_assert_uint_eq(bytes.size_bytes, 5);
    ck_assert_int_eq(bytes.width, 0);
    pf_sample_bytes_free(&bytes);
}
END_TEST

static PfFileStamp read_stamp(int64_t index)
{
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, index, &bytes, &err), 0);
    PfFileStamp stamp = bytes.stamp;
    pf_sample_bytes_free(&bytes);
    return stamp;
}

static PfFileStamp file_stamp(int64_t index)
{
    PfFileStamp stamp;
    ck_assert_int_eq(pf_dataset_stat(dataset, index, &stamp), 0);
    return stamp;
}

START_TEST(a_file_that_has_just_changed_has_no_date_to_rely_on)
{
    struct stat status;
    struct timespec hour_ago[2] = {{time(NULL) - 3600, 0}, {time(NULL) - 3600, 0}};
    struct timespec tomorrow[2] = {{time(NULL) + 86400, 0}, {time(NULL) + 86400, 0}};
    MAKE_TREE("a/1.jpg", "a/2.jpg", "a/3.jpg");
    ck_assert_int_eq(utimensat(AT_FDCWD, in_top("a/2.jpg"), hour_ago, 0), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, in_top("a/3.jpg"), tomorrow, 0), 0);
    open_dataset(top, NULL);
    ck_assert_int_eq(stat(in_top("a/1.jpg"), &status), 0);
    ck_assert_int_eq(file_stamp(0).mtime_ns,
                     (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec);
    /* The second one's date is old, but it was given that date just now. */
    for (int i = 0; i < 3; i++) ck_assert_int_eq(read_stamp(i).mtime_ns, 0);
    ck_assert_uint_eq(read_stamp(0).size_bytes, strlen("a/1.jpg"));
    struct timespec wait = {2, 100000000};
    nanosleep(&wait, NULL);
    for (int i = 0; i < 2; i++) {
        PfFileStamp read = read_stamp(i), stamp = file_stamp(i);
        ck_assert_mem_eq(&stamp, &read, sizeof stamp);
    }
    ck_assert_int_eq(read_stamp(2).mtime_ns, 0);
}
END_TEST

/* What tells that a member needs not be read again: the stamp of its archive, and its own size. */
START_TEST(members_have_the_stamp_of_their_archive)
{
    char command[256];
    struct stat status;
    MAKE_TREE("a/1.jpg", "b/22.jpg");
    snprintf(command, sizeof command, "cd '%s' && tar cf x.tar a b && rm -r a b", top);
    ck_assert_int_eq(system(command), 0);
    struct timespec wait = {2, 100000000};
    nanosleep(&wait, NULL);
    open_dataset(in_top("x.tar"), NULL);
    ck_assert_str_eq(samples_text(), "a/1.jpg:0:0 b/22.jpg:1:0");
    ck_assert(pf_dataset_has_files(dataset) && pf_dataset_is_archive(dataset));
    ck_assert_int_eq(stat(in_top("x.tar"), &status), 0);
    ck_assert(pf_dataset_has_file(dataset, &status));
    PfFileStamp read = read_stamp(1), stamp = file_stamp(1);
    ck_assert_mem_eq(&stamp, &read, sizeof stamp);
    ck_assert_int_eq(stamp.mtime_ns,
                     (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec);
    ck_assert_uint_eq(stamp.size_bytes, strlen("b/22.jpg"));
    uint8_t head[4];
    ck_assert_uint_eq(pf_dataset_read_head(dataset, 1, head, sizeof head), 4);
    ck_assert_mem_eq(head, "b/22", 4);
}
END_TEST

static void assert_unreadable(int64_t index, const char *reason)
{
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, index, &bytes, &err), -1);
    ck_assert_str_eq(err.message, reason);
    pf_sample_bytes_free(&bytes);
}

START_TEST(what_cannot_be_read_says_why)
{
    MAKE_TREE("a/gone.jpg", "a/huge.jpg", "folder.jpg/x.jpg", "a/closed.jpg");
    make_file("a/empty.jpg", "", 0);
    ck_assert_int_eq(mkfifo(in_top("a/pipe.jpg"), 0600), 0);
    ck_assert_int_eq(truncate(in_top("a/huge.jpg"), ((off_t)1 << 30) + 1), 0);
    ck_assert_int_eq(chmod(in_top("a/closed.jpg"), 0), 0);
    open_dataset(top, NULL);
    ck_assert_int_eq(unlink(in_top("a/gone.jpg")), 0);
    if (access(in_top("a/closed.jpg"), R_OK))
        assert_unreadable(0, "cannot be opened: Permission denied");
    assert_unreadable(1, "is empty (0 bytes)");
    assert_unreadable(2, "cannot be opened: No such file or directory");
    assert_unreadable(3, "is too large: 1073741825 bytes, at most 1073741824 are read. Hint: "
                         "--max-bytes 1073741825");
    assert_unreadable(4, "is a pipe or a device, not an image");
    const char *folder = in_top("folder.jpg");
    pf_dataset_close(&dataset);
    ck_assert_int_eq(pf_dataset_open_paths(&folder, 1, &dataset, &err), 0);
    assert_unreadable(0, "is a folder, not an image");
}
END_TEST

static void *read_all_samples(void *failed)
{
    PfSampleBytes bytes = {0};
    PfError mine = {0};
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) {
        const char *path = pf_dataset_samples(dataset)[i].path;
        if (pf_dataset_read(dataset, i, &bytes, &mine) || bytes.size_bytes != strlen(path) ||
            memcmp(bytes.data, path, bytes.size_bytes))
            *(int *)failed = 1;
    }
    pf_sample_bytes_free(&bytes);
    return NULL;
}

START_TEST(many_threads_read_at_once)
{
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "c%d/%d.jpg", i % 7, i);
        make_file(name, name, strlen(name));
    }
    open_dataset(top, NULL);
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int failed[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all_samples, &failed[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(failed[i], 0);
    }
}
END_TEST

/* ---- CIFAR ---- */

/* `records` records: label r % 10 (after label_bytes - 1 other ones), red r,
 * green position, blue 255 - r. */
static void make_records(const char *name, int records, int label_bytes, int cut)
{
    size_t record = (size_t)label_bytes + 3072;
    uint8_t *data = calloc((size_t)records, record);
    ck_assert_ptr_nonnull(data);
    for (int r = 0; r < records; r++) {
        uint8_t *at = data + (size_t)r * record;
        at[0] = 99;
        at[label_bytes - 1] = (uint8_t)(r % 10);
        uint8_t *planes = at + label_bytes;
        for (int i = 0; i < 1024; i++) {
            planes[i] = (uint8_t)r;
            planes[1024 + i] = (uint8_t)i;
            planes[2048 + i] = (uint8_t)(255 - r);
        }
    }
    make_file(name, data, (size_t)records * record - (size_t)cut);
    free(data);
}

static const char ten_names[] = "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n\n";

START_TEST(cifar_10_gives_pixels)
{
    make_file("batches.meta.txt", ten_names, sizeof ten_names - 1);
    make_records("data_batch_1.bin", 12, 1, 0);
    make_records("data_batch_2.bin", 3, 1, 0);
    make_records("test_batch.bin", 2, 1, 0);
    open_dataset(top, NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "CIFAR-10 binary");
    ck_assert_str_eq(classes_text(), "zero,one,two,three,four,five,six,seven,eight,nine");
    ck_assert_int_eq(pf_dataset_count(dataset), 17);
    const PfSample *samples = pf_dataset_samples(dataset);
    ck_assert_str_eq(samples[11].path, "data_batch_1.bin#11");
    ck_assert_int_eq(samples[11].class_index, 1);
    ck_assert_str_eq(samples[16].path, "test_batch.bin#1");
    ck_assert_int_eq(samples[16].split, PF_SPLIT_TEST);
    ck_assert(warns_of("'data_batch_3.bin', 'data_batch_4.bin', 'data_batch_5.bin'"));
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, 14, &bytes, &err), 0);
    ck_assert_int_eq(bytes.width, 32);
    ck_assert_int_eq(bytes.height, 32);
    ck_assert_uint_eq(bytes.size_bytes, 3072);
    for (int i = 0; i < 1024; i++) {
        ck_assert_uint_eq(bytes.data[3 * i], 2);
        ck_assert_uint_eq(bytes.data[3 * i + 1], (uint8_t)i);
        ck_assert_uint_eq(bytes.data[3 * i + 2], 253);
    }
    pf_sample_bytes_free(&bytes);
}
END_TEST

START_TEST(options_of_other_kinds_of_dataset_are_refused)
{
    const PfDatasetOptions folders = {.split_folders = "none"}, table = {.image_root = "."};
    assert_fails("-", &folders, PF_EXIT_USAGE, "is for folders of images; '-' is none");
    assert_fails("-", &table, PF_EXIT_USAGE, "--root is for manifests");
    MAKE_TREE("a/1.jpg", "table.csv");
    assert_fails(top, &table, PF_EXIT_USAGE, "--root is for manifests");
    assert_fails(in_top("table.csv"), &folders, PF_EXIT_USAGE, "table.csv' is none");
    make_records("train.bin", 1, 2, 0);
    make_records("test.bin", 1, 2, 0);
    assert_fails(top, &folders, PF_EXIT_USAGE, "is of CIFAR's files");
    assert_fails(top, &table, PF_EXIT_USAGE, "--root is for manifests");
}
END_TEST

START_TEST(cifar_100_takes_the_fine_label)
{
    make_records("train.bin", 3, 2, 0);
    make_records("test.bin", 1, 2, 0);
    open_dataset(top, NULL);
    ck_assert_str_eq(pf_dataset_kind(dataset), "CIFAR-100 binary");
    ck_assert_int_eq(pf_dataset_samples(dataset)[2].class_index, 2);
    int count;
    ck_assert_str_eq(pf_dataset_classes(dataset, &count)[99], "99");
    ck_assert_int_eq(count, 100);
    ck_assert(warns_of("'fine_label_names.txt'"));
    PfSampleBytes bytes = {0};
    ck_assert_int_eq(pf_dataset_read(dataset, 2, &bytes, &err), 0);
    ck_assert_uint_eq(bytes.data[3], 2);
    ck_assert_uint_eq(bytes.data[4], 1);
    pf_sample_bytes_free(&bytes);
}
END_TEST

START_TEST(damaged_cifar_files_are_refused)
{
    make_records("data_batch_1.bin", 3, 1, 5);
    assert_fails(top, NULL, PF_EXIT_FAILED, "is it cut short?");
    static const uint8_t bad[3073] = {10};
    make_file("data_batch_1.bin", bad, sizeof bad);
    assert_fails(top, NULL, PF_EXIT_FAILED, "has label 10, expected 0 to 9");
    make_file("batches.meta.txt", "cat\ndog\n", 8);
    assert_fails(top, NULL, PF_EXIT_FAILED, "holds 2 class names, expected 10");
    char names[400];
    int size = snprintf(names, sizeof names, "%0300d\n%s", 7, ten_names);
    make_file("batches.meta.txt", names, (size_t)size);
    assert_fails(top, NULL, PF_EXIT_FAILED, "class name 1 is longer than 254 bytes");
    make_file("batches.meta.txt", "cat\0dog\nbird\n", 13);
    assert_fails(top, NULL, PF_EXIT_FAILED, "class name 1 is longer than 254 bytes or holds a NUL");
}
END_TEST

/* ---- lists of extract --list ---- */

/* A list of one image with a target of `width` numbers, whose line has only one. */
static void make_list(const char *name, int width)
{
    static const char row[] = "1.jpg\t0\t7\n";
    char header[1024], index[64], text[2048];
    int at = snprintf(header, sizeof header,
                      "{\"format\":\"permafrost-list\",\"version\":1,\"kind\":\"manifest\","
                      "\"root\":\"%s\",\"count\":1,\"listing\":\"%064d\",\"has_groups\":false,"
                      "\"targets\":[{\"name\":\"y\",\"kind\":\"regression\",\"width\":%d}]}\n",
                      top, 0, width);
    size_t row_bytes = strlen(row);
    snprintf(index, sizeof index, "%016x %016zx %016llx\n", (unsigned)at, row_bytes,
             (unsigned long long)pf_digest_xxh64(row, row_bytes));
    int hashed = snprintf(text, sizeof text, "%s%s", header, index);
    unsigned long long hash = pf_digest_xxh64(text, (size_t)hashed);
    int size = snprintf(text, sizeof text, "%s%s%sindex %016zx %016llx\n", header, row, index,
                        (size_t)at + row_bytes, hash);
    make_file(name, text, (size_t)size);
}

START_TEST(lists_that_are_shorter_than_their_targets_are_refused)
{
    MAKE_TREE("1.jpg");
    make_list("one.list", 1);
    open_dataset(in_top("one.list"), NULL);
    ck_assert_float_eq(pf_dataset_values(dataset, 0)[0], 7);
    pf_dataset_close(&dataset);
    make_list("one.list", 65536);
    assert_fails(in_top("one.list"), NULL, PF_EXIT_FAILED,
                 "it is too short for its images and targets");
}
END_TEST

/* A list of two blocks of images, of which the second begins `back` bytes before the first ends. */
static void make_blocks(const char *name, size_t back)
{
    enum { ROWS = 1024, ROW = 8, BLOCK = ROWS * ROW, LINE = 51 };
    static char blocks[2 * BLOCK + 1], text[3 * BLOCK];
    char header[1024], index[2 * LINE + 1];
    for (int i = 0; i < 2 * ROWS; i++) memcpy(blocks + i * ROW, "1.jpg\t0\n", ROW);
    const int at = snprintf(header, sizeof header,
                            "{\"format\":\"permafrost-list\",\"version\":1,\"kind\":\"images\","
                            "\"root\":\"%s\",\"count\":%d,\"listing\":\"%064d\",\"targets\":[]}\n",
                            top, 2 * ROWS, 0);
    const unsigned long long hash = pf_digest_xxh64(blocks, BLOCK);
    const size_t second = (size_t)at + BLOCK - back, end = second + BLOCK;
    snprintf(index, sizeof index, "%016x %016x %016llx\n%016zx %016x %016llx\n", (unsigned)at,
             (unsigned)BLOCK, hash, second, (unsigned)BLOCK, hash);
    const int hashed = snprintf(text, sizeof text, "%s%s", header, index);
    const unsigned long long own = pf_digest_xxh64(text, (size_t)hashed);
    const int size = snprintf(text, sizeof text, "%s%.*s%sindex %016zx %016llx\n", header,
                              (int)(end - (size_t)at), blocks, index, end, own);
    make_file(name, text, (size_t)size);
}

/* Else a few lines could stand for as many images as the index has blocks. */
START_TEST(blocks_of_a_list_do_not_overlap)
{
    MAKE_TREE("1.jpg");
    make_blocks("two.list", 0);
    open_dataset(in_top("two.list"), NULL);
    ck_assert_int_eq(pf_dataset_count(dataset), 2048);
    pf_dataset_close(&dataset);
    make_blocks("two.list", 8192);
    assert_fails(in_top("two.list"), NULL, PF_EXIT_FAILED, "its index is wrong");
    make_blocks("two.list", 8);
    assert_fails(in_top("two.list"), NULL, PF_EXIT_FAILED, "its index is wrong");
}
END_TEST

/* ---- shards ---- */

START_TEST(shards_cover_without_overlap_and_evenly)
{
    static const int64_t sizes[] = {1, 2, 3, 16, 17, 400, 1000, 4095, 4096, 60000, 1281167};
    static const int64_t counts[] = {1, 2, 3, 4, 7, 16, 100, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            int64_t end = 0, smallest = INT64_MAX, largest = 0;
            if (counts[c] > sizes[s]) continue;
            for (int64_t number = 1; number <= counts[c]; number++) {
                int64_t first, size;
                pf_dataset_shard_range((PfShard){number, counts[c]}, sizes[s], &first, &size);
                ck_assert_int_eq(first, end);
                ck_assert_int_ge(size, 1);
                end += size;
                if (size < smallest) smallest = size;
                if (size > largest) largest = size;
            }
            ck_assert_int_eq(end, sizes[s]);
            /* Two boundaries, each a unit off at most; a unit is a sixteenth at most. */
            ck_assert_int_le(largest - smallest, 1 + 2 * sizes[s] / counts[c] / 16);
        }
}
END_TEST

START_TEST(shards_begin_where_chunks_do)
{
    int64_t first, size;
    /* 60000 / 48 = 1250: units of 1024 */
    pf_dataset_shard_range((PfShard){2, 3}, 60000, &first, &size);
    ck_assert_int_eq(first, 19 * 1024);
    ck_assert_int_eq(size, 20 * 1024);
    pf_dataset_shard_range((PfShard){4, 8}, 1281167, &first, &size); /* of 4096, the most */
    ck_assert_int_eq(first % 4096, 0);
    ck_assert_int_ne(first % 8192, 0);
    pf_dataset_shard_range((PfShard){2, 2}, INT64_MAX / 2, &first, &size);
    ck_assert_int_eq(first + size, INT64_MAX / 2);
    pf_dataset_shard_range((PfShard){0}, 7, &first, &size);
    ck_assert(first == 0 && size == 7);
}
END_TEST

/* The samples of all shards, one after the other. */
static const char *shards_text(int64_t count)
{
    static char all[2048];
    all[0] = '\0';
    for (int64_t number = 1; number <= count; number++) {
        PfDatasetOptions options = {
            .val_fraction = 0.3, .split_by_path = 1, .shard = {number, count}};
        open_dataset(top, &options);
        ck_assert_str_eq(classes_text(), "a,b,c");
        ck_assert_int_eq(pf_dataset_whole_count(dataset), 20);
        sprintf(all + strlen(all), "%s%s", *all ? " " : "", samples_text());
        pf_dataset_close(&dataset);
    }
    return all;
}

START_TEST(a_shard_has_the_splits_and_classes_of_the_whole)
{
    make_many("a/%d.jpg", 9);
    make_many("b/%d.jpg", 7);
    make_many("c/%d.jpg", 4);
    PfDatasetOptions options = {.val_fraction = 0.3, .split_by_path = 1};
    open_dataset(top, &options);
    char whole[2048];
    strcpy(whole, samples_text());
    int64_t val = pf_dataset_split_count(dataset, PF_SPLIT_VAL), of_shards = 0;
    ck_assert_int_gt(val, 0);
    pf_dataset_close(&dataset);
    ck_assert_str_eq(shards_text(1), whole);
    ck_assert_str_eq(shards_text(3), whole);
    ck_assert_str_eq(shards_text(20), whole);
    for (int64_t number = 1; number <= 4; number++) {
        options.shard = (PfShard){number, 4};
        open_dataset(top, &options);
        ck_assert_int_eq(pf_dataset_count(dataset), 5);
        of_shards += pf_dataset_split_count(dataset, PF_SPLIT_VAL);
        pf_dataset_close(&dataset);
    }
    ck_assert_int_eq(of_shards, val);
}
END_TEST

START_TEST(a_shard_reads_its_own_samples)
{
    make_tree((const char *const[]){"a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", NULL});
    PfDatasetOptions options = {.shard = {3, 4}};
    PfSampleBytes bytes = {0};
    PfFileStamp stamp;
    open_dataset(top, &options);
    ck_assert(!pf_dataset_read(dataset, 0, &bytes, &err));
    ck_assert_uint_eq(bytes.size_bytes, 7);
    ck_assert(!memcmp(bytes.data, "b/3.jpg", 7));
    ck_assert(!pf_dataset_stat(dataset, 0, &stamp));
    ck_assert_int_eq(stamp.ctime_ns, bytes.stamp.ctime_ns);
    uint8_t head[4];
    ck_assert_uint_eq(pf_dataset_read_head(dataset, 0, head, sizeof head), sizeof head);
    ck_assert(!memcmp(head, "b/3.", sizeof head));
    pf_sample_bytes_free(&bytes);
}
END_TEST

/* A run of one shard must not write over what the runs of the others read. */
START_TEST(a_shard_knows_the_files_of_the_whole)
{
    MAKE_TREE("a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "5.txt");
    static const char *const images[] = {"a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"};
    PfDatasetOptions options = {.shard = {2, 2}};
    struct stat file;
    open_dataset(top, &options);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(stat(in_top(images[i]), &file), 0);
        ck_assert(pf_dataset_has_file(dataset, &file));
    }
    ck_assert_int_eq(stat(in_top("5.txt"), &file), 0);
    ck_assert(!pf_dataset_has_file(dataset, &file));
}
END_TEST

START_TEST(more_shards_than_images_are_refused)
{
    MAKE_TREE("a/1.jpg", "a/2.jpg", "b/3.jpg");
    PfDatasetOptions options = {.shard = {1, 4}};
    assert_fails(top, &options, PF_EXIT_USAGE, "--shard 1/4");
    assert_fails(top, &options, PF_EXIT_USAGE, "only 3 images");
}
END_TEST

/* ---- --sample ---- */

static int64_t count_class(int32_t class_index)
{
    int64_t count = 0;
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++)
        count += pf_dataset_samples(dataset)[i].class_index == class_index;
    return count;
}

START_TEST(a_sample_has_its_share_of_every_class_and_split)
{
    make_many("train/a/%d.jpg", 40);
    make_many("train/b/%d.jpg", 20);
    make_many("val/a/%d.jpg", 20);
    PfDatasetOptions options = {.sample = 12};
    open_dataset(top, &options);
    ck_assert_int_eq(pf_dataset_count(dataset), 12);
    ck_assert_int_eq(pf_dataset_whole_count(dataset), 12);
    ck_assert_int_eq(pf_dataset_split_count(dataset, PF_SPLIT_VAL), 3);
    ck_assert_int_eq(count_class(0), 9);
    ck_assert_int_eq(count_class(1), 3);
    pf_dataset_close(&dataset);
    options.sample = 1000;
    open_dataset(top, &options);
    ck_assert_int_eq(pf_dataset_count(dataset), 80);
}
END_TEST

/* Whether words of `few` are among those of `many`, in the same order. */
static int is_part(const char *few, const char *many)
{
    char copy[2048], *rest = NULL;
    strcpy(copy, few);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        many = strstr(many, word);
        if (!many) return 0;
        many += strlen(word);
    }
    return 1;
}

START_TEST(a_larger_sample_holds_a_smaller_one)
{
    make_many("a/%d.jpg", 19);
    make_many("b/%d.jpg", 7);
    char all[2048], larger[2048];
    open_dataset(top, NULL);
    strcpy(larger, strcpy(all, samples_text()));
    pf_dataset_close(&dataset);
    for (int64_t size = 25; size > 0; size--) {
        PfDatasetOptions options = {.sample = size};
        open_dataset(top, &options);
        ck_assert_int_eq(pf_dataset_count(dataset), size);
        ck_assert(is_part(samples_text(), larger));
        strcpy(larger, samples_text());
        pf_dataset_close(&dataset);
    }
}
END_TEST

/* As train does where a cache has no val part. */
START_TEST(a_sample_can_be_split_by_hash_of_the_paths)
{
    enum { SIZE = 60 };
    const char *paths[SIZE];
    uint8_t splits[SIZE];
    int val = 0;
    make_many("a/%d.jpg", 300);
    PfDatasetOptions options = {.sample = SIZE};
    open_dataset(top, &options);
    for (int i = 0; i < SIZE; i++) paths[i] = pf_dataset_samples(dataset)[i].path;
    ck_assert(!pf_split_by_hash(paths, NULL, SIZE, 0.3, 0, splits, NULL));
    for (int i = 0; i < SIZE; i++) val += splits[i] == PF_SPLIT_VAL;
    ck_assert_msg(val > 6 && val < 30, "%d of %d", val, SIZE);
}
END_TEST

START_TEST(a_sample_of_cifar_reads_its_own_records)
{
    make_records("data_batch_1.bin", 12, 1, 0);
    make_records("data_batch_2.bin", 9, 1, 0);
    PfDatasetOptions options = {.sample = 8, .shard = {2, 2}};
    open_dataset(top, &options);
    ck_assert_int_eq(pf_dataset_whole_count(dataset), 8);
    PfSampleBytes bytes = {0};
    int moved = 0;
    for (int64_t i = 0; i < pf_dataset_count(dataset); i++) {
        ck_assert_int_eq(pf_dataset_read(dataset, i, &bytes, &err), 0);
        long record = atol(strchr(pf_dataset_samples(dataset)[i].path, '#') + 1);
        ck_assert_int_eq(bytes.data[0], record);
        moved |= record != i;
    }
    ck_assert(moved);
    pf_sample_bytes_free(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dataset");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, make_top, remove_top);
    tcase_add_test(cases, class_folders_are_listed_in_torchvisions_order);
    tcase_add_test(cases, hidden_and_empty_folders_are_named);
    tcase_add_test(cases, long_lists_of_names_are_cut);
    tcase_add_test(cases, links_are_followed_but_not_in_circles);
    tcase_add_test(cases, links_back_are_no_classes);
    tcase_add_test(cases, links_in_circles_are_not_looked_into);
    tcase_add_test(cases, ladders_of_links_are_refused);
    tcase_add_test(cases, ladders_of_links_are_not_looked_into);
    tcase_add_test(cases, a_folder_above_the_one_meant_is_pointed_out);
    tcase_add_test(cases, a_folder_that_may_not_be_read_is_an_error);
    tcase_add_test(cases, a_closed_split_or_link_is_an_error_too);
    tcase_add_test(cases, split_folders_become_splits);
    tcase_add_test(cases, a_second_folder_for_a_split_is_left_out);
    tcase_add_test(cases, a_class_may_be_called_train);
    tcase_add_test(cases, train_alone_is_a_split);
    tcase_add_test(cases, splits_are_called_as_people_call_them);
    tcase_add_test(cases, folders_that_may_be_both_are_asked_about);
    tcase_add_test(cases, folders_can_be_named_splits);
    tcase_add_test(cases, a_cache_of_the_first_days_keeps_its_folders);
    tcase_add_test(cases, classes_of_a_cache_stay_classes);
    tcase_add_test(cases, images_are_told_by_their_first_bytes);
    tcase_add_test(cases, pictures_that_are_left_out_are_counted_by_kind);
    tcase_add_test(cases, loose_images_are_unlabelled);
    tcase_add_test(cases, what_is_no_dataset_is_refused);
    tcase_add_test(cases, split_by_hash_reaches_every_class);
    tcase_add_test(cases, split_by_hash_survives_new_images);
    tcase_add_test(cases, split_leaves_what_is_already_split);
    tcase_add_test(cases, split_by_contents_is_left_to_be_drawn);
    tcase_add_test(cases, paths_come_one_a_line);
    tcase_add_test(cases, paths_may_be_separated_by_nul);
    tcase_add_test(cases, an_empty_list_is_refused);
    tcase_add_test(cases, paths_of_a_command_line_are_a_dataset);
    tcase_add_test(cases, files_are_read_whole);
    tcase_add_test(cases, a_file_that_has_just_changed_has_no_date_to_rely_on);
    tcase_add_test(cases, members_have_the_stamp_of_their_archive);
    tcase_add_test(cases, what_cannot_be_read_says_why);
    tcase_add_test(cases, many_threads_read_at_once);
    tcase_add_test(cases, cifar_10_gives_pixels);
    tcase_add_test(cases, options_of_other_kinds_of_dataset_are_refused);
    tcase_add_test(cases, cifar_100_takes_the_fine_label);
    tcase_add_test(cases, damaged_cifar_files_are_refused);
    tcase_add_test(cases, lists_that_are_shorter_than_their_targets_are_refused);
    tcase_add_test(cases, blocks_of_a_list_do_not_overlap);
    tcase_add_test(cases, shards_cover_without_overlap_and_evenly);
    tcase_add_test(cases, shards_begin_where_chunks_do);
    tcase_add_test(cases, a_shard_has_the_splits_and_classes_of_the_whole);
    tcase_add_test(cases, a_shard_reads_its_own_samples);
    tcase_add_test(cases, a_shard_knows_the_files_of_the_whole);
    tcase_add_test(cases, more_shards_than_images_are_refused);
    tcase_add_test(cases, a_sample_has_its_share_of_every_class_and_split);
    tcase_add_test(cases, a_larger_sample_holds_a_smaller_one);
    tcase_add_test(cases, a_sample_can_be_split_by_hash_of_the_paths);
    tcase_add_test(cases, a_sample_of_cifar_reads_its_own_records);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
