/* The weight file formats, with files made by hand, whole and broken. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/weights/internal.h"

/* ---- making files ---- */

typedef struct Bytes {
    uint8_t data[16384];
    size_t size;
} Bytes;

static void put(Bytes *bytes, const void *data, size_t size)
{
    ck_assert_uint_le(size, sizeof bytes->data - bytes->size);
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void put_number(Bytes *bytes, uint64_t number, size_t width)
{
    put(bytes, &number, width); /* little-endian, as this machine */
}

/* A string literal without its final zero, inner zeros included. */
#define PUT(bytes, literal) put(bytes, literal, sizeof(literal) - 1)

static const float six[6] = {0, 1, 2, 3, 4, 5};

static void put_safetensors(Bytes *file, const char *header, size_t data_size)
{
    static const uint8_t zeros[4096];
    put_number(file, strlen(header), 8);
    put(file, header, strlen(header));
    put(file, six, data_size < sizeof six ? data_size : sizeof six);
    if (data_size > sizeof six) put(file, zeros, data_size - sizeof six);
}

/* The parts of a pickled {"w": tensor}. Octal escapes: \200 PROTO, \205 TUPLE1,
 * \206 TUPLE2, \207 TUPLE3, \211 NEWFALSE. */
#define BEGIN "\200\2}X\1\0\0\0w"
#define STORAGE_OF(type, key, count)                                                               \
    "(X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0" key "X\3\0\0\0cpu" count "tQ"
#define STORAGE STORAGE_OF("FloatStorage", "k", "K\6")
#define TENSOR(storage, offset, size, stride)                                                      \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride                              \
    "\211ccollections\nOrderedDict\n)RtR"
#define SHAPE_2_3 "K\2K\3\206"
#define STRIDE_3_1 "K\3K\1\206"
#define GOOD_TENSOR TENSOR(STORAGE, "K\0", SHAPE_2_3, STRIDE_3_1)
#define END "s."
#define GOOD_PICKLE BEGIN GOOD_TENSOR END

/* Storage "k": six floats. keys: the pickled list of storage keys. */
static void put_legacy_with_keys(Bytes *file, const void *pickle, size_t size, const void *keys,
                                 size_t keys_size)
{
    PUT(file, "\200\2\212\12\154\374\234\106\371\040\152\250\120\031.");
    PUT(file, "\200\2M\351\3.");
    PUT(file, "\200\2}X\15\0\0\0little_endian\210s.");
    put(file, pickle, size);
    put(file, keys, keys_size);
    put_number(file, 6, 8);
    put(file, six, sizeof six);
}

static void put_legacy(Bytes *file, const void *pickle, size_t size)
{
    static const char none[] = "\200\2].", one[] = "\200\2]X\1\0\0\0ka.";
    if (memmem(pickle, size, "storage", 7))
        put_legacy_with_keys(file, pickle, size, one, sizeof one - 1);
    else
        put_legacy_with_keys(file, pickle, size, none, sizeof none - 1);
}

typedef struct Entry {
    const char *name;
    const void *data;
    size_t size;
    int method; /* 0: stored */
} Entry;

typedef enum Zip64 {
    NO_ZIP64,
    ALL_ZIP64,    /* every size and offset in the zip64 extra field */
    OFFSET_ZIP64, /* offsets only, as behind 4 GB of small entries */
} Zip64;

static void put_directory_entry(Bytes *file, const Entry *entry, size_t offset, Zip64 zip64)
{
    size_t size = zip64 == ALL_ZIP64 ? UINT32_MAX : entry->size;
    uint64_t extra_size = zip64 == ALL_ZIP64 ? 24 : 8;
    PUT(file, "PK\1\2\0\0\0\0\0\0");
    put_number(file, (uint64_t)entry->method, 2);
    put_number(file, 0, 8); /* time, date, CRC */
    put_number(file, size, 4);
    put_number(file, size, 4);
    put_number(file, strlen(entry->name), 2);
    put_number(file, zip64 ? 6 + 4 + extra_size : 0, 2);
    PUT(file, "\0\0\0\0\0\0\0\0\0\0"); /* comment, disk, attributes */
    put_number(file, zip64 ? UINT32_MAX : offset, 4);
    put(file, entry->name, strlen(entry->name));
    if (!zip64) return;
    PUT(file, "\7\0\2\0xy"); /* another extra field before it */
    put_number(file, 1, 2);
    put_number(file, extra_size, 2);
    if (zip64 == ALL_ZIP64) {
        put_number(file, entry->size, 8);
        put_number(file, entry->size, 8);
    }
    put_number(file, offset, 8);
}

static void put_zip64_end(Bytes *file, size_t count, size_t directory, size_t directory_size)
{
    size_t end64 = file->size;
    PUT(file, "PK\6\6");
    put_number(file, 44, 8);
    put_number(file, 0, 4);
    put_number(file, 0, 8);
    put_number(file, count, 8);
    put_number(file, count, 8);
    put_number(file, directory_size, 8);
    put_number(file, directory, 8);
    PUT(file, "PK\6\7\0\0\0\0");
    put_number(file, end64, 8);
    put_number(file, 1, 4);
}

static void put_zip(Bytes *file, const Entry *entries, size_t count, Zip64 zip64)
{
    size_t offsets[8];
    for (size_t i = 0; i < count; i++) {
        offsets[i] = file->size;
        PUT(file, "PK\3\4");
        put_number(file, 0, 8);
        put_number(file, 0, 8);
        put_number(file, 0, 6); /* sizes stand in the directory */
        put_number(file, strlen(entries[i].name), 2);
        put_number(file, 3, 2);
        put(file, entries[i].name, strlen(entries[i].name));
        PUT(file, "pad");
        put(file, entries[i].data, entries[i].size);
    }
    size_t directory = file->size;
    for (size_t i = 0; i < count; i++) put_directory_entry(file, &entries[i], offsets[i], zip64);
    size_t directory_size = file->size - directory;
    if (zip64) put_zip64_end(file, count, directory, directory_size);
    PUT(file, "PK\5\6\0\0\0\0\0\0");
    put_number(file, zip64 ? 0xffff : count, 2);
    put_number(file, zip64 ? UINT32_MAX : directory_size, 4);
    put_number(file, zip64 ? UINT32_MAX : directory, 4);
    put_number(file, 0, 2);
}

static const Entry good_entries[] = {
    {"a/data.pkl", GOOD_PICKLE, sizeof(GOOD_PICKLE) - 1, 0},
    {"a/data/k", six, sizeof six, 0},
    {"a/byteorder", "little", 6, 0},
};

/* ---- reading them ---- */

/* In a block of its own exact size, so that a sanitizer sees every byte too far. */
static int open_exact(const void *bytes, size_t size, PfWeights **weights, uint8_t **block,
                      PfError *err)
{
    *block = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(*block);
    if (size) memcpy(*block, bytes, size);
    return pf_weights_open_bytes("made.bin", *block, size, weights, err);
}

static void expect_failure(const Bytes *file, const char *part)
{
    PfWeights *weights;
    PfError err = {0};
    uint8_t *block;
    ck_assert_msg(open_exact(file->data, file->size, &weights, &block, &err) == -1,
                  "opened; expected '%s'", part);
    ck_assert_ptr_null(weights);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_msg(strstr(err.message, "made.bin") && strstr(err.message, part), "'%s' lacks '%s'",
                  err.message, part);
    free(block);
}

/* One tensor "w" (2,3) with the values given. */
static void expect_w(const Bytes *file, const char *format, const float expected[6])
{
    PfWeights *weights;
    PfError err = {0};
    uint8_t *block;
    ck_assert_msg(!open_exact(file->data, file->size, &weights, &block, &err), "%s", err.message);
    ck_assert_str_eq(pf_weights_format(weights), format);
    const PfTensorView *view = pf_weights_find_tensor(weights, "w");
    ck_assert_ptr_nonnull(view);
    ck_assert_int_eq(view->dtype, PF_DTYPE_F32);
    ck_assert_int_eq(view->shape.rank, 2);
    ck_assert_int_eq(view->shape.dims[0], 2);
    ck_assert_int_eq(view->shape.dims[1], 3);
    ck_assert_mem_eq(view->data, expected, sizeof six);
    ck_assert_ptr_null(pf_weights_find_tensor(weights, "v"));
    pf_weights_close(&weights);
    free(block);
}

/* Every shorter file is refused; every changed byte is read or refused, but
 * never out of bounds (a sanitizer's business). */
static void torture(const Bytes *file)
{
    PfWeights *weights;
    uint8_t *block;
    for (size_t size = 0; size < file->size; size++) {
        ck_assert_int_eq(open_exact(file->data, size, &weights, &block, NULL), -1);
        free(block);
    }
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x7f, 0x20};
    for (size_t at = 0; at < file->size; at++)
        for (size_t c = 0; c < sizeof changes; c++) {
            Bytes changed = *file;
            changed.data[at] ^= changes[c];
            open_exact(changed.data, changed.size, &weights, &block, NULL);
            pf_weights_close(&weights);
            free(block);
        }
}

