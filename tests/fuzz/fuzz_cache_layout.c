/* Whole HDF5 files of unusual content: the input is a recipe by which HDF5 itself writes a
 * file, of which the cache reader then has to make something. Every byte is one choice; where
 * the recipe ends, choices are those of a proper cache. */
#include <hdf5.h>
#include <string.h>

#include "common/cache/hdf5/internal.h"
#include "common/cache/hdf5/zstd_filter.h"
#include "fuzz.h"
#include "fuzz_cache_file.h"

enum { DIM_MAX = 5, VALUE_BYTES = 1 << 12 };

typedef struct Recipe {
    const uint8_t *data;
    size_t size;
    int is_latest;               /* version of the format */
    uint8_t values[VALUE_BYTES]; /* what datasets are filled with */
} Recipe;

static unsigned choose(Recipe *recipe, unsigned count)
{
    if (!recipe->size) return 0;
    recipe->size--;
    return *recipe->data++ % count;
}

/* ---- types ---- */

typedef enum Usual { NUMBERS, WHOLE_NUMBERS, TEXTS } Usual;

static hid_t make_number_type(Recipe *recipe, Usual usual)
{
    hid_t types[] = {usual == NUMBERS ? pf_hdf5_type(PF_DTYPE_F16) : H5T_STD_I32LE,
                     H5T_IEEE_F32LE,
                     H5T_STD_U8LE,
                     H5T_IEEE_F64BE,
                     H5T_STD_I64LE,
                     H5T_STD_U64BE,
                     H5T_STD_I8LE,
                     pf_hdf5_type(PF_DTYPE_F16)};
    return H5Tcopy(types[choose(recipe, sizeof types / sizeof *types)]);
}

static hid_t make_text_type(Recipe *recipe)
{
    unsigned kind = choose(recipe, 4);
    if (!kind) return H5Tcopy(pf_hdf5_text_type());
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 1 + choose(recipe, 20));
    H5Tset_strpad(type, (H5T_str_t)(kind - 1));
    return type;
}

static hid_t make_odd_type(Recipe *recipe)
{
    hid_t type = -1;
    switch (choose(recipe, 6)) {
    case 0: return H5Tcreate(H5T_OPAQUE, 1 + choose(recipe, 9));
    case 1: return H5Tvlen_create(H5T_STD_I8LE);
    case 2: return H5Tarray_create2(H5T_IEEE_F32LE, 1, &(hsize_t){2});
    case 3: return H5Tcopy(H5T_STD_REF_OBJ);
    case 4: return H5Tcopy(H5T_STD_B8LE);
    default:
        type = H5Tcreate(H5T_COMPOUND, 8);
        H5Tinsert(type, "a", 0, H5T_IEEE_F32LE);
        H5Tinsert(type, "b", 4, H5T_STD_I32LE);
        return type;
    }
}

static hid_t make_type(Recipe *recipe, Usual usual)
{
    switch (choose(recipe, 8)) {
    case 1: return make_text_type(recipe);
    case 2: return make_number_type(recipe, NUMBERS);
    case 3: return make_odd_type(recipe);
    default: return usual == TEXTS ? make_text_type(recipe) : make_number_type(recipe, usual);
    }
}

/* ---- spaces, layouts, filters ---- */

static hid_t make_space(Recipe *recipe, int usual_rank, int usual_width, hsize_t *dims, int *rank)
{
    unsigned kind = choose(recipe, 16);
    for (int i = 0; i < H5S_MAX_RANK; i++) dims[i] = i ? (hsize_t)usual_width : 3;
    *rank = usual_rank;
    if (kind == 1) return H5Screate(H5S_NULL);
    if (kind == 2) return H5Screate(H5S_SCALAR);
    if (kind == 3) *rank = 1 + (int)choose(recipe, 7);
    if (kind == 3 || kind == 4)
        for (int i = 0; i < *rank; i++) dims[i] = choose(recipe, DIM_MAX);
    /* The latest format's index of chunks is as long as the dataset. */
    if (kind == 5 && !recipe->is_latest) dims[0] = (hsize_t)1 << choose(recipe, 62);
    return H5Screate_simple(*rank, dims, NULL);
}

static void add_filter(Recipe *recipe, hid_t properties)
{
    switch (choose(recipe, 8)) {
    case 1: H5Pset_deflate(properties, 1); break;
    case 2: H5Pset_shuffle(properties); break;
    case 3: H5Pset_fletcher32(properties); break;
    case 4:
        H5Pset_filter(properties, PF_HDF5_FILTER_ZSTD, H5Z_FLAG_MANDATORY, 1, &(unsigned){1});
        break;
    case 7: H5Pset_filter(properties, 32767, H5Z_FLAG_OPTIONAL, 0, NULL); break;
    default: break;
    }
}

