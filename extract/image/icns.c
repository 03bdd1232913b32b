/* Apple's icons: of the pictures that are PNG or JPEG 2000 the one that PIL takes, the largest. */
#include <string.h>

#include "extract/image/bytes.h"
#include "extract/image/internal.h"

enum { HEADER_SIZE = 8, ENTRY_HEADER_SIZE = 8 };

/* Kinds of entries from the largest picture to the smallest; those of run lengths are not read. */
static const char kinds[][5] = {"ic10", "ic09", "ic14", "ic08", "ic13", "ic07",
                                "icp6", "ic12", "icp5", "ic11", "icp4"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int rank_of(const uint8_t *kind)
{
    int rank = 0;
    while (rank < KINDS && memcmp(kind, kinds[rank], 4)) rank++;
    return rank;
}

static bool is_picture(const uint8_t *bytes, size_t size)
{
    return size >= 8 &&
           (!memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) || !memcmp(bytes, "\0\0\0\x0cjP  ", 8));
}

int pf_image_icns_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    PfCursor file = pf_cursor(bytes, size, HEADER_SIZE);
    const uint8_t *best = NULL;
    size_t best_size = 0;
    int best_rank = KINDS;
    while (pf_cursor_left(&file) >= ENTRY_HEADER_SIZE) {
        const uint8_t *head = pf_cursor_take(&file, ENTRY_HEADER_SIZE);
        size_t entry_size = pf_get_be32(head + 4);
        const uint8_t *data = entry_size < ENTRY_HEADER_SIZE
                                  ? NULL
                                  : pf_cursor_take(&file, entry_size - ENTRY_HEADER_SIZE);
        if (!data) return pf_image_bad(err, "truncated ICNS: ends after %zu bytes", size);
        if (rank_of(head) >= best_rank) continue;
        best = data;
        best_size = entry_size - ENTRY_HEADER_SIZE;
        best_rank = rank_of(head);
    }
    if (!best || !is_picture(best, best_size))
        return pf_image_bad(err, "ICNS without a PNG or JPEG 2000, which is not supported");
    return pf_image_decode_reduced(best, best_size, least_side, image, err);
}
