/* Caches that another program wrote: HDF5 alone checks them, and not everything. */
#include <check.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "permafrost/feature_cache.h"

enum { ROWS = 3, WIDTH = 4 };

static char folder[] = "/tmp/pf_cache_foreign_XXXXXX";
static char path[sizeof folder + 16];

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_cache_foreign_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cache.h5", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

/* ---- making files ---- */

static void write_attribute(hid_t file, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(attribute, type, value), 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* An otherwise empty cache, open. */
static hid_t create(void)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t text = H5Tcopy(H5T_C_S1);
    int version = PF_CACHE_FORMAT_VERSION;
    H5Tset_size(text, sizeof PF_CACHE_FORMAT);
    write_attribute(file, "format", text, PF_CACHE_FORMAT);
    write_attribute(file, "format_version", H5T_NATIVE_INT, &version);
    H5Tclose(text);
    return file;
}

/* (ROWS, width) of bytes that are all `value`; with width 1 (ROWS). */
static void write_filtered(hid_t file, const char *name, H5D_layout_t layout, bool shuffles,
                           int width, int value)
{
    unsigned char bytes[ROWS * 16];
    hsize_t dims[] = {ROWS, (hsize_t)width};
    hid_t space = H5Screate_simple(width > 1 ? 2 : 1, dims, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_layout(properties, layout);
    if (layout == H5D_CHUNKED) H5Pset_chunk(properties, width > 1 ? 2 : 1, dims);
    if (shuffles) H5Pset_shuffle(properties);
    memset(bytes, value, sizeof bytes);
    hid_t dataset = H5Dcreate2(file, name, H5T_STD_U8LE, space, links, properties, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes), 0);
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Pclose(links);
    H5Sclose(space);
}

static void write_bytes(hid_t file, const char *name, H5D_layout_t layout, int width, int value)
{
    write_filtered(file, name, layout, false, width, value);
}

/* Replaces the only place in the file with those bytes. */
static void patch(const void *old, const void *new, size_t size)
{
    static unsigned char bytes[1 << 16];
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    size_t file_size = fread(bytes, 1, sizeof bytes, file);
    unsigned char *place = memmem(bytes, file_size, old, size);
    ck_assert_ptr_nonnull(place);
    ck_assert_ptr_null(memmem(place + 1, file_size - (size_t)(place + 1 - bytes), old, size));
    ck_assert_int_eq(fseek(file, place - bytes, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(new, 1, size, file), size);
    fclose(file);
}

/* ---- tests ---- */

/* The layout message of a compact dataset: version 3, class 0, size, data. */
START_TEST(a_compact_dataset_shorter_than_its_shape)
{
    static const char old[] = "\3\0\x30\0\xaa\xaa", new[] = "\3\0\x10\0\xaa\xaa";
    uint8_t digests[ROWS][PF_DIGEST_SIZE];
    PfCache *cache;
    PfError err = {0};
    hid_t file = create();
    write_bytes(file, "features/f", H5D_CONTIGUOUS, WIDTH, 7);
    write_bytes(file, "samples/digest", H5D_COMPACT, PF_DIGEST_SIZE, 0xaa);
    H5Fclose(file);

    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    ck_assert(!pf_cache_read_digests(cache, digests, &err));
    ck_assert_int_eq(digests[ROWS - 1][PF_DIGEST_SIZE - 1], 0xaa);
    pf_cache_close(&cache);

    patch(old, new, sizeof old - 1);
    if (pf_cache_open(path, &cache, &err)) { /* HDF5 1.14 does not open such a dataset */
        ck_assert_msg(strstr(err.message, path) && strstr(err.message, "/samples/digest"), "%s",
                      err.message);
        return;
    }
    ck_assert(pf_cache_read_digests(cache, digests, &err));
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, "fewer bytes"), "%s",
                  err.message);
    pf_cache_close(&cache);
}
END_TEST

/* A file whose only chunk states `size` bytes of 48: size, mask, offset (0, 0, 0), as they are in
 * the entry of the B-tree. */
static void write_chunk_that_states(char size, bool shuffles)
{
    static const char old[] = "\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    char new[sizeof old] = {size};
    hid_t file = create();
    write_bytes(file, "features/f", H5D_CONTIGUOUS, WIDTH, 7);
    write_filtered(file, "samples/digest", H5D_CHUNKED, shuffles, PF_DIGEST_SIZE, 0xaa);
    H5Fclose(file);
    patch(old, new, sizeof old - 1);
}