/* Whole datasets in other places, its own among them. */
static void make_virtual(Recipe *recipe, hid_t properties, hid_t space)
{
    static const char *const files[] = {".", "file", "nowhere.h5", "file%b"};
    static const char *const datasets[] = {"/features/b", "/features/avgpool", "/features",
                                           "/samples/size", "/b%b"};
    const char *file = files[choose(recipe, sizeof files / sizeof *files)];
    const char *dataset = datasets[choose(recipe, sizeof datasets / sizeof *datasets)];
    H5Pset_virtual(properties, space, file, dataset, space);
}

static hid_t make_layout(Recipe *recipe, hid_t space, const hsize_t *dims, int rank)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[H5S_MAX_RANK];
    unsigned kind = choose(recipe, 5);
    if (kind == 1) H5Pset_layout(properties, H5D_COMPACT);
    if (kind == 4) make_virtual(recipe, properties, space);
    if (kind < 2 || kind == 4) return properties;
    for (int i = 0; i < rank; i++) {
        chunk[i] = i ? dims[i] : 2;
        if (kind == 3) chunk[i] = 1 + choose(recipe, DIM_MAX);
    }
    H5Pset_chunk(properties, rank, chunk);
    for (int i = 0; i < 3; i++) add_filter(recipe, properties);
    return properties;
}

/* ---- objects ---- */

static void write_text(hid_t dataset, hid_t type, hssize_t count)
{
    static const char *texts[DIM_MAX * DIM_MAX * DIM_MAX];
    if (count < 0 || count > (hssize_t)(sizeof texts / sizeof *texts)) return;
    for (hssize_t i = 0; i < count; i++) texts[i] = "bees";
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts);
}

/* Whatever the type is, from the recipe's own bytes; what does not fit stays unwritten. */
static void fill(Recipe *recipe, hid_t dataset, hid_t type)
{
    hid_t space = H5Dget_space(dataset);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    if (choose(recipe, 8) == 1) return;
    if (H5Tis_variable_str(type) > 0) {
        write_text(dataset, type, count);
        return;
    }
    size_t bytes = recipe->size < 16 ? recipe->size : 16;
    memset(recipe->values, 0, sizeof recipe->values);
    if (bytes) memcpy(recipe->values, recipe->data, bytes);
    if (H5Tdetect_class(type, H5T_VLEN) > 0 || count < 0 || count > VALUE_BYTES ||
        (size_t)count * H5Tget_size(type) > VALUE_BYTES)
        return;
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, recipe->values);
}

/* A chunk that did not go through the filters that the dataset names. Not of texts: fuzz_cache.c
 * tells what HDF5 does with references of no meaning. */
static void write_raw_chunk(Recipe *recipe, hid_t dataset)
{
    static const hsize_t origin[H5S_MAX_RANK];
    unsigned kind = choose(recipe, 8);
    /* HDF5 1.10 does not survive it where there is no chunk yet. */
    if (kind < 6 || H5Dflush(dataset) < 0 || !H5Dget_storage_size(dataset)) return;
    unsigned skipped = kind == 6 ? 0 : choose(recipe, 8);
    size_t size = recipe->size < 64 ? recipe->size : 64;
    if (size) H5Dwrite_chunk(dataset, H5P_DEFAULT, skipped, origin, size, recipe->data);
}

/* HDF5 1.10 does not survive all that fails while it writes a large one. */
static int is_small(hid_t space)
{
    hssize_t count = H5Sget_simple_extent_npoints(space);
    return count >= 0 && count <= VALUE_BYTES;
}

static void write_kind(Recipe *recipe, hid_t dataset)
{
    static const char *const kinds[] = {NULL, "class", "regression", "", "\xff"};
    const char *kind = kinds[choose(recipe, sizeof kinds / sizeof *kinds)];
    if (kind) pf_hdf5_write_text_attribute(dataset, "kind", kind);
}

static void make_dataset(Recipe *recipe, hid_t file, const char *name, Usual usual, int width)
{
    hsize_t dims[H5S_MAX_RANK];
    int rank;
    hid_t type = make_type(recipe, usual);
    hid_t space = make_space(recipe, width == 1 ? 1 : 2, width, dims, &rank);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), layout = make_layout(recipe, space, dims, rank);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = H5Dcreate2(file, name, type, space, links, layout, H5P_DEFAULT);
    if (dataset >= 0) {
        if (is_small(space) && H5Pget_layout(layout) != H5D_VIRTUAL) {
            fill(recipe, dataset, type);
            if (H5Tis_variable_str(type) <= 0) write_raw_chunk(recipe, dataset);
        }
        write_kind(recipe, dataset);
        H5Dclose(dataset);
    }
    H5Pclose(layout);
    H5Pclose(links);
    H5Sclose(space);
    H5Tclose(type);
}

