#include "common/cache/hdf5/internal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/hdf5/zstd_filter.h"

/* More than the metadata of a large cache takes. */
#define RESERVE_BYTES ((size_t)16 << 20)
/* Taps or targets of a cache. */
#define MAX_MEMBERS 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_ready; /* under the lock */
static hid_t f16_type, text_type;
static char first_failure[400]; /* since the lock was taken */

/* Keeps the innermost description, which is the first. */
static herr_t take_description(unsigned depth, const H5E_error2_t *entry, void *unused)
{
    (void)unused;
    if (depth == 0 && entry->desc) snprintf(first_failure, sizeof first_failure, "%s", entry->desc);
    return 0;
}

/* HDF5 calls it, in place of printing, when one of its functions fails; the
 * next function that is called clears its stack. */
static herr_t remember_failure(hid_t stack, void *unused)
{
    if (!*first_failure) H5Ewalk2(stack, H5E_WALK_UPWARD, take_description, unused);
    return 0;
}

/* The layout that h5py and NumPy know as float16. */
static void make_f16_type(void)
{
    f16_type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(f16_type, 15, 10, 5, 0, 10);
    H5Tset_size(f16_type, 2);
    H5Tset_ebias(f16_type, 15);
}

static void make_text_type(void)
{
    text_type = H5Tcopy(H5T_C_S1);
    H5Tset_size(text_type, H5T_VARIABLE);
    H5Tset_cset(text_type, H5T_CSET_UTF8);
}

void pf_hdf5_lock(void)
{
    pthread_mutex_lock(&lock);
    *first_failure = '\0';
    if (is_ready) return;
    /* Our files are closed before exit; HDF5's own clean-up would only retry
     * what failed, and say so on stderr. */
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, remember_failure, NULL);
    H5Zregister(&pf_hdf5_zstd_filter);
    H5Lunregister(H5L_TYPE_EXTERNAL); /* links into other files: nobody follows them from here on */
    make_f16_type();
    make_text_type();
    is_ready = true;
}

void pf_hdf5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

pid_t pf_hdf5_fork(void)
{
    pf_hdf5_lock();
    pid_t child = fork();
    pf_hdf5_unlock(); /* in the child its copy, which this thread holds there, too */
    return child;
}

int pf_hdf5_fail(PfError *err, const char *format, ...)
{
    if (!err) return -1;
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    err->exit_code = PF_EXIT_FAILED;
    /* Where the system refused, its own words are among HDF5's. */
    static const char system_says[] = "error message = '";
    char *words = strstr(first_failure, system_says), *end;
    if (words) {
        words += sizeof system_says - 1;
        if ((end = strchr(words, '\''))) *end = '\0';
    }
    size_t length = strlen(err->message);
    pf_format(err->message + length, sizeof err->message - length, ": %s",
              words ? words : first_failure);
    return -1;
}

bool pf_hdf5_has_failed(void)
{
    return *first_failure != '\0';
}

