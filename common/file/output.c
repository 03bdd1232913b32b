#include "common/file/output.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "common/file/rows_content.h"

#define MOST_LINKS 40

/* Length of the folder's part of path with its slash, 0 for the current one. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

const char *pf_output_type_name(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISBLK(mode)  ? "a block device"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISLNK(mode)  ? "a link"
                            : "a regular file";
}

bool pf_output_is_strangers(const struct stat *folder, const struct stat *found)
{
    mode_t shared = S_ISVTX | S_IWOTH;
    return (folder->st_mode & shared) == shared && found->st_uid != geteuid() &&
           found->st_uid != folder->st_uid;
}

static int open_folder(const char *said, PfOutputPath *place, PfError *err)
{
    int length = folder_length(place->path);
    char *folder = length ? pf_asprintf(err, "%.*s", length, place->path) : pf_strdup(".", err);
    if (!folder) return -1;
    if (place->folder >= 0) close(place->folder);
    place->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    place->name = place->path + length;
    if (place->folder >= 0) return 0;
    return pf_fail_errno(err, "cannot write '%s': its folder does not take a new file", said);
}

/* ---- links ---- */

static bool is_number(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

/* /proc/self/fd/1, which /dev/stdout leads to, is the open descriptor itself: its name in the file
 * system, where it has one, could be another file's by now. */
static bool is_own_descriptor(const PfOutputPath *place)
{
    struct statfs system;
    struct stat folder, own;
    return is_number(place->name) && !fstatfs(place->folder, &system) &&
           system.f_type == PROC_SUPER_MAGIC && !fstat(place->folder, &folder) &&
           !stat("/proc/self/fd", &own) && pf_path_same_file(&folder, &own);
}

static int take_descriptor(const char *said, PfOutputPath *place, PfError *err)
{
    int number = atoi(place->name), flags = fcntl(number, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return pf_fail(err, PF_EXIT_FAILED, "cannot write '%s': it is not open for writing", said);
    if (fstat(number, &place->status)) return pf_fail_errno(err, "cannot write '%s'", said);
    place->descriptor = number;
    place->kind = PF_OUTPUT_STREAM;
    return 0;
}

static int check_owner(const char *said, const PfOutputPath *place, PfError *err)
{
    struct stat folder;
    if (fstat(place->folder, &folder)) return pf_fail_errno(err, "cannot write '%s'", said);
    if (!pf_output_is_strangers(&folder, &place->status)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "cannot write '%s': '%s' is a link that another user has put into a folder that "
                   "everyone can write to.\nHint: choose a folder of your own",
                   said, place->path);
}

/* place->path becomes what the link there leads to. */
static int follow(const char *said, PfOutputPath *place, PfError *err)
{
    char to[4096];
    if (check_owner(said, place, err)) return -1;
    ssize_t length = readlinkat(place->folder, place->name, to, sizeof to - 1);
    if (length <= 0) return pf_fail_errno(err, "cannot follow the link '%s'", place->path);
    to[length] = '\0';
    char *path = to[0] == '/'
                     ? pf_strdup(to, err)
                     : pf_asprintf(err, "%.*s%s", folder_length(place->path), place->path, to);
    if (!path) return -1;
    free(place->path);
    place->path = path;
    return 0;
}

/* ---- what is there ---- */

static int judge(const char *said, PfOutputPath *place, PfError *err)
{
    mode_t mode = place->status.st_mode;
    place->kind = S_ISREG(mode) ? PF_OUTPUT_FILE : PF_OUTPUT_STREAM;
    if (S_ISREG(mode) || S_ISCHR(mode) || S_ISFIFO(mode)) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "cannot write '%s': it is %s", said,
                   pf_output_type_name(mode));
}

static int look(const char *said, PfOutputPath *place, PfError *err)
{
    const char *name = *place->name ? place->name : "."; /* of "folder/" */
    if (!fstatat(place->folder, name, &place->status, AT_SYMLINK_NOFOLLOW)) return 0;
    if (errno != ENOENT) return pf_fail_errno(err, "cannot write '%s'", said);
    place->kind = PF_OUTPUT_NEW;
    place->status = (struct stat){0};
    return 0;
}

/* Whether it is what a link of /proc to another process's pipe leads to, which has no name. */
static bool is_nameless_stream(PfOutputPath *place)
{
    struct stat status;
    struct statfs system;
    if (fstatfs(place->folder, &system) || system.f_type != PROC_SUPER_MAGIC ||
        fstatat(place->folder, place->name, &status, 0) || S_ISREG(status.st_mode))
        return false;
    place->status = status;
    return true;
}

int pf_output_path_find(const char *path, PfOutputPath *out, PfError *err)
{
    *out = (PfOutputPath){.folder = -1, .descriptor = -1};
    if (!(out->path = pf_strdup(path, err))) return -1;
    for (int links = 0; links <= MOST_LINKS; links++) {
        if (open_folder(path, out, err) || look(path, out, err)) return -1;
        if (!out->status.st_mode) return 0;
        if (!S_ISLNK(out->status.st_mode)) return judge(path, out, err);
        if (is_own_descriptor(out)) return take_descriptor(path, out, err);
        if (is_nameless_stream(out)) return judge(path, out, err);
        if (follow(path, out, err)) return -1;
    }
    return pf_fail(err, PF_EXIT_FAILED, "cannot write '%s': too many links follow each other",
                   path);
}

void pf_output_path_free(PfOutputPath *path)
{
    if (path->folder >= 0) close(path->folder);
    free(path->path);
    *path = (PfOutputPath){.folder = -1, .descriptor = -1};
}

/* ---- two of them ---- */

static bool is_same_place(const PfOutputPath *a, const PfOutputPath *b)
{
    struct stat left, right;
    if (a->kind == PF_OUTPUT_STREAM || a->kind != b->kind) return false;
    if (a->kind == PF_OUTPUT_FILE) return pf_path_same_file(&a->status, &b->status);
    return !strcmp(a->name, b->name) && !fstat(a->folder, &left) && !fstat(b->folder, &right) &&
           pf_path_same_file(&left, &right);
}

bool pf_output_is_same(const char *path, const char *other)
{
    PfOutputPath a, b = {.folder = -1};
    bool same = !pf_output_path_find(path, &a, NULL) && !pf_output_path_find(other, &b, NULL) &&
                is_same_place(&a, &b);
    pf_output_path_free(&a);
    pf_output_path_free(&b);
    return same;
}

/* ==== what may be written over ==== */

static bool is_file(const PfOutput *output)
{
    return output->path && strcmp(output->path, "-");
}

/* ---- the same file ---- */

int pf_output_check_distinct(const PfOutput *outputs, int count, PfError *err)
{
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (is_file(&outputs[i]) && is_file(&outputs[j]) &&
                pf_output_is_same(outputs[i].path, outputs[j].path))
                return pf_fail(err, PF_EXIT_USAGE,
                               "%s '%s' and %s '%s' are the same file: one would be lost; choose "
                               "another name",
                               outputs[j].option, outputs[j].path, outputs[i].option,
                               outputs[i].path);
    return 0;
}

int pf_output_check_input(const PfOutput *output, const char *input, const char *what, PfError *err)
{
    struct stat status;
    if (!is_file(output) || !input || stat(output->path, &status) || !S_ISREG(status.st_mode) ||
        !pf_path_same(output->path, input))
        return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s: '%s' is %s; choose another output", output->option,
                   output->path, what);
}

