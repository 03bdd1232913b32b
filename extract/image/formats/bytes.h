/* Numbers as files hold them, and a cursor that does not go beyond a file's end. */
#ifndef PF_EXTRACT_IMAGE_FORMATS_BYTES_H
#define PF_EXTRACT_IMAGE_FORMATS_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t pf_get_le16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static inline uint32_t pf_get_le32(const uint8_t *bytes)
{
    return pf_get_le16(bytes) | pf_get_le16(bytes + 2) << 16;
}

static inline uint32_t pf_get_be16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | (uint32_t)bytes[1];
}

static inline uint32_t pf_get_be32(const uint8_t *bytes)
{
    return pf_get_be16(bytes) << 16 | pf_get_be16(bytes + 2);
}

/* A part of a file that is read from its beginning. position is at most size. */
typedef struct PfCursor {
    const uint8_t *bytes;
    size_t size, position;
} PfCursor;

/* A cursor at a byte of a file, or at its end where the file has no such byte. */
static inline PfCursor pf_cursor(const uint8_t *bytes, size_t size, size_t position)
{
    return (PfCursor){bytes, size, position < size ? position : size};
}

static inline size_t pf_cursor_left(const PfCursor *cursor)
{
    return cursor->size - cursor->position;
}

/* The next bytes, and goes behind them; NULL, staying where it is, where there are fewer. */
static inline const uint8_t *pf_cursor_take(PfCursor *cursor, size_t count)
{
    if (pf_cursor_left(cursor) < count) return NULL;
    const uint8_t *bytes = cursor->bytes + cursor->position;
    cursor->position += count;
    return bytes;
}

/* The next byte, or -1 at the end. */
static inline int pf_cursor_byte(PfCursor *cursor)
{
    return cursor->position < cursor->size ? cursor->bytes[cursor->position++] : -1;
}

#endif
