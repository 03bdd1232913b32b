/* Archives, .tar and .zip: what is in them, found by one walk over their headers, and the bytes of
 * their members, read from any place by any thread. Nothing is unpacked to the disk, and no path in
 * an archive is ever opened: it is a name.
 *
 * An archive that is cut short or otherwise damaged is refused as a whole; the message names the
 * archive, the member and the offset. */
#ifndef PF_EXTRACT_ARCHIVE_ARCHIVE_H
#define PF_EXTRACT_ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/arena.h"
#include "permafrost/error.h"

typedef enum PfArchiveForm {
    PF_ARCHIVE_NONE,
    PF_ARCHIVE_TAR,
    PF_ARCHIVE_ZIP,
    PF_ARCHIVE_GZIP, /* the following hold something that is to be decompressed first */
    PF_ARCHIVE_ZSTD,
    PF_ARCHIVE_XZ,
    PF_ARCHIVE_BZIP2,
} PfArchiveForm;

#define PF_ARCHIVE_HEAD_BYTES 512

/* What the first bytes of a file tell. */
PfArchiveForm pf_archive_tell(const uint8_t *head, size_t size);

/* How a member's bytes lie in the archive: zip's numbers. */
enum { PF_MEMBER_STORED = 0, PF_MEMBER_DEFLATED = 8, PF_MEMBER_ENCRYPTED = 99 };

typedef struct PfMember {
    int64_t offset;   /* tar: of its bytes; zip: of its local header */
    int64_t size;     /* bytes */
    int64_t stored;   /* bytes that it takes in the archive */
    uint32_t crc;     /* zip alone */
    uint32_t archive; /* the caller's: which of several */
    uint16_t name;    /* where in path its name begins, behind the "shard-000.tar#" of a caller */
    uint8_t method;
    bool has_image; /* the caller's: its first bytes are an image's */
    char path[];    /* "class/x.jpg"; of a folder with a '/' at the end */
} PfMember;

/* Members that are no files. */
typedef enum PfLeftOut {
    PF_LEFT_OUT_SYMBOLIC_LINK,
    PF_LEFT_OUT_HARD_LINK, /* to what is no file in the archive; others are members */
    PF_LEFT_OUT_DEVICE,    /* or a pipe */
    PF_LEFT_OUT_SPARSE,
    PF_LEFT_OUT_OUTSIDE, /* '..' in its path */
    PF_LEFT_OUT_MACOS,   /* below __MACOSX */
    PF_LEFT_OUT_OTHER,
    PF_LEFT_OUT_COUNT,
} PfLeftOut;

typedef struct PfArchive {
    char *path; /* for messages, and to open it again */
    char *file; /* what is opened, where that is another path; or NULL */
    PfArchiveForm form;
    int fd; /* -1: it is opened for each reading */
    struct stat status;
    PfMember **members; /* (count) in the order in which they are listed; each in `texts` */
    size_t count, capacity;
    PfArena texts;
    int64_t left_out[PF_LEFT_OUT_COUNT];
    bool has_no_end;      /* tar: its last blocks are not there, as where it was cut there */
    int64_t bytes_behind; /* behind its end, which are no members */
} PfArchive;

/* Opens the archive at path and lists it. keep: its descriptor stays open; else every reading opens
 * it again. fd: -1, or a descriptor to be read instead, which it takes, also on failure. */
int pf_archive_open(const char *path, int fd, bool keep, PfArchive **out, PfError *err);
/* Opens `file`, which is called `name` for people. */
int pf_archive_open_as(const char *name, const char *file, bool keep, PfArchive **out,
                       PfError *err);
void pf_archive_close(PfArchive **archive);

/* The first `size` bytes of a member, at most member->size, into data. Any thread. Errors are words
 * that follow the member's path, with PF_EXIT_BAD_IMAGES where the member is at fault. All of it is
 * compared with its checksum, where there is one. */
int pf_archive_read(const PfArchive *archive, const PfMember *member, uint8_t *data, size_t size,
                    PfError *err);
/* Whether reading can give its size bytes: to be asked before memory is taken for them, of which
 * the caller sets the limit. */
int pf_archive_check_member(const PfMember *member, PfError *err);

/* ---- streams: stream.c ---- */

/* What a stream holds, of which the first head_size bytes have been read already, into a file
 * without a name in $TMPDIR, else /var/tmp, decompressed where it is .gz or .zst. what names the
 * stream for people, who are told where it goes and how large it has become. *fd is the caller's.
 * Ends with a failure where what is decompressed does not begin as an archive, becomes gigabytes
 * out of nothing, or where it would fill the disk. */
int pf_archive_spool(FILE *stream, const char *what, const uint8_t *head, size_t head_size, int *fd,
                     PfError *err);

/* ---- operands: operand.c ---- */

typedef struct PfArchiveList {
    char **paths; /* (count) */
    size_t count, capacity;
} PfArchiveList;

/* Whether the operand names archives: a file that is one, by its name or content; a folder with
 * nothing in it but such files, or folders of them (lists, checksums and caches may lie beside); or
 * a text with braces, which is no file; or an address (common/base/address.h), with braces or
 * without, which is not asked for. */
bool pf_archive_is_operand(const char *operand);
/* Those archives: of a folder in the order of the numbers in their names, of braces in theirs,
 * which are those of a shell: 'a-{000..099}.tar', '{train,val}.tar'. */
int pf_archive_list_operand(const char *operand, PfArchiveList *out, PfError *err);
/* Fails where some of them are not there, and names those: a hole in a range is a download that has
 * failed. */
int pf_archive_check_list(const char *operand, const PfArchiveList *list, PfError *err);
void pf_archive_list_free(PfArchiveList *list);
/* Length of a name without the ending of an archive. */
size_t pf_archive_stem_length(const char *name);

#endif