/* ---- what is there ---- */

static bool has_key(const PfFileContent *content, const char *key)
{
    size_t size;
    const char *header = pf_file_content_safetensors(content, &size);
    return header && memmem(header, size, key, strlen(key));
}

static bool is_model(const PfFileContent *content)
{
    return has_key(content, "\"permafrost\":");
}

static bool is_state_dict(const PfFileContent *content)
{
    return has_key(content, "\"preprocess\":") && !is_model(content);
}

/* Ours is an object, and says of which cache or of which configuration it is, or lists backbones.
 */
static bool is_result(const PfFileContent *content)
{
    return pf_file_content_is_text(content) && pf_file_content_first_letter(content) == '{' &&
           (pf_file_content_begin_has(content, "\"schema_version\"") ||
            pf_file_content_begin_has(content, "\"config\"") ||
            pf_file_content_begin_has(content, "\"cache\"") ||
            pf_file_content_begin_has(content, "\"backbones\""));
}

static bool is_list(const PfFileContent *content)
{
    return pf_file_content_first_letter(content) == '{' &&
           pf_file_content_begin_has(content, "{\"format\":\"permafrost-list\"");
}

/* "tap,..." of train, "finding,..." of inspect, as a spreadsheet may have saved it, too. */
static bool is_table(const PfFileContent *content)
{
    static const char *const firsts[] = {"tap", "finding"};
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(firsts[i]);
        if (content->size > length && !memcmp(content->begin, firsts[i], length) &&
            strchr(",;\t", content->begin[length]))
            return true;
    }
    return false;
}

