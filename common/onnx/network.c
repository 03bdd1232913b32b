#include "common/onnx/network.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/file/foreign_file.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "common/onnx/build.h"
#include "common/onnx/read.h"

struct PfOnnx {
    char *path;
    const void *bytes;
    size_t size;
    bool is_mapped;
    PfFileStamp stamp;
    char sha256[PF_SHA256_TEXT_SIZE];
    PfOnnxModel *model;
    PfArch *arch; /* NULL: not built */
    PfNamedTensor *tensors;
    size_t tensor_count;
    char *default_tap;
};

bool pf_onnx_is_meant(const char *backbone)
{
    const size_t length = strlen(backbone);
    return length > 5 && !strcasecmp(backbone + length - 5, ".onnx");
}

/* ---- opening ---- */

/* No model is one: the tags of its fields are not. */
static bool is_text(const uint8_t *bytes, size_t size)
{
    const size_t looked_at = size < 4096 ? size : 4096;
    for (size_t i = 0; i < looked_at; i++)
        if ((bytes[i] < ' ' && !strchr("\t\n\r\f", bytes[i])) || !bytes[i]) return false;
    return true;
}

/* Of ONNX files themselves the table of foreign files says that they are no other thing. */
static int check_kind(const PfOnnx *onnx, PfError *err)
{
    const uint8_t *bytes = onnx->bytes;
    const char *what = pf_foreign_file_what(bytes, onnx->size, PF_FOREIGN_AS_ONNX);
    const bool is_zip = onnx->size > 4 && !memcmp(bytes, "PK\3\4", 4);
    if (!what && is_zip) what = "a zip archive. Hint: a TorchScript file is given as FILE.pt";
    if (!what && is_text(bytes, onnx->size)) what = "text";
    if (!what) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' is not an ONNX file: it is %s", onnx->path, what);
}

static int map(PfOnnx *onnx, PfError *err)
{
    const int64_t now = pf_file_stamp_now();
    struct stat status;
    int fd = pf_input_file_open(AT_FDCWD, onnx->path, "", &status, err);
    if (fd < 0) return -1;
    int failed = status.st_size
                     ? pf_input_file_map(fd, &status, "ONNX file", onnx->path, &onnx->bytes, err)
                     : pf_fail(err, PF_EXIT_FAILED, "'%s' is empty", onnx->path);
    close(fd);
    if (failed) return -1;
    onnx->size = (size_t)status.st_size;
    onnx->is_mapped = true;
    onnx->stamp = pf_file_stamp_settled(pf_file_stamp(&status), now);
    return check_kind(onnx, err);
}

static int compare_data(const void *a, const void *b)
{
    return strcmp(((const PfOnnxData *)a)->location, ((const PfOnnxData *)b)->location);
}

/* Of a file that was met before under another name it is known. */
static const char *digest_of_data(const PfOnnxModel *model, size_t index)
{
    PfOnnxData *data = &model->data[index];
    for (size_t i = 0; i < index; i++)
        if (model->data[i].bytes == data->bytes && *model->data[i].sha256)
            return model->data[i].sha256;
    pf_digest_sha256_text(data->bytes, data->size, data->sha256);
    return data->sha256;
}

/* Tensors point to the bytes, so that the list may be sorted. */
static int digest_data(PfOnnx *onnx, PfError *err)
{
    PfOnnxModel *model = onnx->model;
    char *lines = NULL;
    size_t size;
    FILE *out = open_memstream(&lines, &size);
    if (!out) return pf_fail(err, PF_EXIT_FAILED, "out of memory for a digest");
    qsort(model->data, model->data_count, sizeof *model->data, compare_data);
    fprintf(out, "%s\n", onnx->sha256); /* hex */
    for (size_t i = 0; i < model->data_count; i++)
        fprintf(out, "%s  %s\n", digest_of_data(model, i), model->data[i].location);
    const bool is_short = ferror(out) != 0;
    const bool failed = fclose(out) || is_short;
    if (!failed) pf_digest_sha256_text(lines, size, onnx->sha256);
    free(lines);
    onnx->stamp.mtime_ns = 0; /* of one file among several */
    return failed ? pf_fail(err, PF_EXIT_FAILED, "out of memory for a digest") : 0;
}

static int take_digest(PfOnnx *onnx, const PfFileStampSha256 *known, PfError *err)
{
    const char *sha256 = pf_file_stamp_sha256(known, &onnx->stamp);
    if (sha256 && !onnx->model->data_count) {
        snprintf(onnx->sha256, sizeof onnx->sha256, "%s", sha256);
        return 0;
    }
    pf_digest_sha256_text(onnx->bytes, onnx->size, onnx->sha256);
    return onnx->model->data_count ? digest_data(onnx, err) : 0;
}

/* Descriptor of the folder that the file lies in. */
static int open_folder(const char *path, PfError *err)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof folder)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': the path is too long", path);
    memcpy(folder, slash ? path : ".", slash ? length : 1);
    folder[slash ? length : 1] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? pf_fail_errno(err, "'%s': cannot open its folder", path) : fd;
}

