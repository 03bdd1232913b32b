/* Assertions about every one of many numbers. */
#ifndef PF_ASSERT_EACH_H
#define PF_ASSERT_EACH_H

#include <check.h>

/* As ck_assert_msg, which writes its place to a file each time that it passes: where there are
 * millions, most of a suite's time. */
#define assert_each(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition)) ck_abort_msg(__VA_ARGS__);                                               \
    } while (0)

#endif