/* HTML whose head says who made it. */
static bool is_page(const PfFileContent *content)
{
    return pf_file_content_begin_has(content, "<!doctype html>") &&
           pf_file_content_begin_has(content, "content=\"permafrost ");
}

/* Its first line: path, split, and columns of truths and predictions. Other tables of paths and
 * splits, such as manifests, have none of these. */
static bool is_predictions(const PfFileContent *content)
{
    const char *begin = (const char *)content->begin;
    const char *end = memchr(begin, '\n', content->size);
    if (!end || end - begin < 10 || memcmp(begin, "path", 4) || !strchr(",;\t", begin[4]) ||
        memcmp(begin + 5, "split", 5))
        return false;
    size_t length = (size_t)(end - begin);
    return memmem(begin, length, "true", 4) && memmem(begin, length, "predicted", 9);
}

/* Field 1 of the format, then the name of who made it. */
static bool is_onnx(const PfFileContent *content)
{
    return content->begin[0] == 8 && content->size > 32 &&
           memmem(content->begin, 32, "permafrost", 10);
}

/* The directory of the archive names the classes that its modules are of. */
static bool is_torchscript(const PfFileContent *content)
{
    return !memcmp(content->begin, "PK\3\4", 4) &&
           pf_file_content_end_has(content, "__torch__/permafrost");
}

static bool is_exported_table(const PfFileContent *content)
{
    static const char head[] = "row,path,split,label,x,y\n";
    return content->size >= sizeof head - 1 && !memcmp(content->begin, head, sizeof head - 1);
}

static bool is_parquet(const PfFileContent *content)
{
    return !memcmp(content->begin, "PAR1", 4) &&
           pf_file_content_end_has(content, "permafrost version ");
}

static bool is_npy(const PfFileContent *content)
{
    return content->size > 6 && !memcmp(content->begin, "\x93NUMPY", 6);
}

/* Each row is its length and its numbers: the second length, where it was read, is the first. */
static bool is_fvecs(const PfFileContent *content)
{
    int32_t first, second;
    if (content->size < 8) return false;
    memcpy(&first, content->begin, sizeof first);
    if (first < 1 || first >= 1 << 24) return false;
    size_t next = 4 + 4 * (size_t)first;
    if (content->size < next + sizeof second) return true;
    memcpy(&second, content->begin + next, sizeof second);
    return first == second;
}

static const struct {
    bool (*is_it)(const PfFileContent *content);
    const char *name;
} kinds[] = {
    [PF_CONTENT_MODEL] = {is_model, "a model that train wrote"},
    [PF_CONTENT_JSON] = {is_result, "a result as JSON"},
    [PF_CONTENT_LIST] = {is_list, "a list that extract --list wrote"},
    [PF_CONTENT_PREDICTIONS] = {is_predictions, "predictions that train wrote"},
    [PF_CONTENT_CSV] = {is_table, "a table that train or inspect wrote"},
    [PF_CONTENT_PAGE] = {is_page, "a page that inspect, train, predict or extract wrote"},
    [PF_CONTENT_STATE_DICT] = {is_state_dict, "a state dict that predict wrote"},
    [PF_CONTENT_ONNX] = {is_onnx, "an ONNX file that predict wrote"},
    [PF_CONTENT_TORCHSCRIPT] = {is_torchscript, "a TorchScript file that predict wrote"},
    [PF_CONTENT_ROWS] = {pf_rows_content_is_csv, "predictions that predict wrote as CSV"},
    [PF_CONTENT_ROWS_JSON] = {pf_rows_content_is_json, "predictions that predict wrote as JSON"},
    [PF_CONTENT_TABLE] = {is_exported_table, "a table that inspect --export wrote"},
    [PF_CONTENT_PARQUET] = {is_parquet, "a Parquet file that inspect --export wrote"},
    [PF_CONTENT_NPY] = {is_npy, "an array of NumPy"},
    [PF_CONTENT_FVECS] = {is_fvecs, "vectors as .fvecs"},
};

int pf_output_check_content(const PfOutput *output, PfError *err)
{
    if (!is_file(output) || output->content == PF_CONTENT_ANY) return 0;
    PfFileContent *content = pf_file_content_read(output->path, err);
    if (!content) return -1;
    int failed = content->size && !kinds[output->content].is_it(content);
    if (failed)
        pf_fail(err, PF_EXIT_FAILED,
                "%s: '%s' is there already and is %s, not %s.\n"
                "Hint: choose another output, or remove that file first",
                output->option, output->path, pf_file_content_name(content),
                kinds[output->content].name);
    free(content);
    return failed ? -1 : 0;
}

