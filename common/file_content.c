#include "file_content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

/* Which bytes a file begins with; where several fit, the first. */
static const struct {
    const char *bytes;
    size_t size;
    const char *name;
} beginnings[] = {
    {"\x89HDF\r\n\x1a\n", 8, "an HDF5 file, as caches are"},
    {"\xff\xd8\xff", 3, "a JPEG image"},
    {"\x89PNG", 4, "a PNG image"},
    {"GIF8", 4, "a GIF image"},
    {"BM", 2, "a BMP image"},
    {"II*\0", 4, "a TIFF image"},
    {"MM\0*", 4, "a TIFF image"},
    {"RIFF", 4, "an image or a film"},
    {"P5", 2, "a PGM image"},
    {"P6", 2, "a PPM image"},
    {"PK\3\4", 4, "a zip archive or a file of PyTorch"},
    {"\x80\2", 2, "a file of PyTorch"},
    {"\x1f\x8b", 2, "a gzip archive"},
    {"%PDF", 4, "a PDF file"},
    {"pffr", 4, "unfinished work of extract"},
};

/* ---- reading ---- */

static size_t read_some(int fd, unsigned char *into, size_t size, off_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, into + done, size - done, at + (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        done += (size_t)count;
    }
    return done;
}

static void read_both(int fd, PfFileContent *content)
{
    struct stat status;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode)) return;
    content->size = read_some(fd, content->begin, sizeof content->begin, 0);
    off_t end = status.st_size - (off_t)sizeof content->end;
    content->end_size = read_some(fd, content->end, sizeof content->end, end > 0 ? end : 0);
}

PfFileContent *pf_file_content_read(const char *path, PfError *err)
{
    struct stat status;
    PfFileContent *content = pf_calloc(1, sizeof *content, err);
    if (!content || stat(path, &status) || !S_ISREG(status.st_mode)) return content;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) read_both(fd, content);
    if (fd >= 0) close(fd);
    return content;
}

/* ---- what it is ---- */

int pf_file_content_is_hdf5(const PfFileContent *content)
{
    return content->size >= beginnings[0].size &&
           !memcmp(content->begin, beginnings[0].bytes, beginnings[0].size);
}

const char *pf_file_content_safetensors(const PfFileContent *content, size_t *size)
{
    uint64_t length;
    if (content->size <= sizeof length) return NULL;
    memcpy(&length, content->begin, sizeof length);
    if (content->begin[sizeof length] != '{' || length >> 40) return NULL;
    *size = content->size - sizeof length;
    if (*size > length) *size = (size_t)length;
    return (const char *)content->begin + sizeof length;
}

int pf_file_content_is_text(const PfFileContent *content)
{
    for (size_t i = 0; i < content->size; i++) {
        unsigned char byte = content->begin[i];
        if (byte < ' ' && !strchr("\t\n\r\f", byte)) return 0;
        if (!byte) return 0;
    }
    return content->size > 0;
}

char pf_file_content_first_letter(const PfFileContent *content)
{
    size_t i = content->size >= 3 && !memcmp(content->begin, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (i < content->size && strchr(" \t\r\n", content->begin[i])) i++;
    return i < content->size ? (char)content->begin[i] : '\0';
}

static int has(const unsigned char *bytes, size_t size, const char *words)
{
    return memmem(bytes, size, words, strlen(words)) != NULL;
}

int pf_file_content_begin_has(const PfFileContent *content, const char *words)
{
    return has(content->begin, content->size, words);
}

int pf_file_content_end_has(const PfFileContent *content, const char *words)
{
    return has(content->end, content->end_size, words);
}

const char *pf_file_content_name(const PfFileContent *content)
{
    size_t size;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (content->size >= beginnings[i].size &&
            !memcmp(content->begin, beginnings[i].bytes, beginnings[i].size))
            return beginnings[i].name;
    if (pf_file_content_safetensors(content, &size)) return "another .safetensors file";
    if (!pf_file_content_is_text(content)) return "a file of another kind";
    char first = pf_file_content_first_letter(content);
    return first == '{' || first == '[' ? "JSON of another kind" : "text of another kind";
}