static void make_object(Recipe *recipe, hid_t file, const char *name, Usual usual, int width)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), type;
    H5Pset_create_intermediate_group(links, 1);
    switch (choose(recipe, 16)) {
    case 1: break;
    case 2: H5Lcreate_soft("/features/b", file, name, links, H5P_DEFAULT); break;
    case 3: H5Lcreate_soft(name, file, name, links, H5P_DEFAULT); break;
    case 4: H5Lcreate_external("nowhere.h5", "/x", file, name, links, H5P_DEFAULT); break;
    case 5: H5Lcreate_hard(file, "/features", file, name, links, H5P_DEFAULT); break;
    case 6: H5Gclose(H5Gcreate2(file, name, links, H5P_DEFAULT, H5P_DEFAULT)); break;
    case 7:
        type = H5Tcopy(H5T_STD_I32LE);
        H5Tcommit2(file, name, type, links, H5P_DEFAULT, H5P_DEFAULT);
        H5Tclose(type);
        break;
    default: make_dataset(recipe, file, name, usual, width);
    }
    H5Pclose(links);
}

static void make_attribute(Recipe *recipe, hid_t file, const char *name, const char *text)
{
    hsize_t dims[H5S_MAX_RANK];
    int rank;
    if (choose(recipe, 16) < 12) {
        if (text)
            pf_hdf5_write_text_attribute(file, name, text);
        else
            pf_hdf5_write_int_attribute(file, name, 1 - (int)choose(recipe, 4) / 3);
        return;
    }
    hid_t type = make_type(recipe, text ? TEXTS : WHOLE_NUMBERS);
    hid_t space = choose(recipe, 2) ? make_space(recipe, 1, 1, dims, &rank) : H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    int is_small = count < DIM_MAX * DIM_MAX && H5Tget_size(type) < VALUE_BYTES / DIM_MAX / DIM_MAX;
    if (attribute >= 0 && is_small && H5Tdetect_class(type, H5T_VLEN) <= 0 &&
        H5Tis_variable_str(type) <= 0)
        H5Awrite(attribute, type, recipe->values);
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/* ---- files ---- */

static void write_contents(Recipe *recipe, hid_t file)
{
    static const struct {
        const char *name;
        Usual usual;
        int width;
    } objects[] = {
        {"features/avgpool", NUMBERS, 4},
        {"features/b", NUMBERS, 2},
        {"targets/class", WHOLE_NUMBERS, 1},
        {"targets/box", NUMBERS, 4},
        {"classes/class", TEXTS, 1},
        {"samples/path", TEXTS, 1},
        {"samples/split", WHOLE_NUMBERS, 1},
        {"samples/digest", WHOLE_NUMBERS, 16},
        {"samples/size", WHOLE_NUMBERS, 1},
        {"samples/mtime_ns", WHOLE_NUMBERS, 1},
        {"samples/ctime_ns", WHOLE_NUMBERS, 1},
        {"samples/width", WHOLE_NUMBERS, 1},
        {"samples/height", WHOLE_NUMBERS, 1},
        {"samples/statistics", NUMBERS, 5},
        {"samples/perceptual_hash", WHOLE_NUMBERS, 1},
        {"rejected/path", TEXTS, 1},
        {"rejected/reason", TEXTS, 1},
        {"rejected/digest", WHOLE_NUMBERS, 16},
        {"rejected/mtime_ns", WHOLE_NUMBERS, 1},
        {"sources/path", TEXTS, 1},
        {"sources/rows", WHOLE_NUMBERS, 1},
        {"sources/seal", WHOLE_NUMBERS, 16},
    };
    make_attribute(recipe, file, "format", PF_CACHE_FORMAT);
    make_attribute(recipe, file, "format_version", NULL);
    make_attribute(recipe, file, "identity", "{\"tap\": \"avgpool\"}");
    if (choose(recipe, 2)) make_attribute(recipe, file, "provenance", "{");
    size_t count = sizeof objects / sizeof *objects;
    if (!choose(recipe, 2)) count -= 3; /* no sources */
    for (size_t i = 0; i < count; i++)
        make_object(recipe, file, objects[i].name, objects[i].usual, objects[i].width);
}

/* The file's bytes, malloc'ed. */
static uint8_t *make_file(Recipe *recipe, size_t *size)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    recipe->is_latest = (int)choose(recipe, 2);
    if (recipe->is_latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t file = H5Fcreate("made.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    FUZZ_CHECK(file >= 0);
    write_contents(recipe, file);
    H5Fflush(file, H5F_SCOPE_LOCAL);
    ssize_t bytes = H5Fget_file_image(file, NULL, 0);
    uint8_t *image = bytes > 0 ? malloc((size_t)bytes) : NULL;
    FUZZ_CHECK(image && H5Fget_file_image(file, image, (size_t)bytes) == bytes);
    *size = (size_t)bytes;
    H5Fclose(file);
    H5Pclose(access);
    return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Recipe recipe;
    size_t file_size;
    recipe.data = data;
    recipe.size = size;
    pf_hdf5_lock(); /* sets HDF5 up */
    uint8_t *file = make_file(&recipe, &file_size);
    pf_hdf5_unlock();
    fuzz_read_cache(fuzz_file(file, file_size));
    free(file);
    return 0;
}