/* ---- suffixes ---- */

bool pf_output_has_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path), ending = strlen(suffix);
    return length > ending && path[length - ending - 1] != '/' &&
           !strcasecmp(path + length - ending, suffix);
}

int pf_output_check_suffix(const char *option, const char *path, const char *const *written,
                           size_t count, const char *hint, PfError *err)
{
    static const char *const known[] = {
        ".h5",  ".hdf5", ".safetensors", ".pt",   ".pth", ".onnx",    ".json", ".csv",
        ".tsv", ".xlsx", ".txt",         ".yaml", ".npy", ".parquet", ".npz",  ".pkl",
        ".jpg", ".jpeg", ".png",         ".zip",  ".tar", ".pb",      ".bin",  ".ckpt",
    };
    char list[128] = "";
    const char *found = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pf_output_has_suffix(path, known[i])) found = known[i];
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        if (pf_output_has_suffix(path, written[i])) return 0;
        snprintf(list + used, sizeof list - used, "%s%s",
                 !i              ? ""
                 : i + 1 < count ? ", "
                                 : " or ",
                 written[i]);
    }
    if (!found) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s '%s': expected a file that ends in %s, found %s%s",
                   option, path, list, found, hint);
}

/* ---- standard output ---- */

int pf_output_check_streams(const PfOutput *outputs, int count, PfError *err)
{
    const PfOutput *first = NULL;
    for (int i = 0; i < count; i++) {
        if (!outputs[i].path || strcmp(outputs[i].path, "-")) continue;
        if (first)
            return pf_fail(err, PF_EXIT_USAGE,
                           "%s - and %s -: standard output takes one of them; give the other a "
                           "file",
                           first->option, outputs[i].option);
        first = &outputs[i];
    }
    return 0;
}

/* /dev/stdout, /dev/fd/1 and the like. */
static bool is_stdout(const char *path)
{
    PfOutputPath place;
    bool is = !pf_output_path_find(path, &place, NULL) && place.descriptor == STDOUT_FILENO;
    pf_output_path_free(&place);
    return is;
}

bool pf_output_is_stream(const char *path)
{
    PfOutputPath place;
    bool is = !pf_output_path_find(path, &place, NULL) && place.kind == PF_OUTPUT_STREAM;
    pf_output_path_free(&place);
    return is;
}

bool pf_output_takes_stdout(const PfOutput *outputs, int count)
{
    for (int i = 0; i < count; i++)
        if (outputs[i].path && (!strcmp(outputs[i].path, "-") || is_stdout(outputs[i].path)))
            return true;
    return false;
}

/* ---- values of --json ---- */

int pf_output_check_json_value(const char *value, PfError *err)
{
    struct stat status;
    if (!strcmp(value, "-")) return 0;
    if (*value == '-')
        return pf_fail(err, PF_EXIT_USAGE,
                       "--json takes the file to write, found '%s'. Hint: --json - writes to "
                       "standard output; --json ./%s into a file of that name",
                       value, value);
    if (stat(value, &status)) return 0;
    bool is_ours = !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode); /* pipes, devices */
    if (S_ISREG(status.st_mode)) {
        PfFileContent *content = pf_file_content_read(value, err);
        if (!content) return -1;
        char letter = content->size ? pf_file_content_first_letter(content) : '{';
        is_ours = !content->size ||
                  (pf_file_content_is_text(content) && (letter == '{' || letter == '['));
        free(content);
    }
    if (is_ours) return 0;
    return pf_fail(
        err, PF_EXIT_USAGE,
        "--json takes the file to write, and '%s' is there and is no JSON. Hint: --json - "
        "writes to standard output, --json FILE.json into a file",
        value);
}

int pf_output_check_all(const PfOutput *outputs, int count, const char *const *inputs,
                        const char *const *whats, int input_count, PfError *err)
{
    if (pf_output_check_streams(outputs, count, err) ||
        pf_output_check_distinct(outputs, count, err))
        return -1;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < input_count; j++)
            if (pf_output_check_input(&outputs[i], inputs[j], whats[j], err)) return -1;
        if (pf_output_check_content(&outputs[i], err)) return -1;
    }
    return 0;
}
