/* Which shard a batch system means, by environments as they set them; and which file systems' locks
 * are relied on. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "extract/shard/lease.h"
#include "extract/shard/scheduler.h"

#define OWN PF_SHARD_BASE_OF_SCHEDULER

typedef struct Case {
    const char *variables[6];
    int64_t count;
    long long base;
    int64_t number;    /* the shard; 0: refused */
    const char *words; /* of the scheduler, or in the message */
} Case;

/* "NAME=value" texts, NULL at the end. */
static const char *look_up(void *context, const char *name)
{
    const char *const *variables = ((const Case *)context)->variables;
    const size_t length = strlen(name);
    for (; *variables; variables++)
        if (!strncmp(*variables, name, length) && (*variables)[length] == '=')
            return *variables + length + 1;
    return NULL;
}

static const Case cases[] = {
    {{"SLURM_ARRAY_TASK_ID=0"}, 4, OWN, 1, "Slurm array"},
    {{"SLURM_ARRAY_TASK_ID=3"}, 4, OWN, 4, "Slurm array"},
    {{"SLURM_ARRAY_TASK_ID=4"}, 4, OWN, 0, "--shard-base 1"},
    {{"SLURM_ARRAY_TASK_ID=4"}, 4, 1, 4, "Slurm array"},
    {{"SLURM_ARRAY_TASK_ID=0"}, 4, 1, 0, "goes from 1 to 4"},
    {{"SLURM_ARRAY_TASK_ID=107"}, 10, 100, 8, "Slurm array"},
    /* Counts of a partial submission say nothing. */
    {{"SLURM_ARRAY_TASK_ID=7", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MIN=5"},
     10,
     OWN,
     8,
     "Slurm array"},
    /* What sbatch and srun set for the one process of an array's task is no rank. */
    {{"SLURM_ARRAY_TASK_ID=2", "SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=1"}, 4, OWN, 3, "Slurm"},
    {{"SLURM_ARRAY_TASK_ID=2", "SLURM_PROCID=1", "SLURM_STEP_NUM_TASKS=2"}, 4, OWN, 0, "at once"},
    {{"JOB_COMPLETION_INDEX=5"}, 6, OWN, 6, "Kubernetes"},
    {{"JOB_COMPLETION_INDEX=5"}, 6, 1, 0, "counts from 0"},
    {{"AWS_BATCH_JOB_ARRAY_INDEX=0"}, 2, OWN, 1, "AWS"},
    {{"SGE_TASK_ID=1"}, 3, OWN, 1, "Grid Engine"},
    {{"SGE_TASK_ID=3"}, 3, OWN, 3, "Grid Engine"},
    {{"SGE_TASK_ID=undefined"}, 3, OWN, 0, "no batch system"},
    {{"SGE_TASK_ID=undefined", "OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2"},
     3,
     OWN,
     2,
     "Open MPI"},
    {{"PBS_ARRAY_INDEX=9"}, 10, OWN, 10, "PBS"},
    {{"PBS_ARRAYID=10"}, 10, 1, 10, "PBS"},
    {{"LSB_JOBINDEX=0"}, 3, OWN, 0, "no batch system"},
    {{"LSB_JOBINDEX=3"}, 3, OWN, 3, "LSF"},
    {{"SLURM_PROCID=0"}, 3, OWN, 0, "no batch system"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=1"}, 3, OWN, 0, "no batch system"},
    {{"SLURM_PROCID=1", "SLURM_STEP_NUM_TASKS=2"}, 3, OWN, 2, "srun"},
    {{"OMPI_COMM_WORLD_RANK=3", "OMPI_COMM_WORLD_SIZE=4"}, 4, OWN, 4, "Open MPI"},
    {{"PMI_RANK=2", "PMI_SIZE=3"}, 4, OWN, 3, "MPI"},
    {{"RANK=1", "WORLD_SIZE=4"}, 4, OWN, 2, "torchrun"},
    {{"RANK=4", "WORLD_SIZE=5"}, 4, OWN, 0, "goes from 0 to 3"},
    /* Ranks of one launch under another agree, or nobody knows. */
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4", "PMI_RANK=1", "PMI_SIZE=4"},
     4,
     OWN,
     2,
     "Open MPI"},
    {{"SLURM_PROCID=1", "SLURM_STEP_NUM_TASKS=2", "RANK=0", "WORLD_SIZE=2"}, 4, OWN, 0, "which"},
    {{"SLURM_ARRAY_TASK_ID=1x"}, 4, OWN, 0, "'1x'"},
    {{"SLURM_ARRAY_TASK_ID=-1"}, 4, OWN, 0, "'-1'"},
    {{"SLURM_ARRAY_TASK_ID="}, 4, OWN, 0, "no batch system"},
    {{"NOTHING=1"}, 4, OWN, 0, "name the shard"},
};

START_TEST(environments)
{
    Case each = cases[_i];
    PfScheduledShard found;
    PfError err = {0};
    const int failed =
        pf_scheduler_choose_shard(each.count, each.base, look_up, &each, &found, &err);
    if (!each.number) {
        ck_assert_int_eq(failed, -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
        ck_assert_msg(strstr(err.message, each.words) != NULL, "%s", err.message);
        return;
    }
    ck_assert_msg(!failed, "%s", err.message);
    ck_assert_int_eq(found.shard.number, each.number);
    ck_assert_int_eq(found.shard.count, each.count);
    ck_assert_msg(strstr(found.scheduler, each.words) != NULL, "%s", found.scheduler);
}
END_TEST

static void expect_list(const char *variable, long long base, const char *expected)
{
    const int64_t numbers[] = {1, 3, 4, 5, 9};
    char *text = pf_scheduler_resubmission(variable, base, numbers, 5, NULL);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(what_is_run_again)
{
    expect_list("SLURM_ARRAY_TASK_ID", 0, "--array=0,2-4,8");
    expect_list("SLURM_ARRAY_TASK_ID", 1, "--array=1,3-5,9");
    expect_list("PBS_ARRAYID", 1, "-t 1,3-5,9");
    expect_list("JOB_COMPLETION_INDEX", 0, "1,3-5,9");
    expect_list("SOMETHING_ELSE", 7, "1,3-5,9");
    expect_list(NULL, 0, "1,3-5,9");
}
END_TEST

static const char *objection(const char *type, const char *options)
{
    char text[512];
    snprintf(text, sizeof text,
             "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
             "36 22 0:51 /x /data rw,noatime shared:9 master:1 - %s host:/x %s\n",
             type, options);
    ck_assert_ptr_null(pf_lease_objection(text, makedev(254, 1)));
    ck_assert_ptr_null(pf_lease_objection(text, makedev(9, 9)));
    return pf_lease_objection(text, makedev(0, 51));
}

START_TEST(locks_that_reach)
{
    ck_assert_ptr_null(objection("nfs4", "rw,vers=4.2,local_lock=none,addr=1.2.3.4"));
    ck_assert_ptr_null(objection("nfs", "rw,vers=3"));
    ck_assert_ptr_null(objection("lustre", "rw,flock,lazystatfs"));
    ck_assert_ptr_null(objection("ceph", "rw,acl"));
    ck_assert_ptr_null(objection("tmpfs", "rw"));
    ck_assert_ptr_null(objection("fuseblk", "rw"));
    ck_assert_ptr_nonnull(objection("nfs", "rw,vers=3,nolock,local_lock=all"));
    ck_assert_ptr_nonnull(objection("nfs4", "rw,local_lock=flock"));
    ck_assert_ptr_nonnull(objection("lustre", "rw,localflock"));
    ck_assert_ptr_nonnull(objection("lustre", "rw"));
    ck_assert_ptr_nonnull(objection("fuse.sshfs", "rw"));
    ck_assert_ptr_nonnull(objection("9p", "rw"));
    ck_assert_ptr_nonnull(objection("cifs", "rw,nobrl"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_scheduler");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, environments, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(all, what_is_run_again);
    tcase_add_test(all, locks_that_reach);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