static int read_model(PfOnnx *onnx, int folder, PfError *err)
{
    return pf_onnx_model_new(onnx->path, onnx->bytes, onnx->size, folder, &onnx->model, err);
}

static int read_with_data(PfOnnx *onnx, PfError *err)
{
    int folder = open_folder(onnx->path, err);
    if (folder < 0) return -1;
    int failed = read_model(onnx, folder, err);
    close(folder);
    return failed;
}

static PfOnnx *new_onnx(const char *path, PfError *err)
{
    PfOnnx *onnx = pf_calloc(1, sizeof *onnx, err);
    if (onnx) onnx->path = pf_strdup(path, err);
    if (onnx && !onnx->path) pf_onnx_free(&onnx);
    return onnx;
}

int pf_onnx_open(const char *path, const PfFileStampSha256 *known, PfOnnx **out, PfError *err)
{
    PfOnnx *onnx = new_onnx(path, err);
    if (!onnx) return -1;
    if (map(onnx, err) || read_with_data(onnx, err) || take_digest(onnx, known, err)) {
        pf_onnx_free(&onnx);
        return -1;
    }
    *out = onnx;
    return 0;
}

bool pf_onnx_is_whole(const char *path)
{
    PfError err = {0};
    PfOnnx *onnx = new_onnx(path, &err);
    const bool is_whole = onnx && !map(onnx, &err) && !read_with_data(onnx, &err);
    pf_onnx_free(&onnx);
    return is_whole;
}

int pf_onnx_open_bytes(const char *path, const void *bytes, size_t size, PfOnnx **out, PfError *err)
{
    PfOnnx *onnx = new_onnx(path, err);
    if (!onnx) return -1;
    onnx->bytes = bytes;
    onnx->size = size;
    if (read_model(onnx, -1, err) || take_digest(onnx, NULL, err)) {
        pf_onnx_free(&onnx);
        return -1;
    }
    *out = onnx;
    return 0;
}

void pf_onnx_free(PfOnnx **onnx)
{
    if (!*onnx) return;
    pf_onnx_model_free(&(*onnx)->model);
    pf_arch_free(&(*onnx)->arch);
    if ((*onnx)->is_mapped) pf_input_file_unmap((*onnx)->bytes, (*onnx)->size);
    free((*onnx)->tensors);
    free((*onnx)->default_tap);
    free((*onnx)->path);
    free(*onnx);
    *onnx = NULL;
}

/* ---- building ---- */

static int height_axis(const PfOnnx *onnx)
{
    return onnx->model->input_sizes[1] == 3 ? 2 : 1;
}

int pf_onnx_side(const PfOnnx *onnx)
{
    const int64_t *sizes = onnx->model->input_sizes + height_axis(onnx);
    return (int)(sizes[0] ? sizes[0] : sizes[1]);
}

static int check_side(const PfOnnx *onnx, int side, PfError *err)
{
    const int64_t *sizes = onnx->model->input_sizes + height_axis(onnx);
    if ((!sizes[0] || sizes[0] == side) && (!sizes[1] || sizes[1] == side)) return 0;
    if (sizes[0] && sizes[1] && sizes[0] != sizes[1])
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': expected a network for square images, found one for %lldx%lld",
                       onnx->path, (long long)sizes[0], (long long)sizes[1]);
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s' is for images of %dx%d, found %d. Hint: --crop %d, or export it with a "
                   "height and a width of any size",
                   onnx->path, pf_onnx_side(onnx), pf_onnx_side(onnx), side, pf_onnx_side(onnx));
}

/* All outputs, each once, with commas between. */
static int set_default_tap(PfOnnx *onnx, PfError *err)
{
    const PfOnnxModel *model = onnx->model;
    size_t room = 1, used = 0;
    for (int i = 0; i < model->output_count; i++) room += PF_NODE_NAME_SIZE + 1;
    onnx->default_tap = pf_calloc(room, 1, err);
    unsigned char *is_named = pf_calloc((size_t)onnx->arch->node_count, 1, err);
    for (int i = 0; i < model->output_count && onnx->default_tap && is_named; i++) {
        const PfOnnxValue *value = &model->values[model->outputs[i]];
        if (!value->is_made || is_named[value->node]) continue;
        is_named[value->node] = 1;
        used += (size_t)snprintf(onnx->default_tap + used, room - used, "%s%s", used ? "," : "",
                                 onnx->arch->nodes[value->node].name);
    }
    free(is_named);
    if (!onnx->default_tap || !is_named) return -1;
    onnx->arch->default_tap = onnx->default_tap;
    if (used) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': expected an output that depends on the image, found constants",
                   onnx->path);
}

static PfArch *new_arch(const PfOnnx *onnx, int side, PfError *err)
{
    PfArch *arch = pf_calloc(1, sizeof *arch, err);
    const char *slash = strrchr(onnx->path, '/');
    if (!arch) return NULL;
    pf_format(arch->name, sizeof arch->name, "%s", slash ? slash + 1 : onnx->path);
    snprintf(arch->family, sizeof arch->family, "ONNX");
    arch->preprocess.crop = side;
    return arch;
}

