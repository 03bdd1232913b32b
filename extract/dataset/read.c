#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/file/file_stamp.h"
#include "common/file/input_file.h"
#include "extract/dataset/format.h"

int pf_sample_bytes_reserve(PfSampleBytes *bytes, size_t size, PfError *err)
{
    return pf_grow(&bytes->data, &bytes->capacity, size, 1, err);
}

void pf_sample_bytes_free(PfSampleBytes *bytes)
{
    free(bytes->data);
    *bytes = (PfSampleBytes){0};
}

/* The file's fault, unless the system has run out of something. */
static int fail_errno(PfError *err, const char *what)
{
    bool of_system = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    pf_fail_errno(err, "%s", what);
    if (err && !of_system) err->exit_code = PF_EXIT_BAD_IMAGES;
    return -1;
}

int pf_dataset_check_size(const PfDataset *dataset, int64_t size, PfError *err)
{
    int64_t most = dataset->max_file_bytes ? dataset->max_file_bytes : PF_FILE_BYTES_MAX;
    if (!size) return pf_fail(err, PF_EXIT_BAD_IMAGES, "is empty (0 bytes)");
    if (size <= most) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES,
                   "is too large: %lld bytes, at most %lld are read. Hint: --max-bytes %lld",
                   (long long)size, (long long)most, (long long)size);
}

static int check_file(const PfDataset *dataset, const struct stat *status, PfError *err)
{
    if (S_ISDIR(status->st_mode))
        return pf_fail(err, PF_EXIT_BAD_IMAGES, "is a folder, not an image");
    if (!S_ISREG(status->st_mode))
        return pf_fail(err, PF_EXIT_BAD_IMAGES, "is a pipe or a device, not an image");
    return pf_dataset_check_size(dataset, status->st_size, err);
}

static int check_holes(int fd, off_t size, PfError *err)
{
    int failed = pf_input_file_check_holes(fd, size, err);
    if (failed && err) err->exit_code = PF_EXIT_BAD_IMAGES;
    return failed;
}

static int read_bytes(int fd, size_t size, uint8_t *data, PfError *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, data + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(err, "cannot be read");
        if (!got) return pf_fail(err, PF_EXIT_BAD_IMAGES, "cannot be read: it has become shorter");
        done += (size_t)got;
    }
    return 0;
}

static int read_open_file(const PfDataset *dataset, int fd, PfSampleBytes *bytes, PfError *err)
{
    struct stat status;
    int64_t now = pf_file_stamp_now();
    if (fstat(fd, &status)) return fail_errno(err, "cannot be read");
    size_t size = (size_t)status.st_size;
    if (check_file(dataset, &status, err) || check_holes(fd, status.st_size, err) ||
        pf_sample_bytes_reserve(bytes, size, err) || read_bytes(fd, size, bytes->data, err))
        return -1;
    bytes->size_bytes = size;
    bytes->width = bytes->height = 0;
    bytes->stamp = pf_file_stamp_settled(pf_file_stamp(&status), now);
    return 0;
}

void pf_dataset_limit_bytes(PfDataset *dataset, int64_t max_file_bytes)
{
    dataset->max_file_bytes = max_file_bytes;
}

int pf_dataset_stat_file(const PfDataset *dataset, int64_t index, PfFileStamp *stamp)
{
    struct stat status;
    if (fstatat(dataset->root_fd, dataset->samples[index].path, &status, 0)) return -1;
    *stamp = pf_file_stamp(&status);
    return 0;
}

int pf_dataset_read_file(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes,
                         PfError *err)
{
    struct stat status;
    int fd = pf_input_file_try(dataset->root_fd, dataset->samples[index].path, &status);
    if (fd < 0 && errno == EINVAL && status.st_mode && check_file(dataset, &status, err)) return -1;
    if (fd < 0) return fail_errno(err, "cannot be opened");
    int failed = read_open_file(dataset, fd, bytes, err);
    close(fd);
    return failed;
}