static int read_digests(PfError *err)
{
    uint8_t digests[ROWS][PF_DIGEST_SIZE];
    PfCache *cache;
    ck_assert_msg(!pf_cache_open(path, &cache, err), "%s", err->message);
    int failed = pf_cache_read_digests(cache, digests, err);
    if (!failed) ck_assert_int_eq(digests[ROWS - 1][PF_DIGEST_SIZE - 1], 0xaa);
    pf_cache_close(&cache);
    return failed;
}

START_TEST(a_chunk_shorter_than_its_shape)
{
    PfError err = {0};
    write_chunk_that_states(48, true);
    ck_assert_msg(!read_digests(&err), "%s", err.message);
    write_chunk_that_states(16, true);
    ck_assert(read_digests(&err));
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, "fewer bytes"), "%s",
                  err.message);
}
END_TEST

/* Without filters all chunks have the bytes of their shape, and what they state is not looked at.
 */
START_TEST(chunks_without_filters_of_any_size)
{
    static const char sizes[] = {48, 16, 0, 127};
    PfError err = {0};
    for (size_t i = 0; i < sizeof sizes; i++) {
        write_chunk_that_states(sizes[i], false);
        ck_assert_msg(!read_digests(&err), "%s", err.message);
    }
}
END_TEST

/* A list of ROWS bytes that are those of another dataset of the file. */
static void write_virtual(hid_t file, const char *name, const char *source)
{
    hid_t space = H5Screate_simple(1, (hsize_t[]){ROWS}, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    ck_assert_int_ge(H5Pset_virtual(properties, space, ".", source, space), 0);
    hid_t dataset = H5Dcreate2(file, name, H5T_STD_U8LE, space, links, properties, H5P_DEFAULT);
    ck_assert_int_ge(dataset, 0);
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Pclose(links);
    H5Sclose(space);
}

/* HDF5 would go round in circles, or show zeros for what is not there. */
START_TEST(virtual_datasets_that_lead_nowhere)
{
    static const struct {
        const char *name, *source, *part;
    } cases[] = {
        {"samples/split", "/samples/split", "virtual itself"},
        {"samples/split", "/targets/t", "virtual itself"},
        {"targets/t", "/targets/t", "virtual itself"},
        {"targets/t", "/nothing", "not there"},
        {"features/g", "/features/g", "virtual itself"},
        {"samples/size", "/nothing", "not there"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PfCache *cache;
        PfError err = {0};
        hid_t file = create();
        write_bytes(file, "features/f", H5D_CONTIGUOUS, WIDTH, 1);
        write_bytes(file, "b", H5D_CONTIGUOUS, 1, 1);
        if (i == 1) write_virtual(file, "targets/t", "/b");
        write_virtual(file, cases[i].name, cases[i].source);
        H5Fclose(file);
        ck_assert_msg(pf_cache_open(path, &cache, &err), "%s", cases[i].name);
        ck_assert_msg(strstr(err.message, cases[i].name) && strstr(err.message, cases[i].part),
                      "%s", err.message);
    }
}
END_TEST

START_TEST(virtual_datasets_that_are_whole)
{
    PfCache *cache;
    PfError err = {0};
    int32_t classes[ROWS];
    hid_t file = create();
    write_bytes(file, "features/f", H5D_CONTIGUOUS, WIDTH, 1);
    write_bytes(file, "b", H5D_CONTIGUOUS, 1, 2);
    write_virtual(file, "targets/t", "/b");
    write_virtual(file, "samples/split", "/b");
    H5Fclose(file);
    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    ck_assert(!pf_cache_read_classes(cache, 0, classes, &err));
    ck_assert_int_eq(classes[ROWS - 1], 2);
    ck_assert_int_eq(pf_cache_splits(cache)[0], 2);
    pf_cache_close(&cache);
}
END_TEST

/* As many files, or datasets, as there are, wherever a name with a number leads. */
START_TEST(virtual_datasets_whose_parts_are_a_pattern)
{
    static const char *const names[][2] = {{"../part%b.h5", "/b"}, {"part.h5", "/b%b"}};
    for (int i = 0; i < 2; i++) {
        PfCache *cache;
        PfError err = {0};
        hid_t file = create();
        hsize_t none[] = {0}, one[] = {1}, unlimited[] = {H5S_UNLIMITED};
        hid_t space = H5Screate_simple(1, one, unlimited), part = H5Screate_simple(1, one, NULL);
        hid_t links = H5Pcreate(H5P_LINK_CREATE), properties = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_create_intermediate_group(links, 1);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, none, one, unlimited, one);
        ck_assert_int_ge(H5Pset_virtual(properties, space, names[i][0], names[i][1], part), 0);
        hid_t dataset =
            H5Dcreate2(file, "features/f", H5T_STD_U8LE, space, links, properties, H5P_DEFAULT);
        ck_assert_int_ge(dataset, 0);
        H5Dclose(dataset);
        H5Pclose(properties);
        H5Pclose(links);
        H5Sclose(part);
        H5Sclose(space);
        H5Fclose(file);
        ck_assert(pf_cache_open(path, &cache, &err));
        ck_assert_msg(strstr(err.message, path) && strstr(err.message, "by a pattern"), "%s",
                      err.message);
    }
}
END_TEST

/* A global heap whose object says that it goes on for ever: HDF5 1.10 runs out of it and ends
 * there, in a process of its own. */
START_TEST(what_hdf5_does_not_survive_is_an_error)
{
    static const char old[] = "GCOL\1\0\0\0";
    unsigned char bytes[8192];
    PfCache *cache;
    PfError err = {0};
    hid_t file = create();
    const char *texts[ROWS] = {"a", "b", "c"};
    hid_t space = H5Screate_simple(1, (hsize_t[]){ROWS}, NULL), type = H5Tcopy(H5T_C_S1);
    write_bytes(file, "features/f", H5D_CONTIGUOUS, WIDTH, 7);
    hid_t group = H5Gcreate2(file, "samples", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t dataset = H5Dcreate2(group, "path", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts), 0);
    H5Dclose(dataset);
    H5Gclose(group);
    H5Tclose(type);
    H5Sclose(space);
    H5Fclose(file);

    FILE *stream = fopen(path, "r+b");
    ck_assert_ptr_nonnull(stream);
    size_t size = fread(bytes, 1, sizeof bytes, stream);
    unsigned char *heap = memmem(bytes, size, old, sizeof old - 1);
    ck_assert_ptr_nonnull(heap);
    /* The first object: its index, references, and then its size. */
    memset(heap + 16 + 8, 0xff, 7);
    ck_assert_int_eq(fseek(stream, heap - bytes, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(heap, 1, 64, stream), 64);
    fclose(stream);

    const char *const *paths;
    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    for (int i = 0; i < 2; i++) { /* and stays one */
        ck_assert(pf_cache_paths(cache, &paths, &err));
        ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
        ck_assert_msg(strstr(err.message, path) != NULL, "%s", err.message);
    }
    pf_cache_close(&cache);
}
END_TEST

/* Each is read by a child of its own, and none keeps another from ending. */
START_TEST(several_caches_are_open_at_once)
{
    PfCache *caches[3];
    PfError err = {0};
    float rows[ROWS * WIDTH];
    hid_t file = create();
    write_bytes(file, "features/f", H5D_CONTIGUOUS, WIDTH, 7);
    H5Fclose(file);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(!pf_cache_open(path, &caches[i], &err), "%s", err.message);
    for (int i = 0; i < 3; i++) { /* each is read after others were closed */
        ck_assert_msg(!pf_cache_read_f32(caches[i], 0, 0, ROWS, rows, 2, &err), "%s", err.message);
        ck_assert(rows[ROWS * WIDTH - 1] == 7);
        pf_cache_close(&caches[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_foreign");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 60); /* a hang is told after 5 seconds of computing */
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, a_compact_dataset_shorter_than_its_shape);
    tcase_add_test(cases, a_chunk_shorter_than_its_shape);
    tcase_add_test(cases, chunks_without_filters_of_any_size);
    tcase_add_test(cases, virtual_datasets_that_lead_nowhere);
    tcase_add_test(cases, virtual_datasets_that_are_whole);
    tcase_add_test(cases, virtual_datasets_whose_parts_are_a_pattern);
    tcase_add_test(cases, what_hdf5_does_not_survive_is_an_error);
    tcase_add_test(cases, several_caches_are_open_at_once);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
