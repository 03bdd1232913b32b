#include "common/cache/equal_images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash_index.h"
#include "common/base/memory.h"
#include "common/cache/image_file.h"

int pf_equal_images_find(const uint8_t (*digests)[PF_DIGEST_SIZE], int64_t count, uint32_t *first,
                         PfError *err)
{
    PfHashIndex index;
    if (pf_hash_index_init(&index, count, err)) return -1;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash;
        first[i] = i;
        if (pf_digest_is_none(digests[i])) continue;
        memcpy(&hash, digests[i], sizeof hash);
        uint32_t *slot = pf_hash_index_first(&index, hash);
        while (*slot != PF_HASH_EMPTY && memcmp(digests[*slot], digests[i], PF_DIGEST_SIZE))
            slot = pf_hash_index_next(&index, slot);
        if (*slot == PF_HASH_EMPTY) *slot = i;
        first[i] = *slot;
    }
    pf_hash_index_free(&index);
    return 0;
}

int pf_equal_images_find_together(const uint8_t (*digests)[PF_DIGEST_SIZE], const uint64_t *groups,
                                  int64_t count, uint32_t *first, PfError *err)
{
    uint8_t(*marks)[PF_DIGEST_SIZE] = pf_calloc((size_t)count, sizeof *marks, err);
    if (!marks) return -1;
    for (int64_t i = 0; i < count; i++)
        if (groups[i])
            memcpy(marks[i], &groups[i], sizeof groups[i]);
        else
            memcpy(marks[i], digests[i], PF_DIGEST_SIZE);
    int failed = pf_equal_images_find((const uint8_t(*)[PF_DIGEST_SIZE])marks, count, first, err);
    free(marks);
    return failed;
}

/* ---- counting ---- */

enum { SPLIT_BITS = (1 << PF_SPLIT_COUNT) - 1, TWO_LABELS = 1 << PF_SPLIT_COUNT };

static int bit_of(const uint8_t *splits, int64_t row)
{
    return splits ? 1 << splits[row] & SPLIT_BITS : 1 << PF_SPLIT_TRAIN;
}

/* marks, label_rows: (count), used at the first row of each image. marks: bits of the parts that
 * the image is in. label_rows: 1 + a row of the image that has a label, or 0. */
static void mark(const uint32_t *first, const uint8_t *splits, const int32_t *labels, int64_t count,
                 uint8_t *marks, uint32_t *label_rows)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t image = first[i], *labelled = &label_rows[image];
        marks[image] |= (uint8_t)bit_of(splits, i);
        if (!labels || labels[i] < 0 || !bit_of(splits, i)) continue;
        if (*labelled && labels[*labelled - 1] != labels[i]) marks[image] |= TWO_LABELS;
        if (!*labelled) *labelled = i + 1;
    }
}

static PfEqualImages count_marks(const uint32_t *first, const uint8_t *splits, const uint8_t *marks,
                                 int64_t count)
{
    PfEqualImages equal = {0};
    for (uint32_t i = 0; i < count; i++) {
        int in = marks[first[i]], own = bit_of(splits, i);
        int in_train = in >> PF_SPLIT_TRAIN & 1, in_val = in >> PF_SPLIT_VAL & 1;
        equal.val_in_train += own == 1 << PF_SPLIT_VAL && in_train;
        equal.test_in_train += own == 1 << PF_SPLIT_TEST && in_train;
        equal.test_in_val += own == 1 << PF_SPLIT_TEST && in_val;
        equal.two_labels += first[i] == i && (in & TWO_LABELS);
    }
    return equal;
}

int pf_equal_images_count(const uint8_t (*digests)[PF_DIGEST_SIZE], const uint8_t *splits,
                          const int32_t *labels, int64_t count, PfEqualImages *out, PfError *err)
{
    size_t n = (size_t)count;
    uint32_t *first = pf_calloc(n, sizeof *first, err);
    uint32_t *label_rows = pf_calloc(n, sizeof *label_rows, err);
    uint8_t *marks = pf_calloc(n, 1, err);
    int failed =
        !first || !label_rows || !marks || pf_equal_images_find(digests, count, first, err);
    *out = (PfEqualImages){0};
    if (!failed) {
        mark(first, splits, labels, count, marks, label_rows);
        *out = count_marks(first, splits, marks, count);
    }
    free(marks);
    free(label_rows);
    free(first);
    return failed ? -1 : 0;
}

/* ---- telling ---- */

const char *pf_equal_images_text(const PfEqualImages *equal, char text[PF_EQUAL_IMAGES_TEXT])
{
    const struct {
        int64_t count;
        const char *of, *in;
    } pairs[] = {{equal->val_in_train, "val", "train"},
                 {equal->test_in_train, "test", "train"},
                 {equal->test_in_val, "test", "val"}};
    size_t used = 0, size = PF_EQUAL_IMAGES_TEXT;
    *text = '\0';
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].count)
            used += (size_t)snprintf(text + used, size - used, "%s%lld image%s of %s %s also in %s",
                                     used ? ", " : "", (long long)pairs[i].count,
                                     pairs[i].count == 1 ? "" : "s", pairs[i].of,
                                     pairs[i].count == 1 ? "is" : "are", pairs[i].in);
    if (used) used += (size_t)snprintf(text + used, size - used, " (equal bytes)");
    if (equal->two_labels)
        snprintf(text + used, size - used, "%s%lld image%s under two labels", used ? "; " : "",
                 (long long)equal->two_labels, equal->two_labels == 1 ? " stands" : "s stand");
    return text;
}

void pf_equal_images_add(cJSON *json, const PfEqualImages *equal)
{
    cJSON *object = cJSON_AddObjectToObject(json, "equal_images");
    cJSON_AddNumberToObject(object, "val_in_train", (double)equal->val_in_train);
    cJSON_AddNumberToObject(object, "test_in_train", (double)equal->test_in_train);
    cJSON_AddNumberToObject(object, "test_in_val", (double)equal->test_in_val);
    cJSON_AddNumberToObject(object, "two_labels", (double)equal->two_labels);
}