/* ---- safetensors ---- */

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define GOOD_HEADER "{\"w\":" ENTRY("F32", "[2,3]", "[0,24]") "}"

START_TEST(safetensors_are_read)
{
    Bytes file = {0};
    put_safetensors(&file, GOOD_HEADER "   ", sizeof six);
    expect_w(&file, "safetensors", six);
    torture(&file);
}
END_TEST

START_TEST(safetensors_keep_order_names_and_metadata)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"\\u00e9\"},"
        "\"module.b\":" ENTRY("BF16", "[]", "[4,6]") ",\"module.c\":" ENTRY(
            "I8", "[0,7]",
            "[6,6]") ",\"module.a.module.x\":" ENTRY("F32", "[1]",
                                                     "[0,4]") ",\"c\\u00f6d\":" ENTRY("BOOL", "[2]",
                                                                                      "[6,8]") "}";
    static const char *const names[] = {"b", "c", "a.x", "c\303\266d"};
    Bytes file = {0};
    PfWeights *weights;
    PfError err = {0};
    size_t count;
    put_safetensors(&file, header, 8);
    ck_assert_msg(!pf_weights_open_bytes("x", file.data, file.size, &weights, &err), "%s",
                  err.message);
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    ck_assert_uint_eq(count, 4);
    for (size_t i = 0; i < count; i++) ck_assert_str_eq(tensors[i].name, names[i]);
    ck_assert_int_eq(tensors[0].view.dtype, PF_DTYPE_BF16);
    ck_assert_ptr_eq(tensors[0].view.data, file.data + file.size - 4); /* a view, not a copy */
    ck_assert_str_eq(pf_weights_metadata(weights, "note"), "\303\251");
    ck_assert_ptr_null(pf_weights_metadata(weights, "Note"));
    pf_weights_close(&weights);
}
END_TEST

