/* What pickles cost: time in proportion to their bytes, whatever they make of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/pickle/pickle.h"

#define PUT(out, text) fwrite(text, 1, sizeof(text) - 1, out)

/* Calls of _rebuild_tensor_v2(storage, 0, axes, axes), all with one tuple of arguments. */
static uint8_t *pickle_of_tensors(int axes, int calls, size_t *size)
{
    char *bytes;
    FILE *out = open_memstream(&bytes, size);
    ck_assert_ptr_nonnull(out);
    PUT(out, "\x80\2ctorch._utils\n_rebuild_tensor_v2\nq\0"
             "0((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0kX\3\0\0\0cpuK\1tQK\0(");
    for (int i = 0; i < axes; i++) PUT(out, "K\1");
    PUT(out, "tq\2h\2tq\1"
             "0");
    for (int i = 0; i < calls; i++) PUT(out, "h\0h\1R0");
    PUT(out, "h\0h\1R.");
    ck_assert_int_eq(fclose(out), 0);
    return (uint8_t *)bytes;
}

static PfPickleKind kind_of_tensors(int axes, int calls)
{
    size_t size;
    PfPickle pickle;
    PfError err = {0};
    uint8_t *bytes = pickle_of_tensors(axes, calls, &size);
    ck_assert_msg(!pf_pickle_read(&pf_pickle_weights, "x.pth", bytes, size, &pickle, &err), "%s",
                  err.message);
    const PfPickleKind kind = pickle.root->kind;
    pf_pickle_free(&pickle);
    free(bytes);
    return kind;
}

START_TEST(tensors_of_too_many_axes_are_foreign)
{
    ck_assert_int_eq(kind_of_tensors(PF_MAX_RANK, 1), PF_PICKLE_TENSOR);
    ck_assert_int_eq(kind_of_tensors(PF_MAX_RANK + 1, 1), PF_PICKLE_FOREIGN);
}
END_TEST

START_TEST(axes_beyond_all_are_not_walked_at_every_call)
{
    const clock_t start = clock();
    ck_assert_int_eq(kind_of_tensors(100000, 100000), PF_PICKLE_FOREIGN);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pickle");
    TCase *tcase = tcase_create("pickle");
    tcase_add_test(tcase, tensors_of_too_many_axes_are_foreign);
    tcase_add_test(tcase, axes_beyond_all_are_not_walked_at_every_call);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
