/* What the formats of archives share. */
#ifndef PF_EXTRACT_ARCHIVE_INTERNAL_H
#define PF_EXTRACT_ARCHIVE_INTERNAL_H

#include "extract/archive/archive.h"

/* Longest name of a member, with its end; what is longer is refused. */
#define PF_MEMBER_PATH_SIZE 4096

/* So far behind the end of a .tar another one may begin, where several were put into one file. */
#define PF_TAR_PADDING_MAX (1 << 20)

/* A .tar without any member is two blocks of zeros. size: of the head. */
bool pf_archive_is_zeros(const uint8_t *head, size_t size);

/* Exactly size bytes at the offset, of an archive that is being listed. */
int pf_archive_get(const PfArchive *archive, void *bytes, size_t size, int64_t offset,
                   PfError *err);
/* Adds a member. name: (length) as in the archive, at the offset `at`, for messages; without empty
 * parts, "." and a leading '/' it becomes its path. Counted and left out where it leads outside. */
int pf_archive_add(PfArchive *archive, const char *name, size_t length, bool is_folder,
                   const PfMember *member, int64_t at, PfError *err);

/* Copies the parts of a name but empty ones and "."; false where one of them is "..". path has room
 * for all of it. *parts: how many. */
bool pf_archive_clean_name(const char *name, size_t length, char *path, int *parts);

/* Lists all members. */
int pf_tar_list(PfArchive *archive, PfError *err);
int pf_zip_list(PfArchive *archive, PfError *err);
/* Whether a block of 512 bytes is the header of a member. */
bool pf_tar_is_header(const uint8_t *block);

/* The bytes of an open archive, as pf_archive_read. */
int pf_archive_read_plain(int fd, int64_t offset, uint8_t *data, size_t size, PfError *err);
int pf_zip_read(int fd, int64_t archive_size, const PfMember *member, uint8_t *data, size_t size,
                PfError *err);

#endif