static int build(PfOnnx *onnx, PfOnnxBuild *build, int side)
{
    PfOnnxModel *model = onnx->model;
    for (int i = 0; i < model->step_count; i++)
        if (pf_onnx_fold(model, &model->steps[i], build->err)) return -1;
    if (pf_onnx_simplify(model, build->err) || pf_onnx_translate(build, side) ||
        pf_onnx_fuse_attention(build))
        return -1;
    return set_default_tap(onnx, build->err);
}

int pf_onnx_build(PfOnnx *onnx, int side, PfError *err)
{
    if (check_side(onnx, side, err)) return -1;
    onnx->arch = new_arch(onnx, side, err);
    if (!onnx->arch) return -1;
    PfOnnxBuild making = {
        .model = onnx->model, .builder = {.arch = onnx->arch, .err = err}, .err = err};
    int failed = build(onnx, &making, side);
    onnx->tensors = making.tensors;
    onnx->tensor_count = making.tensor_count;
    pf_text_index_free(&making.names);
    pf_text_index_free(&making.wanted);
    pf_text_index_free(&making.tensor_names);
    free(making.counts);
    free(making.shapes);
    return failed;
}

const char *pf_onnx_path(const PfOnnx *onnx)
{
    return onnx->path;
}

const char *pf_onnx_sha256(const PfOnnx *onnx)
{
    return onnx->sha256;
}

const PfFileStamp *pf_onnx_stamp(const PfOnnx *onnx)
{
    return &onnx->stamp;
}

PfArch *pf_onnx_arch(const PfOnnx *onnx)
{
    return onnx->arch;
}

const PfNamedTensor *pf_onnx_tensors(const PfOnnx *onnx, size_t *count)
{
    *count = onnx->tensor_count;
    return onnx->tensors;
}

static const char *name_of_value(const PfOnnx *onnx, int64_t value)
{
    const PfOnnxValue *found = value < 0 ? NULL : &onnx->model->values[value];
    return found && found->is_made ? onnx->arch->nodes[found->node].name : NULL;
}

/* Of the node that the tap means, or NULL. */
static const char *name_of_tap(const PfOnnx *onnx, const char *tap)
{
    const PfOnnxModel *model = onnx->model;
    for (int i = 0; i < onnx->arch->node_count; i++)
        if (!strcmp(onnx->arch->nodes[i].name, tap)) return onnx->arch->nodes[i].name;
    for (int i = 0; i < model->step_count; i++)
        if (!strcmp(model->steps[i].name, tap) && model->steps[i].output_count)
            return name_of_value(onnx, model->steps[i].outputs[0]);
    return name_of_value(onnx, pf_text_index_find(&model->names, tap, strlen(tap)));
}

/* The nearest name of a node or of a value that is there; NULL where none is near. */
static int find_near(const PfOnnx *onnx, const char *tap, const char **near, PfError *err)
{
    const PfArch *arch = onnx->arch;
    const PfOnnxModel *model = onnx->model;
    size_t count = 0;
    const char **names =
        pf_calloc((size_t)arch->node_count + model->names.count, sizeof *names, err);
    if (!names) return -1;
    for (int i = 0; i < arch->node_count; i++) names[count++] = arch->nodes[i].name;
    for (size_t i = 0; i < model->names.count; i++)
        if (model->values[i].is_made) names[count++] = model->names.texts[i];
    *near = pf_options_nearest_word(tap, names, count);
    free(names);
    return 0;
}

static int fail_tap(const PfOnnx *onnx, const char *tap, PfError *err)
{
    const char *name = onnx->arch->name, *near;
    const bool is_value = pf_text_index_find(&onnx->model->names, tap, strlen(tap)) >= 0;
    if (find_near(onnx, tap, &near, err)) return -1;
    char *file = pf_path_shell_word(onnx->path, "FILE.onnx", err);
    if (!file) return -1;
    if (is_value)
        pf_fail(err, PF_EXIT_USAGE,
                "%s has no tap '%s': the file has a value of that name, but it is a constant, or "
                "inside of an operation that is computed as one. Its taps are listed by: extract "
                "--summary --backbone %s",
                name, tap, file);
    else
        pf_fail(err, PF_EXIT_USAGE,
                "%s has no tap '%s'.%s%s%s Its nodes, which also go by the names of their values "
                "in the file, are listed by: extract --summary --backbone %s",
                name, tap, near ? " Did you mean " : "", near ? near : "", near ? "?" : "", file);
    free(file);
    return -1;
}

int pf_onnx_find_tap(const PfOnnx *onnx, const char *tap, const char **name, PfError *err)
{
    PfError ignored = {0};
    int node;
    *name = name_of_tap(onnx, tap);
    if (*name) return 0;
    *name = tap;
    return pf_arch_find_tap(onnx->arch, tap, &node, &ignored) ? fail_tap(onnx, tap, err) : 0;
}
