#include "common/backbone/libtorch.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file/input_file.h"

#define MAX_SEGMENTS 1024

/* ---- names ---- */

/* Of libc10.so.1.13, libtorch_cpu.so the part after ".so": one libtorch has one for all its
 * libraries. NULL of other libraries. */
static const char *torch_version(const char *name)
{
    const char *slash = strrchr(name, '/');
    if (slash) name = slash + 1;
    if (strncmp(name, "libtorch", 8) && strncmp(name, "libc10", 6)) return NULL;
    const char *suffix = strstr(name, ".so");
    return suffix ? suffix + 3 : NULL;
}

/* The first library of libtorch that was seen, which the others are compared with. */
typedef struct Seen {
    char name[128];
    char other[128]; /* one of another libtorch; "" */
} Seen;

static void see(Seen *seen, const char *name)
{
    const char *version = torch_version(name);
    if (!version || *seen->other) return;
    if (!*seen->name)
        snprintf(seen->name, sizeof seen->name, "%s", name);
    else if (strcmp(version, torch_version(seen->name)))
        snprintf(seen->other, sizeof seen->other, "%s", name);
}

/* ---- the file ---- */

typedef struct Image {
    const unsigned char *bytes;
    uint64_t size;
    const Elf64_Phdr *segments;
    int segment_count;
} Image;

/* count things of item_size bytes at offset; NULL where they are not all in the file, or lie askew.
 */
static const void *find(const Image *image, uint64_t offset, uint64_t count, uint64_t item_size)
{
    if (offset > image->size || count > (image->size - offset) / item_size || offset % 8)
        return NULL;
    return image->bytes + offset;
}

static bool is_for_this_machine(const Elf64_Ehdr *header)
{
    return !memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_ident[EI_DATA] == ELFDATA2LSB && header->e_type == ET_DYN &&
           header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum <= MAX_SEGMENTS;
}

static bool read_segments(Image *image)
{
    const Elf64_Ehdr *header = find(image, 0, 1, sizeof *header);
    if (!header || !is_for_this_machine(header)) return false;
    image->segment_count = header->e_phnum;
    image->segments = find(image, header->e_phoff, header->e_phnum, sizeof *image->segments);
    return image->segments != NULL;
}

/* Where in the file that is which is loaded at the address; past its end where nothing is. */
static uint64_t offset_of(const Image *image, uint64_t address)
{
    for (int i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz && segment->p_offset <= image->size)
            return segment->p_offset + (address - segment->p_vaddr);
    }
    return UINT64_MAX;
}

static uint64_t dynamic_value(const Elf64_Dyn *entries, uint64_t count, int64_t tag)
{
    for (uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++)
        if (entries[i].d_tag == tag) return entries[i].d_un.d_val;
    return UINT64_MAX;
}

/* The names that the library needs, each of which ends within the file. */
static void see_needed(const Image *image, const Elf64_Dyn *entries, uint64_t count, Seen *seen)
{
    uint64_t names = offset_of(image, dynamic_value(entries, count, DT_STRTAB));
    for (uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
        if (entries[i].d_tag != DT_NEEDED || names > image->size ||
            entries[i].d_un.d_val >= image->size - names)
            continue;
        uint64_t start = names + entries[i].d_un.d_val;
        if (memchr(image->bytes + start, 0, image->size - start))
            see(seen, (const char *)image->bytes + start);
    }
}

static void see_plugin(Image *image, Seen *seen)
{
    if (!read_segments(image)) return;
    for (int i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        uint64_t count = segment->p_filesz / sizeof(Elf64_Dyn);
        if (segment->p_type != PT_DYNAMIC) continue;
        const Elf64_Dyn *entries = find(image, segment->p_offset, count, sizeof *entries);
        if (entries) see_needed(image, entries, count, seen);
    }
}

/* ---- both ---- */

static int see_loaded(struct dl_phdr_info *library, size_t size, void *seen)
{
    (void)size;
    if (library->dlpi_name) see(seen, library->dlpi_name);
    return 0;
}

int pf_libtorch_check_one(const char *plugin, PfError *err)
{
    Seen seen = {{0}, {0}};
    struct stat status;
    const void *bytes;
    int file = open(plugin, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return 0;
    if (!fstat(file, &status) && S_ISREG(status.st_mode) &&
        !pf_input_file_map(file, &status, "plugin", plugin, &bytes, NULL) && bytes) {
        Image image = {.bytes = bytes, .size = (uint64_t)status.st_size};
        see_plugin(&image, &seen);
        pf_input_file_unmap(bytes, (size_t)status.st_size);
    }
    close(file);
    if (*seen.name) dl_iterate_phdr(see_loaded, &seen);
    if (!*seen.other) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "two libtorch at once: the torch plugin '%s' needs %s, and %s of another one would be "
        "in the same process. Hint: build it against one, make -f Makefile.data build "
        "TORCH=FOLDER; nothing of libtorch may be in LD_PRELOAD",
        plugin, seen.name, seen.other);
}