int pf_hdf5_check_memory(PfError *err)
{
    void *room =
        mmap(NULL, RESERVE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return pf_fail(err, PF_EXIT_FAILED, "out of memory: HDF5 needs %d MB to work in",
                       (int)(RESERVE_BYTES >> 20));
    munmap(room, RESERVE_BYTES);
    return 0;
}

hid_t pf_hdf5_type(PfDtype dtype)
{
    switch (dtype) {
    case PF_DTYPE_F16: return f16_type;
    case PF_DTYPE_F32: return H5T_IEEE_F32LE;
    case PF_DTYPE_U8: return H5T_STD_U8LE;
    default: return H5I_INVALID_HID;
    }
}

hid_t pf_hdf5_text_type(void)
{
    return text_type;
}

hid_t pf_hdf5_create_group(hid_t file, const char *name)
{
    hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_link_creation_order(properties, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_obj_track_times(properties, 0);
    hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    return group;
}

static H5_index_t order_of(hid_t group)
{
    unsigned order = 0;
    hid_t properties = H5Gget_create_plist(group);
    if (properties < 0) return H5_INDEX_NAME;
    H5Pget_link_creation_order(properties, &order);
    H5Pclose(properties);
    return order & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

int pf_hdf5_members(hid_t group, const char *what, char (**names)[PF_CACHE_NAME_SIZE], int *count,
                    PfError *err)
{
    H5G_info_t info;
    H5_index_t order = order_of(group);
    if (H5Gget_info(group, &info) < 0) return pf_hdf5_fail(err, "cannot list %s", what);
    if (info.nlinks > MAX_MEMBERS)
        return pf_fail(err, PF_EXIT_FAILED, "%s has %llu members, and may have %d", what,
                       (unsigned long long)info.nlinks, MAX_MEMBERS);
    *names = pf_calloc((size_t)info.nlinks, sizeof **names, err);
    if (!*names) return -1;
    *count = (int)info.nlinks;
    for (int i = 0; i < *count; i++) {
        ssize_t length = H5Lget_name_by_idx(group, ".", order, H5_ITER_INC, (hsize_t)i, (*names)[i],
                                            sizeof(*names)[i], H5P_DEFAULT);
        if (length >= 0 && length < PF_CACHE_NAME_SIZE) continue;
        if (length < 0)
            pf_hdf5_fail(err, "cannot list %s", what);
        else
            pf_fail(err, PF_EXIT_FAILED,
                    "%s has a member '%s...' with a name of %zd bytes; "
                    "names have at most %d",
                    what, (*names)[i], length, PF_CACHE_NAME_SIZE - 1);
        free(*names);
        *names = NULL;
        return -1;
    }
    return 0;
}

herr_t pf_hdf5_read(hid_t dataset, hid_t memory_type, hid_t memory_space, hid_t file_space,
                    hid_t transfer, void *out)
{
    const char *wrong = pf_hdf5_storage_fault(dataset, file_space);
    if (!wrong) {
        pf_hdf5_zstd_filter_limit = pf_hdf5_storage_unpacked_most(dataset);
        return H5Dread(dataset, memory_type, memory_space, file_space, transfer, out);
    }
    snprintf(first_failure, sizeof first_failure, "%s", wrong);
    return -1;
}

H5Z_filter_t pf_hdf5_filter_at(hid_t properties, int index, unsigned values[PF_HDF5_FILTER_VALUES])
{
    unsigned flags;
    size_t value_count = values ? PF_HDF5_FILTER_VALUES : 0;
    return H5Pget_filter2(properties, (unsigned)index, &flags, &value_count, values, 0, NULL, NULL);
}

/* HDF5 2 asks for the buffer's size as well. */
herr_t pf_hdf5_read_chunk(hid_t dataset, const hsize_t *offset, unsigned *skipped, void *stored,
                          size_t capacity)
{
#if H5_VERSION_GE(2, 0, 0)
    return H5Dread_chunk2(dataset, H5P_DEFAULT, offset, skipped, stored, &capacity);
#else
    (void)capacity;
    return H5Dread_chunk(dataset, H5P_DEFAULT, offset, skipped, stored);
#endif
}

static int write_attribute(hid_t object, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    int failed = attribute < 0 || H5Awrite(attribute, type, value) < 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    return failed ? -1 : 0;
}

int pf_hdf5_write_text_attribute(hid_t object, const char *name, const char *text)
{
    return write_attribute(object, name, text_type, &text);
}

int pf_hdf5_write_int_attribute(hid_t object, const char *name, int value)
{
    return write_attribute(object, name, H5T_NATIVE_INT, &value);
}

/* So that pf_hdf5_has_failed tells this from an attribute that is not there. */
static void note_out_of_memory(void)
{
    if (!*first_failure) snprintf(first_failure, sizeof first_failure, "out of memory");
}

/* The attribute, if it is there and holds one value of that class. */
static hid_t open_scalar_attribute(hid_t object, const char *name, H5T_class_t wanted, hid_t *type)
{
    if (H5Aexists(object, name) <= 0) return H5I_INVALID_HID;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return attribute;
    hid_t space = H5Aget_space(attribute);
    bool is_one = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0) H5Sclose(space);
    *type = H5Aget_type(attribute);
    if (*type >= 0 && is_one && H5Tget_class(*type) == wanted) return attribute;
    if (*type >= 0) H5Tclose(*type);
    H5Aclose(attribute);
    return H5I_INVALID_HID;
}

static char *read_variable_text(hid_t attribute, hid_t type)
{
    char *lent = NULL, *copy = NULL;
    if (H5Aread(attribute, type, &lent) < 0) return NULL;
    copy = strdup(lent ? lent : "");
    if (!copy) note_out_of_memory();
    H5free_memory(lent);
    return copy;
}

static char *read_fixed_text(hid_t attribute, hid_t type)
{
    char *text = calloc(H5Tget_size(type) + 1, 1);
    if (!text) note_out_of_memory();
    if (text && H5Aread(attribute, type, text) >= 0) return text;
    free(text);
    return NULL;
}

char *pf_hdf5_read_text_attribute(hid_t object, const char *name)
{
    hid_t type, attribute = open_scalar_attribute(object, name, H5T_STRING, &type);
    if (attribute < 0) return NULL;
    char *text = H5Tis_variable_str(type) > 0 ? read_variable_text(attribute, type)
                                              : read_fixed_text(attribute, type);
    H5Tclose(type);
    H5Aclose(attribute);
    return text;
}

int pf_hdf5_read_int_attribute(hid_t object, const char *name, int *value)
{
    hid_t type, attribute = open_scalar_attribute(object, name, H5T_INTEGER, &type);
    if (attribute < 0) return -1;
    int failed = H5Aread(attribute, H5T_NATIVE_INT, value) < 0;
    H5Tclose(type);
    H5Aclose(attribute);
    return failed ? -1 : 0;
}
