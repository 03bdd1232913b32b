/* What control groups allow, by trees of files that look like a machine's. */
#include <check.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/control_group.h"

static char root[64];

/* The file, and the folders on its way. */
static void put(const char *path, const char *text)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(name, 0700);
    }
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void begin(void)
{
    strcpy(root, "/tmp/pf_groups_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

#define NO_LIMIT SIZE_MAX

static void expect(int processors, const char *decides, size_t memory)
{
    PfGroupLimits limits = pf_control_group_limits(root);
    ck_assert_int_eq(limits.processors, processors);
    ck_assert_uint_eq(limits.memory_bytes, memory);
    if (decides)
        ck_assert_str_eq(limits.decides, decides);
    else
        ck_assert_ptr_null(limits.decides);
}

#define SECOND "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHERS                                                                                     \
    "22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"                                      \
    "28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"

static void second(const char *group)
{
    char line[256];
    snprintf(line, sizeof line, "0::%s\n", group);
    put("proc/self/cgroup", line);
    put("proc/self/mountinfo", OTHERS SECOND);
}

/* ---- version 2 ---- */

START_TEST(the_quota_is_rounded_up)
{
    static const struct {
        const char *text;
        int processors;
    } quotas[] = {{"150000 100000\n", 2},
                  {"50000 100000\n", 1},
                  {"1000 100000", 1},
                  {"200000 100000\n", 2},
                  {"200001 100000\n", 3},
                  {"6400000 50000\n", 128},
                  {"max 100000\n", 0},
                  {"", 0},
                  {"\n", 0},
                  {"150000\n", 0},
                  {"150000 0\n", 0},
                  {"0 100000\n", 0},
                  {"-1 100000\n", 0},
                  {"1e5 100000\n", 0},
                  {"150000 100000 7\n", 0},
                  {"18446744073709551615 1\n", INT_MAX}};
    second("/job");
    for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
        put("sys/fs/cgroup/job/cpu.max", quotas[i].text);
        expect(quotas[i].processors, quotas[i].processors ? "cpu.max" : NULL, NO_LIMIT);
    }
}
END_TEST

START_TEST(groups_around_it_count)
{
    second("/slurm/job 7/step");
    put("sys/fs/cgroup/slurm/cpu.max", "400000 100000\n");
    put("sys/fs/cgroup/slurm/job 7/cpu.max", "250000 100000\n");
    put("sys/fs/cgroup/slurm/job 7/step/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/slurm/memory.max", "1000000\n");
    put("sys/fs/cgroup/slurm/job 7/memory.max", "max\n");
    put("sys/fs/cgroup/slurm/job 7/step/memory.max", "3000000\n");
    put("sys/fs/cgroup/slurm/job 7/other/cpu.max", "1000 100000\n");
    expect(3, "cpu.max", 1000000);
}
END_TEST

START_TEST(a_container_sees_its_group_as_the_top)
{
    second("/");
    put("sys/fs/cgroup/cpu.max", "300000 100000\n");
    put("sys/fs/cgroup/memory.max", "5000\n");
    expect(3, "cpu.max", 5000);
    second("/../../elsewhere"); /* moved out of it later */
    expect(3, "cpu.max", 5000);
}
END_TEST

START_TEST(a_part_of_the_hierarchy_may_be_mounted)
{
    put("proc/self/cgroup", "0::/docker/abc/inner\n");
    put("proc/self/mountinfo",
        OTHERS "30 23 0:26 /docker/abc /mnt/my\\040groups rw - cgroup2 cgroup2 rw\n");
    put("mnt/my groups/inner/cpu.max", "200000 100000\n");
    put("mnt/my groups/memory.max", "777\n");
    expect(2, "cpu.max", 777);
    put("proc/self/cgroup", "0::/docker/abcd/inner\n"); /* not below it: the top is what is known */
    expect(0, NULL, 777);
}
END_TEST

/* ---- version 1, and both ---- */

#define FIRST                                                                                      \
    "33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"                  \
    "34 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                            \
    "35 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

START_TEST(version_1_has_a_hierarchy_for_each)
{
    put("proc/self/cgroup", "7:cpuset:/\n4:cpu,cpuacct:/a/b\n3:memory:/m\n1:name=systemd:/x\n");
    put("proc/self/mountinfo", OTHERS FIRST);
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "4096000\n");
    put("sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n");
    expect(2, "cpu.cfs_quota_us", 4096000);
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "none\n");
    put("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "a lot\n");
    expect(0, NULL, 9223372036854771712u);
}
END_TEST

START_TEST(both_versions_side_by_side)
{
    put("proc/self/cgroup", "4:cpu,cpuacct:/a\n3:memory:/m\n0::/u\n");
    put("proc/self/mountinfo",
        OTHERS FIRST "40 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "700000\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/unified/u/memory.max", "123\n");
    expect(7, "cpu.cfs_quota_us", 123);
    put("sys/fs/cgroup/unified/u/cpu.max", "600000 100000\n");
    expect(6, "cpu.max", 123);
}
END_TEST

/* ---- what cannot be understood ---- */

START_TEST(what_cannot_be_read_limits_nothing)
{
    expect(0, NULL, NO_LIMIT);
    put("proc/self/cgroup", "");
    expect(0, NULL, NO_LIMIT);
    put("proc/self/cgroup", "0\n0:\n::\nx:cpu\n0::relative\n");
    put("proc/self/mountinfo", "\n - cgroup2\n30 23 0:26 - cgroup2 x\n30 - cgroup cgroup rw,cpu\n");
    expect(0, NULL, NO_LIMIT);
    second("/job");
    expect(0, NULL, NO_LIMIT);
    put("sys/fs/cgroup/job/cpu.max/a_folder", "");
    put("sys/fs/cgroup/job/memory.max", "12 monkeys\n");
    expect(0, NULL, NO_LIMIT);
}
END_TEST

START_TEST(names_too_long_are_passed_over)
{
    char *line = calloc(1, 3 * PATH_MAX);
    strcpy(line, "0::");
    memset(line + 3, '/', 2 * PATH_MAX);
    put("proc/self/cgroup", line);
    put("proc/self/mountinfo", SECOND);
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    expect(0, NULL, NO_LIMIT);
    free(line);
}
END_TEST

START_TEST(of_this_process_something_can_be_said)
{
    PfGroupLimits limits = pf_control_group_limits("");
    ck_assert_int_ge(limits.processors, 0);
    ck_assert_uint_ge(limits.memory_bytes, 1 << 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control_group");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, the_quota_is_rounded_up);
    tcase_add_test(cases, groups_around_it_count);
    tcase_add_test(cases, a_container_sees_its_group_as_the_top);
    tcase_add_test(cases, a_part_of_the_hierarchy_may_be_mounted);
    tcase_add_test(cases, version_1_has_a_hierarchy_for_each);
    tcase_add_test(cases, both_versions_side_by_side);
    tcase_add_test(cases, what_cannot_be_read_limits_nothing);
    tcase_add_test(cases, names_too_long_are_passed_over);
    tcase_add_test(cases, of_this_process_something_can_be_said);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
