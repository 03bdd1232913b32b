#include "common/file/foreign_file.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/base/integers.h"

/* Files that torch.save and torch.jit.save write have their pickles in front, and the list of names
 * at the end. */
#define LOOKED_AT ((size_t)1 << 20)

#define WEB_PAGE "a web page: the download went wrong"
#define EXPORTED                                                                                   \
    "a program of torch.export (.pt2), which is not run here. Hint: in Python, with p = "          \
    "torch.export.load(FILE), torch.save(p.state_dict, ...) makes weights for a built-in "         \
    "network, and torch.jit.trace(p.module(), images).save(...) a TorchScript file for --backbone"
#define WHOLE_MODEL                                                                                \
    "a pickled model (torch.save(model)), which only Python can run. Hint: where you trust the "   \
    "file, torch.jit.script(model).save(FILE) makes TorchScript of it, and "                       \
    "torch.save(model.state_dict(), FILE) weights for a built-in network"
#define STATE_DICT                                                                                 \
    "a state_dict or checkpoint of torch.save: weights without a network. Hint: give a "           \
    "state_dict as --weights FILE with --backbone NAME; make TorchScript of a model with "         \
    "torch.jit.script(model).save(FILE)"

static const struct {
    size_t offset;
    const char *magic, *what;
} starts[] = {
    {0, "\211HDF\r\n\032\n", "an HDF5 file"},
    {0, "version https://git-lfs",
     "a Git LFS pointer: the file itself was not fetched (git lfs pull)"},
    {0, "\037\213", "gzip-compressed: unpack it first"},
    {0, "BZh", "bzip2-compressed: unpack it first"},
    {0,
     "\375"
     "7zXZ",
     "xz-compressed: unpack it first"},
    {0, "\050\265\057\375", "zstd-compressed: unpack it first"},
    {0, "\223NUMPY", "an array of NumPy (.npy)"},
    {0, "GGUF", "a GGUF file, of llama.cpp"},
    {4, "TFL3", "a network of TensorFlow Lite"},
    {257, "ustar",
     "a tar archive, as torch before 0.1.10 wrote it: load it in Python and save it again"},
};

/* In zip archives. An exported program may hold files of torch.save. */
static const char *const exported_names[] = {
    "serialized_exported_program.json", /* torch 2.1 to 2.6 */
    "models/model.json"};

static bool has(const uint8_t *bytes, size_t size, const char *part)
{
    return memmem(bytes, size, part, strlen(part)) != NULL;
}

static bool begins(const uint8_t *bytes, size_t size, const char *start)
{
    size_t length = strlen(start);
    return size >= length && !strncasecmp((const char *)bytes, start, length);
}

static bool is_web_page(const uint8_t *bytes, size_t size)
{
    size_t at = begins(bytes, size, "\357\273\277") ? 3 : 0; /* a byte order mark */
    while (at < size && isspace(bytes[at])) at++;
    return begins(bytes + at, size - at, "<!") || begins(bytes + at, size - at, "<html") ||
           begins(bytes + at, size - at, "<?xml");
}

static bool is_zeros(const uint8_t *bytes, size_t size)
{
    size_t looked_at = pf_min_size(size, LOOKED_AT), at = 0;
    while (at < looked_at && !bytes[at]) at++;
    return size && at == looked_at;
}

/* A protobuf whose first field is the version of ONNX and whose second is the producer's name, or
 * what comes where there is none. */
static bool is_onnx(const uint8_t *bytes, size_t size)
{
    return size > 3 && bytes[0] == 0x08 && bytes[1] > 0 && bytes[1] < 64 &&
           (bytes[2] == 0x12 || bytes[2] == 0x3a || bytes[2] == 0x42);
}

static bool is_safetensors(const uint8_t *bytes, size_t size)
{
    return size > 10 && bytes[8] == '{' && bytes[9] == '"' &&
           pf_little_endian(bytes, 8) <= size - 8;
}

/* The class of a module is imported by the pickle's opcode 'c', or named by a text before it. */
static const char *what_pickle(const uint8_t *bytes, size_t size, PfForeignUse as)
{
    const char *module = "torch.nn.modules.";
    if (as == PF_FOREIGN_AS_WEIGHTS) return NULL;
    return has(bytes, pf_min_size(size, LOOKED_AT), module) ? WHOLE_MODEL : STATE_DICT;
}

static const char *what_zip(const uint8_t *bytes, size_t size, PfForeignUse as)
{
    size_t part = pf_min_size(size, LOOKED_AT);
    const uint8_t *end = bytes + size - part;
    for (size_t i = 0; i < sizeof exported_names / sizeof exported_names[0]; i++)
        if (has(end, part, exported_names[i])) return EXPORTED;
    if (has(end, part, "constants.pkl")) return NULL; /* TorchScript */
    if (has(end, part, "/data.pkl")) return what_pickle(bytes, size, as);
    if (has(end, part, "model.weights.h5")) return "a model of Keras (.keras)";
    return has(end, part, ".npy") ? "arrays of NumPy (.npz)" : NULL;
}

const char *pf_foreign_file_what(const uint8_t *bytes, size_t size, PfForeignUse as)
{
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t length = strlen(starts[i].magic);
        if (size >= starts[i].offset + length &&
            !memcmp(bytes + starts[i].offset, starts[i].magic, length))
            return starts[i].what;
    }
    if (is_web_page(bytes, size)) return WEB_PAGE;
    if (is_zeros(bytes, size)) return "nothing but zeros: the download or copy brought no contents";
    if (is_onnx(bytes, size))
        return as == PF_FOREIGN_AS_ONNX
                   ? NULL
                   : "a network of ONNX. Hint: --backbone FILE.onnx, under a name that ends so";
    if (size > 4 && !memcmp(bytes, "PK\3\4", 4)) return what_zip(bytes, size, as);
    if (size && bytes[0] == 0x80) return what_pickle(bytes, size, as);
    if (as == PF_FOREIGN_AS_BACKBONE && is_safetensors(bytes, size))
        return "a .safetensors file: weights without a network. Hint: give it as --weights FILE "
               "with "
               "--backbone NAME";
    return NULL;
}
