/* Pairs of hashes that differ in a few bits: beside all pairs, tried one by one. */
#include <check.h>
#include <stdlib.h>

#include "common/cache/perceptual_hash.h"
#include "inspect/findings/hash_pairs.h"

#define ROWS 3000

static uint64_t state;

static uint64_t draw(void)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t change(uint64_t hash, int bits)
{
    for (int i = 0; i < bits; i++) hash ^= UINT64_C(1) << draw() % 64;
    return hash;
}

static int root_of(const int *parent, int row)
{
    while (parent[row] != row) row = parent[row];
    return row;
}

static void join(int *parent, int a, int b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

static bool is_near(uint64_t a, uint64_t b, int bits)
{
    return a && b &&
           (pf_perceptual_hash_distance(a, b) <= bits ||
            pf_perceptual_hash_distance(a, pf_perceptual_hash_mirror(b)) <= bits);
}

/* What is linked by the pairs is what all pairs link, and no pair is of distant ones. */
static int64_t compare(const uint64_t *hashes, int rows, int bits, int threads)
{
    static int ours[ROWS], theirs[ROWS];
    const PfRows described = {.count = rows, .threads = threads};
    PfHashPair *pairs;
    PfError err;
    int64_t count;
    ck_assert(!pf_hash_pairs_find(&described, hashes, bits, &pairs, &count, &err));
    for (int i = 0; i < rows; i++) ours[i] = theirs[i] = i;
    for (int64_t p = 0; p < count; p++) {
        ck_assert_int_lt(pairs[p].a, pairs[p].b);
        ck_assert(is_near(hashes[pairs[p].a], hashes[pairs[p].b], bits));
        join(ours, pairs[p].a, pairs[p].b);
    }
    for (int a = 0; a < rows; a++)
        for (int b = a + 1; b < rows; b++)
            if (is_near(hashes[a], hashes[b], bits)) join(theirs, a, b);
    for (int i = 0; i < rows; i++) ck_assert_int_eq(root_of(ours, i), root_of(theirs, i));
    free(pairs);
    return count;
}

START_TEST(planted_copies_are_linked)
{
    static uint64_t hashes[ROWS];
    state = (uint64_t)_i;
    for (int i = 0; i < ROWS; i++) hashes[i] = draw() | 1;
    for (int i = 0; i < 400; i++) {
        uint64_t copy = change(hashes[i], i % 10);
        hashes[ROWS - 1 - i] = i % 3 ? copy : pf_perceptual_hash_mirror(copy);
    }
    for (int i = 500; i < 560; i++) hashes[i] = 0;
    for (int i = 600; i < 700; i++) hashes[i] = i % 2 ? hashes[600] : ~hashes[600];
    for (int bits = 0; bits <= PF_HASH_PAIRS_MOST_BITS; bits++)
        ck_assert_int_ge(compare(hashes, ROWS, bits, 1 + bits % 3), bits > 3 ? 240 : 98);
}
END_TEST

START_TEST(crowds_make_few_pairs)
{
    static uint64_t hashes[ROWS];
    state = 5;
    const uint64_t centre = draw();
    for (int i = 0; i < 1000; i++) hashes[i] = change(centre, 2);
    ck_assert_int_le(compare(hashes, 1000, 6, 2), 33 * 1000);
}
END_TEST

START_TEST(nothing_is_near_to_nothing)
{
    const uint64_t hashes[3] = {0, 0, 5};
    ck_assert_int_eq(compare(hashes, 3, 6, 1), 0);
    ck_assert_int_eq(compare(hashes, 0, 6, 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash pairs");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, planted_copies_are_linked, 0, 3);
    tcase_add_test(cases, crowds_make_few_pairs);
    tcase_add_test(cases, nothing_is_near_to_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