START_TEST(broken_safetensors_are_refused)
{
    static const struct {
        const char *header;
        size_t data_size;
        const char *part;
    } cases[] = {
        {"{\"w\":", 24, "not JSON"},
        {GOOD_HEADER "x", 24, "does not end"},
        {"{\"w\":3}", 24, "dtype"},
        {"{\"w\":{\"dtype\":7,\"shape\":[6],\"data_offsets\":[0,24]}}", 24, "'w' has no dtype"},
        {"{\"w\":" ENTRY("F32", "\"2,3\"", "[0,24]") "}", 24, "shape"},
        {"{\"w\":" ENTRY("F32", "[2,-3]", "[0,24]") "}", 24, "no shape"},
        {"{\"w\":" ENTRY("F32", "[2,2.5]", "[0,20]") "}", 20, "no shape"},
        {"{\"w\":" ENTRY("F32", "[4294967296,4294967296]", "[0,24]") "}", 24, "no shape"},
        {"{\"w\":" ENTRY("F32", "[1e300]", "[0,24]") "}", 24, "no shape"},
        {"{\"w\":" ENTRY("F32", "[2,3]", "[0]") "}", 24, "data_offsets"},
        {"{\"w\":" ENTRY("F32", "[2,3]", "[0,24,24]") "}", 24, "data_offsets"},
        {"{\"w\":" ENTRY("F32", "[2,3]", "[-1,23]") "}", 24, "data_offsets"},
        {"{\"w\":" ENTRY("F32", "[2,3]", "[24,0]") "}", 24, "outside"},
        {GOOD_HEADER, 23, "outside"},
        {"{\"w\":" ENTRY("F32", "[2,3]", "[0,20]") "}", 24, "more or fewer"},
        {"{\"w\":" ENTRY("F32", "[5]", "[0,24]") "}", 24, "more or fewer"},
        {"{\"w\":" ENTRY("F32", "[5]", "[4,24]") "}", 24, "holes"},
        {"{\"w\":" ENTRY("F32", "[2]", "[0,8]") ",\"v\":" ENTRY("F32", "[2]", "[4,12]") "}", 12,
         "overlap"},
        {"{\"w\":" ENTRY("F32", "[2]", "[0,8]") ",\"v\":" ENTRY("F32", "[2]", "[12,20]") "}", 20,
         "holes"},
        {GOOD_HEADER, 25, "bytes follow"},
        {"{\"w\":" ENTRY("F32", "[2]", "[0,8]") ",\"w\":" ENTRY("F32", "[2]", "[8,16]") "}", 16,
         "'w' comes twice"},
        {"{\"module.w\":" ENTRY("U8", "[2]", "[0,2]") ",\"w\":" ENTRY("U8", "[2]", "[2,4]") "}", 4,
         "'w' comes twice"},
        {"{\"a\\nb\":" ENTRY("U8", "[2]", "[0,2]") "}", 2, "control characters"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata"},
        {"{\"__metadata__\":[]}", 0, "metadata"},
        {"{}", 0, "no tensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_safetensors(&file, cases[i].header, cases[i].data_size);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

/* Tensors of types that are not read, and of too many axes, beside "w". */
START_TEST(foreign_safetensors_are_passed_over)
{
    static const char *const others[] = {ENTRY("F8_E4M3", "[2,3]", "[24,30]"),
                                         ENTRY("F8_E5M2", "[6]", "[24,30]"),
                                         ENTRY("F8_E8M0", "[6]", "[24,30]"),
                                         ENTRY("F4", "[4,3]", "[24,30]"),
                                         ENTRY("F6_E2M3", "[8]", "[24,30]"),
                                         ENTRY("U16", "[3]", "[24,30]"),
                                         ENTRY("U32", "[2]", "[24,32]"),
                                         ENTRY("U64", "[1]", "[24,32]"),
                                         ENTRY("C64", "[]", "[24,32]"),
                                         ENTRY("OF_NEXT_YEAR", "[3]", "[24,25]"),
                                         ENTRY("U8", "[1,1,1,1,1,1,1,6]", "[24,30]"),
                                         ENTRY("U64", "[0]", "[24,24]")};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char header[400];
        Bytes file = {0};
        snprintf(header, sizeof header, "{\"module.q\":%s,\"w\":%s}", others[i],
                 ENTRY("F32", "[2,3]", "[0,24]"));
        size_t end = (size_t)atoi(strstr(others[i], "[24,") + 4);
        put_safetensors(&file, header, end);
        expect_w(&file, "safetensors", six);
    }
}
END_TEST

START_TEST(broken_foreign_safetensors_are_refused)
{
    static const struct {
        const char *header;
        size_t data_size;
        const char *part;
    } cases[] = {
        {"{\"q\":" ENTRY("F8_E4M3", "[2,3]", "[0,6]") "}", 6, "of 1 others 'q' is F8_E4M3"},
        {"{\"q\":" ENTRY("F8_E4M3", "[2,3]", "[0,24]") "}", 24, "more or fewer"},
        {"{\"q\":" ENTRY("F4", "[3]", "[0,1]") "}", 1, "more or fewer"},
        {"{\"q\":" ENTRY("C64", "[4294967296,4294967296]", "[0,24]") "}", 24, "no shape"},
        {"{\"q\":" ENTRY("C64", "[1152921504606846976]", "[0,24]") "}", 24, "no shape"},
        {"{\"q\":" ENTRY("OF_NEXT_YEAR", "[3]", "[0,25]") "}", 24, "outside"},
        {"{\"q\":" ENTRY("U16", "[2]", "[0,4]") ",\"w\":" ENTRY("U8", "[2]", "[6,8]") "}", 8,
         "holes"},
        {"{\"q\":" ENTRY("U16", "[2]", "[0,4]") ",\"w\":" ENTRY("U8", "[2]", "[2,4]") "}", 4,
         "overlap"},
        {"{\"w\":" ENTRY("U16", "[2]", "[0,4]") ",\"w\":" ENTRY("U8", "[2]", "[4,6]") "}", 6,
         "'w' comes twice"},
        {"{\"q\":" ENTRY("U16", "[1]", "[0,2]") ",\"w\":" ENTRY(
             "U8", "[2]", "[2,4]") ",\"q\":" ENTRY("U16", "[1]", "[4,6]") "}",
         6, "'q' comes twice"},
        {"{\"w\":" ENTRY("U8", "[2]", "[0,2]") ",\"a\\nb\":" ENTRY("U16", "[1]", "[2,4]") "}", 4,
         "control characters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_safetensors(&file, cases[i].header, cases[i].data_size);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

START_TEST(absurd_safetensors_header_lengths_are_refused)
{
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, 100000001,
                                       10000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        Bytes file = {0};
        put_safetensors(&file, GOOD_HEADER, sizeof six);
        memcpy(file.data, &lengths[i], 8);
        expect_failure(&file, "longer than the file");
    }
}
END_TEST

/* ---- pickles ---- */

START_TEST(legacy_files_are_read)
{
    Bytes file = {0};
    put_legacy(&file, GOOD_PICKLE, sizeof(GOOD_PICKLE) - 1);
    expect_w(&file, "pth (legacy)", six);
    torture(&file);
}
END_TEST

START_TEST(strided_tensors_are_made_contiguous)
{
    static const char pickle[] = BEGIN TENSOR(STORAGE, "K\0", SHAPE_2_3, "K\1K\2\206") END;
    static const float expected[6] = {0, 2, 4, 1, 3, 5};
    Bytes file = {0};
    put_legacy(&file, pickle, sizeof pickle - 1);
    expect_w(&file, "pth (legacy)", expected);
    static const char repeated[] = BEGIN TENSOR(STORAGE, "K\1", SHAPE_2_3, "K\0K\1\206") END;
    static const float rows[6] = {1, 2, 3, 1, 2, 3};
    Bytes other = {0};
    put_legacy(&other, repeated, sizeof repeated - 1);
    expect_w(&other, "pth (legacy)", rows);
}
END_TEST

START_TEST(wrappers_parameters_and_python_2_are_seen_through)
{
#define PARAMETER "ctorch._utils\n_rebuild_parameter\n(" GOOD_TENSOR "\210}tR"
    static const char parameter[] = "\200\2}U\10module.w" PARAMETER "s.";
    static const char pairs[] = "\200\2ccollections\nOrderedDict\n(](]U\1wa" GOOD_TENSOR "aetR.";
    static const char checkpoint[] =
        "\200\2}(X\5\0\0\0epochK\5X\4\0\0\0bestG\0\0\0\0\0\0\0\0"
        "X\4\0\0\0argscargparse\nNamespace\n)\201}X\2\0\0\0lrG\0\0\0\0\0\0\0\0sb"
        "X\4\0\0\0lossctorch._utils\n_rebuild_tensor\n(" STORAGE "K\0))tR"
        "X\12\0\0\0state_dict}X\1\0\0\0w" GOOD_TENSOR "su.";
    const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{parameter, sizeof parameter - 1},
                 {pairs, sizeof pairs - 1},
                 {checkpoint, sizeof checkpoint - 1}};
    for (size_t i = 0; i < 3; i++) {
        Bytes file = {0};
        put_legacy(&file, cases[i].bytes, cases[i].size);
        expect_w(&file, "pth (legacy)", six);
    }
}
END_TEST

#define REFUSED(pickle, part)                                                                      \
    {                                                                                              \
        pickle, sizeof(pickle) - 1, part                                                           \
    }

START_TEST(pickles_that_do_more_than_hold_tensors_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        REFUSED("\200\2cos\nsystem\nX\4\0\0\0true\205R.", "asks for 'os.system'"),
        REFUSED("\200\4\214\2os\214\6system\223\214\4true\205R.", "asks for 'os.system'"),
        REFUSED("\200\2cnumpy.core.multiarray\nfromfile\n.",
                "asks for 'numpy.core.multiarray.fromfile'"),
        REFUSED("\200\2ctorch.storage\n_load_from_bytes\n.", "'torch.storage._load_from_bytes'"),
        REFUSED("\200\2c\33[31m\nx\n.", "'\\x1b[31m.x'"),
        REFUSED("\200\2(X\1\0\0\0xios\nsystem\n.", "opcode 0x69 ('i')"),
        REFUSED("\200\2P1\n.", "opcode 0x50 ('P')"),
        REFUSED("\200\2\202\1.", "opcode 0x82"),
        REFUSED("\200\2ctorch\nFloatStorage\n)R.", "'torch.FloatStorage'"),
        REFUSED("\200\2]K\1\205R.", "not a function"),
        REFUSED("\200\2K\1}b.", "sets attributes"),
        REFUSED("\200\2(X\6\0\0\0moduleNNNNtQ.", "other than a tensor's storage"),
        REFUSED("\200\2K\1Q.", "other than a tensor's storage"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_legacy(&file, cases[i].bytes, cases[i].size);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

START_TEST(broken_pickles_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        REFUSED(".", "empty stack"),
        REFUSED("\200\2K\1\206.", "empty stack"),
        REFUSED("\200\2]K\1(a.", "empty stack"), /* reaches below the mark */
        REFUSED("\200\2K\1t.", "never began"),
        REFUSED("\200\2h\5.", "never put away"),
        REFUSED("\200\2Nr\377\377\377\377.", "remembers too many"),
        REFUSED("\200\2K\1K\2K\3s.", "takes none"),
        REFUSED("\200\2}(K\1u.", "takes none"),
        REFUSED("\200\2(K\1d.", "key without value"),
        REFUSED("\200\2X\377\377\377\177.", "truncated"),
        REFUSED("\200\2\215\377\377\377\377\377\377\377\377.", "truncated"),
        REFUSED("\200\2cos.", "name does not end"),
        REFUSED("\200\2K\1.", "no state_dict"),
        REFUSED("\200\2}X\5\0\0\0epochK\1s.", "'epoch'"),
        REFUSED("\200\2" GOOD_TENSOR ".", "a single tensor"),
        REFUSED("\200\2}(X\1\0\0\0w" GOOD_TENSOR "X\1\0\0\0w" GOOD_TENSOR "u.", "comes twice"),
        /* tensors that are not inside their storage */
        REFUSED(BEGIN TENSOR(STORAGE, "K\1", SHAPE_2_3, STRIDE_3_1) END, "beyond its storage"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", SHAPE_2_3, "K\4K\1\206") END, "beyond its storage"),
        REFUSED(BEGIN TENSOR(STORAGE, "J\377\377\377\377", SHAPE_2_3, STRIDE_3_1) END, "beyond"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", SHAPE_2_3, "J\377\377\377\377K\1\206") END, "beyond"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", "J\377\377\377\377K\3\206", STRIDE_3_1) END, "beyond"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", "\212\10\0\0\0\0\0\0\0\100K\4\206", "K\0K\0\206") END,
                "beyond"), /* 2^62 * 4 elements */
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", SHAPE_2_3, "\212\10\0\0\0\0\0\0\0\177K\1\206") END,
                "beyond"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", SHAPE_2_3, "K\3\205") END, "torch does not"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", "(K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1t")
                    END,
                "of kinds that are not read"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", "K\2K\3N\207", "K\3K\1K\1\207") END, "torch does not"),
        REFUSED(BEGIN TENSOR(STORAGE, "K\0", "\212\4\0\0\0\1K\6\206", "K\0K\1\206") END,
                "repeat themselves"), /* 16,777,216 x 6 from 6 */
        /* storages that are not what the file says */
        REFUSED(BEGIN TENSOR(STORAGE_OF("FloatStorage", "k", "K\7"), "K\0", SHAPE_2_3, STRIDE_3_1)
                    END,
                "should hold 7 elements of f32, but only 24 bytes"),
        REFUSED(BEGIN TENSOR(STORAGE_OF("FloatStorage", "?", "K\6"), "K\0", SHAPE_2_3, STRIDE_3_1)
                    END,
                "no tensor has"),
        REFUSED(BEGIN TENSOR(STORAGE_OF("DoubleStorage", "k", "K\6"), "K\0", SHAPE_2_3, STRIDE_3_1)
                    END,
                "middle of a tensor"),
        REFUSED("\200\2}(X\1\0\0\0a" STORAGE_OF("IntStorage", "k", "K\1") "X\1\0\0\0w" GOOD_TENSOR
                                                                          "u.",
                "two types"),
        REFUSED("\200\2}(X\1\0\0\0a" STORAGE_OF("FloatStorage", "j", "K\1") "X\1\0\0\0w" GOOD_TENSOR
                                                                            "u.",
                "storage is missing"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_legacy(&file, cases[i].bytes, cases[i].size);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

START_TEST(broken_legacy_key_lists_are_refused)
{
    static const char pickle[] = GOOD_PICKLE;
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        REFUSED("\200\2](X\1\0\0\0kX\1\0\0\0ke.", "middle of a tensor"),
        REFUSED("\200\2]K\1a.", "not text"),
        REFUSED("\200\2].", "storage is missing"),
        REFUSED("\200\2K\1.", "storage is missing"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_legacy_with_keys(&file, pickle, sizeof pickle - 1, cases[i].bytes, cases[i].size);
        expect_failure(&file, cases[i].part);
        if (i > 0) continue;
        put_number(&file, 6, 8); /* with a second block for the second mention */
        put(&file, six, sizeof six);
        expect_failure(&file, "listed twice");
    }
}
END_TEST

START_TEST(deep_pickles_are_refused)
{
    Bytes pickle = {0}, file = {0};
    for (int i = 0; i < 5000; i++) PUT(&pickle, "(");
    for (int i = 0; i < 5000; i++) PUT(&pickle, "t");
    PUT(&pickle, ".");
    put_legacy(&file, pickle.data, pickle.size);
    expect_failure(&file, "nested too deep");
}
END_TEST

/* ---- zip ---- */

START_TEST(zip_files_are_read)
{
    for (int zip64 = NO_ZIP64; zip64 <= OFFSET_ZIP64; zip64++) {
        Bytes file = {0};
        put_zip(&file, good_entries, 3, (Zip64)zip64);
        expect_w(&file, "pth", six);
        torture(&file);
    }
}
END_TEST

START_TEST(zip_files_with_a_comment_are_read)
{
    Bytes file = {0};
    put_zip(&file, good_entries, 3, NO_ZIP64);
    file.data[file.size - 2] = 200; /* its length, the last field */
    for (int i = 0; i < 50; i++) PUT(&file, "PK\5\6");
    expect_w(&file, "pth", six);
}
END_TEST

START_TEST(broken_zip_files_are_refused)
{
    static const struct {
        int changed;
        Entry entry;
        const char *part;
    } cases[] = {
        {0, {"a/b/data.pkl", GOOD_PICKLE, sizeof(GOOD_PICKLE) - 1, 0}, "not one that torch.save"},
        {0, {"a/data.pkl", GOOD_PICKLE, sizeof(GOOD_PICKLE) - 2, 0}, "truncated"},
        {0, {"a/data.pkl", GOOD_PICKLE, sizeof(GOOD_PICKLE) - 1, 8}, "'a/data.pkl' is compressed"},
        {1, {"a/data/k", six, sizeof six, 8}, "'a/data/k' is compressed"},
        {1, {"a/data/j", six, sizeof six, 0}, "storage 'k' is missing"},
        {1, {"a/data/k", six, sizeof six - 1, 0}, "only 23 bytes"},
        {2, {"a/byteorder", "big", 3, 0}, "big-endian"},
        {2, {"a/constants.pkl", "x", 1, 0}, "--backbone"},
        {2, {"a/data/k", six, sizeof six, 0}, "comes twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Entry entries[3] = {good_entries[0], good_entries[1], good_entries[2]};
        entries[cases[i].changed] = cases[i].entry;
        Bytes file = {0};
        put_zip(&file, entries, 3, NO_ZIP64);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

/* The four bytes at `offset` of the second directory entry become `value`. */
static void expect_bad_directory(size_t offset, uint32_t value, const char *part)
{
    Bytes file = {0};
    put_zip(&file, good_entries, 3, NO_ZIP64);
    uint8_t *entry = file.data;
    for (int i = 0; i < 2; i++)
        entry = memmem(entry + 1, (size_t)(file.data + file.size - entry - 1), "PK\1\2", 4);
    memcpy(entry + offset, &value, sizeof value);
    if (offset == 20) memcpy(entry + 24, &value, sizeof value);
    expect_failure(&file, part);
}

START_TEST(zip_entries_outside_the_file_are_refused)
{
    expect_bad_directory(20, 100000, "ends outside the file");
    expect_bad_directory(20, UINT32_MAX, "ends outside the file"); /* without a zip64 field */
    expect_bad_directory(42, 100000, "not where its directory says");
    expect_bad_directory(42, UINT32_MAX, "not where its directory says");
    expect_bad_directory(42, 1, "not where its directory says");
    expect_bad_directory(28, 60000, "ends early");
}
END_TEST

/* ---- what lies beside the tensors ---- */

START_TEST(inert_objects_beside_the_tensors_are_passed_over)
{
#define BESIDE(bytes) REFUSED("\200\4}(X\1\0\0\0x" bytes "X\1\0\0\0w" GOOD_TENSOR "u.", "")
#define INERT "ctorch.optim.adam\nAdam\n)\201"
    static const struct {
        const char *bytes;
        size_t size;
        const char *unused;
    } cases[] = {
        BESIDE("ccollections\nCounter\n}K\3K\1s\205R"),
        BESIDE("ctorch\nint4\n"),
        BESIDE("ctorch.cuda.sparse\nHalfTensor\n"),
        BESIDE("ctorch.cuda\nBFloat16Storage\n"),
        BESIDE("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\205C\1b\207R"),
        BESIDE("ctorch\nbfloat16\n"),
        BESIDE("c__builtin__\nset\n]K\1a\205R"),
        BESIDE("\217(K\1K\2\220"),
        BESIDE("(K\1K\2\221"),
        BESIDE("c__builtin__\nbytearray\nX\1\0\0\0aX\7\0\0\0latin-1\206R"),
        BESIDE("\226\2\0\0\0\0\0\0\0ab"),
        BESIDE("cbuiltins\ncomplex\nG\0\0\0\0\0\0\0\0G\0\0\0\0\0\0\0\0\206R"),
        BESIDE("cbuiltins\ngetattr\n" INERT "X\4\0\0\0step\206R"),
        BESIDE("K\1(K\2K\3"
               "1"
               "K\4"
               "0"), /* POP_MARK, POP */
        BESIDE("ctorch._utils\n_rebuild_sparse_tensor\n)R"),
        BESIDE("ctorch._utils\n_rebuild_parameter\nctorch._utils\n_rebuild_qtensor\n)R\205R"),
        BESIDE("ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_legacy(&file, cases[i].bytes, cases[i].size);
        expect_w(&file, "pth (legacy)", six);
        torture(&file);
    }
}
END_TEST

START_TEST(storages_of_other_types_are_stepped_over)
{
    static const char keys[] = "\200\2](X\1\0\0\0uX\1\0\0\0ke.";
#define OTHER "(X\7\0\0\0storagectorch.storage\nUntypedStorage\nX\1\0\0\0uX\3\0\0\0cpuK\3tQ"
    static const char pickle[] =
        "\200\2}(X\1\0\0\0xctorch._utils\n_rebuild_tensor_v3\n(" OTHER
        "K\0K\3\205K\1\205\211ccollections\nOrderedDict\n)Rctorch\nfloat8_e5m2\ntR"
        "X\1\0\0\0w" GOOD_TENSOR "u.";
    Bytes good = {0}, file = {0};
    put_legacy_with_keys(&good, pickle, sizeof pickle - 1, keys, sizeof keys - 1);
    put(&file, good.data, good.size - 8 - sizeof six);
    put_number(&file, 3, 8);
    PUT(&file, "abc");
    put_number(&file, 6, 8);
    put(&file, six, sizeof six);
    expect_w(&file, "pth (legacy)", six);
    torture(&file);
}
END_TEST

START_TEST(inert_objects_do_nothing_else)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        REFUSED("\200\2c__builtin__\neval\n.", "'__builtin__.eval'"),
        REFUSED("\200\2cbuiltins\ngetattr\ncos\nsystem\n.", "'os.system'"),
        REFUSED("\200\2cbuiltins\ngetattr\nctorch\nFloatStorage\nX\1\0\0\0x\206R.", "an attribute"),
        REFUSED("\200\2cbuiltins\ngetattr\n" INERT "K\1\206R.", "an attribute"),
        REFUSED("\200\2cbuiltins\ngetattr\n" INERT "X\1\0\0\0x\206R)R.", "not a function"),
        REFUSED("\200\2" INERT ")R.", "not a function"),
        REFUSED("\200\2](K\1\220.", "takes none"),
        REFUSED("\200\2"
                "0.",
                "empty stack"),
        REFUSED("\200\2"
                "1.",
                "never began"),
        REFUSED("\200\2ctorch._utils\n_rebuild_from_type_v2\n)R.", "torch does not"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put_legacy(&file, cases[i].bytes, cases[i].size);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

/* ---- entries and prefixes ---- */

#define TURNED_TENSOR TENSOR(STORAGE, "K\0", SHAPE_2_3, "K\1K\2\206")
static const float turned[6] = {0, 2, 4, 1, 3, 5};
static const char two_entries[] = "\200\2}(X\5\0\0\0model}X\1\0\0\0w" GOOD_TENSOR
                                  "sX\3\0\0\0ema}X\6\0\0\0module}X\1\0\0\0w" TURNED_TENSOR "ssu.";
static const char two_prefixes[] =
    "\200\2}(X\15\0\0\0module.left.w" GOOD_TENSOR "X\7\0\0\0right.w" TURNED_TENSOR "u.";

static void expect_entry(const char *pickle, size_t size, const char *key, const float *expected,
                         const char *entry)
{
    Bytes file = {0};
    PfWeights *weights;
    PfError err = {0};
    put_legacy(&file, pickle, size);
    ck_assert_msg(!pf_weights_open_bytes_entry("x", file.data, file.size, key, &weights, &err),
                  "%s", err.message);
    ck_assert_mem_eq(pf_weights_find_tensor(weights, "w")->data, expected, sizeof six);
    ck_assert_pstr_eq(pf_weights_entry(weights), entry);
    char whole[PF_SHA256_TEXT_SIZE];
    pf_digest_sha256_text(file.data, file.size, whole);
    ck_assert_int_eq(!strcmp(whole, pf_weights_sha256(weights)), !entry);
    pf_weights_close(&weights);
}

START_TEST(an_entry_is_chosen)
{
    expect_entry(two_entries, sizeof two_entries - 1, NULL, turned, "ema.module");
    expect_entry(two_entries, sizeof two_entries - 1, "ema.module", turned, "ema.module");
    expect_entry(two_entries, sizeof two_entries - 1, "model", six, NULL);
    expect_entry(two_prefixes, sizeof two_prefixes - 1, "left", six, "left");
    expect_entry(two_prefixes, sizeof two_prefixes - 1, "right", turned, "right");
    Bytes file = {0};
    PfWeights *weights;
    PfError err = {0};
    put_legacy(&file, two_prefixes, sizeof two_prefixes - 1);
    ck_assert_int_eq(pf_weights_open_bytes_entry("x", file.data, file.size, "up", &weights, &err),
                     -1);
    ck_assert_msg(strstr(err.message, "'up'") && strstr(err.message, "'left', 'right'"), "%s",
                  err.message);
}
END_TEST

/* A dict of two dicts under these keys, the first with `six` as "w", the other with `turned`. */
static void put_two(Bytes *pickle, const char *first, const char *second)
{
    PUT(pickle, "\200\2}(X");
    put_number(pickle, strlen(first), 4);
    put(pickle, first, strlen(first));
    PUT(pickle, "}X\1\0\0\0w" GOOD_TENSOR "sX");
    put_number(pickle, strlen(second), 4);
    put(pickle, second, strlen(second));
    PUT(pickle, "}X\1\0\0\0w" TURNED_TENSOR "su.");
}

START_TEST(of_two_copies_the_averaged_one_is_chosen)
{
    static const char *const pairs[][2] = {{"state_dict", "state_dict_ema"},
                                           {"model", "model_ema"},
                                           {"model", "ema"},
                                           {"student", "teacher"},
                                           {"model_state_dict", "model_ema_state_dict"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *plain = pairs[i][0], *averaged = pairs[i][1];
        Bytes pickle = {0}, turn = {0};
        put_two(&pickle, plain, averaged);
        expect_entry((char *)pickle.data, pickle.size, NULL, turned, averaged);
        put_two(&turn, averaged, plain); /* whichever comes first */
        expect_entry((char *)turn.data, turn.size, NULL, six, averaged);
        expect_entry((char *)turn.data, turn.size, averaged, six, averaged);
        expect_entry((char *)turn.data, turn.size, plain, turned,
                     strcmp(plain, "student") != 0 ? NULL : plain);
    }
}
END_TEST

static void write_file(const char *path, const char *pickle, size_t size)
{
    Bytes file = {0};
    put_legacy(&file, pickle, size);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(file.data, 1, file.size, out), file.size);
    ck_assert_int_eq(fclose(out), 0);
}

static void expect_loaded(const PfArch *arch, const char *spec, const PfFileStampSha256 *known,
                          const float *expected)
{
    PfWeights *weights;
    const PfWeightsEntry *entry;
    PfError err = {0};
    ck_assert_msg(!pf_weights_load(arch, spec, known, &weights, &entry, &err), "%s", err.message);
    ck_assert_mem_eq(pf_weights_find_tensor(weights, "w")->data, expected, sizeof six);
    pf_weights_close(&weights);
}

START_TEST(file_and_key_are_told_apart)
{
    char folder[] = "/tmp/weights_entry_XXXXXX", path[64], spec[80];
    PfArch *arch;
    PfWeights *whole;
    PfFileStampSha256 known = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a#b.pth", folder);
    snprintf(spec, sizeof spec, "%s#model", path);
    write_file(path, two_entries, sizeof two_entries - 1);
    ck_assert_int_eq(pf_arch_new("resnet18", &arch, NULL), 0);
    expect_loaded(arch, path, NULL, turned);
    expect_loaded(arch, spec, NULL, six);
    ck_assert_str_eq(pf_weights_still_there(spec), spec);
    /* A cache that an earlier program made goes on as it began. */
    ck_assert_int_eq(pf_weights_open_entry(path, "model", &whole, NULL), 0);
    snprintf(known.sha256, sizeof known.sha256, "%s", pf_weights_sha256(whole));
    pf_weights_close(&whole);
    expect_loaded(arch, path, &known, six);
    write_file(spec, two_prefixes, sizeof two_prefixes - 1); /* a file of that very name wins */
    PfWeights *weights;
    const PfWeightsEntry *entry;
    ck_assert_int_eq(pf_weights_load(arch, spec, NULL, &weights, &entry, NULL), 0);
    ck_assert_ptr_nonnull(pf_weights_find_tensor(weights, "left.w"));
    pf_weights_close(&weights);
    unlink(spec);
    unlink(path);
    ck_assert_ptr_null(pf_weights_still_there(spec));
    rmdir(folder);
    pf_arch_free(&arch);
}
END_TEST

/* The tensors of resnet18 under each of the prefixes, those of the i-th with seed i. */
static int see_through(const char *const *prefixes, PfWeights **out, const PfArch *arch,
                       PfWeights **sources, PfError *err)
{
    ck_assert_int_eq(pf_weights_new("made.pth", out, NULL), 0);
    for (int p = 0; prefixes[p]; p++) {
        size_t count;
        ck_assert_int_eq(pf_weights_random(arch, (uint64_t)p, &sources[p], NULL), 0);
        const PfNamedTensor *tensors = pf_weights_tensors(sources[p], &count);
        for (size_t i = 0; i < count; i++) {
            char name[200];
            int size = snprintf(name, sizeof name, "%s%s", prefixes[p], tensors[i].name);
            ck_assert_int_eq(pf_weights_add(*out, name, (size_t)size, &tensors[i].view, NULL), 0);
        }
    }
    ck_assert_int_eq(pf_weights_index(*out, NULL), 0);
    return pf_weights_see_through_prefix(*out, arch, err);
}

START_TEST(words_are_found_in_names)
{
    static const char *const words[] = {"ema", "averag-", NULL};
    static const struct {
        const char *name;
        bool is_found;
    } cases[] = {{"ema", true},
                 {"model_ema", true},
                 {"callbacks.EMACallback.state", true},
                 {"callbacks.ModelEma.state", true},
                 {"netEMA", true},
                 {"ema0.999", true},
                 {"EMA{'decay': 0.9}", true},
                 {"averaged_model", true},
                 {"WeightAveraging", true},
                 {"", false},
                 {"semantic_encoder", false},
                 {"schema.model", false},
                 {"emanuel", false},
                 {"cinema_ma", false},
                 {"SEMANTIC", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(pf_weights_has_word(cases[i].name, strlen(cases[i].name), words) ==
                          cases[i].is_found,
                      "%s", cases[i].name);
    ck_assert(!pf_weights_has_word("model.ema", 7, words)); /* of "model.e" */
}
END_TEST

START_TEST(prefixes_are_seen_through)
{
    static const struct {
        const char *prefixes[3];
        int chosen; /* -1: refused */
    } cases[] = {{{"vision.tower."}, 0},
                 {{"module."}, 0},
                 {{"backbone."}, 0},
                 {{"encoder."}, 0},
                 {{"model."}, 0},
                 {{"_orig_mod."}, 0},
                 {{"visual."}, 0},
                 {{"module.encoder_q."}, 0},
                 {{"module._orig_mod.model.backbone."}, 0},
                 {{"module.encoder_q.", "module.encoder_k."}, -1},
                 {{"student.net.", "teacher.net."}, 1},
                 {{"online.", "target."}, -1},
                 {{"semantic_encoder.", "encoder."}, -1},
                 {{"netEMA.", "net."}, 0},
                 {{"ema.", "momentum."}, -1}};
    PfArch *arch;
    ck_assert_int_eq(pf_arch_new("resnet18_w16", &arch, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        PfWeights *weights, *sources[3] = {0};
        PfError err = {0};
        int failed = see_through(cases[i].prefixes, &weights, arch, sources, &err);
        ck_assert_int_eq(failed, cases[i].chosen < 0 ? -1 : 0);
        if (failed) {
            ck_assert_msg(strstr(err.message, "FILE#KEY"), "%s", err.message);
        } else {
            ck_assert_int_eq(pf_weights_check(weights, arch, arch->node_count - 1, &err), 0);
            ck_assert_ptr_eq(pf_weights_find_tensor(weights, "fc.weight")->data,
                             pf_weights_find_tensor(sources[cases[i].chosen], "fc.weight")->data);
        }
        pf_weights_close(&weights);
        for (int p = 0; p < 3; p++) pf_weights_close(&sources[p]);
    }
    pf_arch_free(&arch);
}
END_TEST

/* ---- telling them apart ---- */

START_TEST(other_files_are_named)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        REFUSED("", "empty"),
        REFUSED("hello", "a text that begins"),
        REFUSED("\211HDF\r\n\032\n....", "HDF5"),
        REFUSED("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        REFUSED("<!DOCTYPE html><html>", "web page"),
        REFUSED("\200\2}q\0.                              ", "not one that torch.save wrote"),
        REFUSED("PK\3\4 no directory follows", "damaged"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Bytes file = {0};
        put(&file, cases[i].bytes, cases[i].size);
        expect_failure(&file, cases[i].part);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights_formats");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, safetensors_are_read);
    tcase_add_test(cases, safetensors_keep_order_names_and_metadata);
    tcase_add_test(cases, broken_safetensors_are_refused);
    tcase_add_test(cases, foreign_safetensors_are_passed_over);
    tcase_add_test(cases, broken_foreign_safetensors_are_refused);
    tcase_add_test(cases, absurd_safetensors_header_lengths_are_refused);
    tcase_add_test(cases, legacy_files_are_read);
    tcase_add_test(cases, strided_tensors_are_made_contiguous);
    tcase_add_test(cases, wrappers_parameters_and_python_2_are_seen_through);
    tcase_add_test(cases, pickles_that_do_more_than_hold_tensors_are_refused);
    tcase_add_test(cases, broken_pickles_are_refused);
    tcase_add_test(cases, broken_legacy_key_lists_are_refused);
    tcase_add_test(cases, deep_pickles_are_refused);
    tcase_add_test(cases, zip_files_are_read);
    tcase_add_test(cases, zip_files_with_a_comment_are_read);
    tcase_add_test(cases, broken_zip_files_are_refused);
    tcase_add_test(cases, zip_entries_outside_the_file_are_refused);
    tcase_add_test(cases, inert_objects_beside_the_tensors_are_passed_over);
    tcase_add_test(cases, storages_of_other_types_are_stepped_over);
    tcase_add_test(cases, inert_objects_do_nothing_else);
    tcase_add_test(cases, an_entry_is_chosen);
    tcase_add_test(cases, of_two_copies_the_averaged_one_is_chosen);
    tcase_add_test(cases, file_and_key_are_told_apart);
    tcase_add_test(cases, words_are_found_in_names);
    tcase_add_test(cases, prefixes_are_seen_through);
    tcase_add_test(cases, other_files_are_named);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
