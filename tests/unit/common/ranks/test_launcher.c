/* Which of several processes this one is, and where they meet. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/ranks/launcher.h"
#include "common/ranks/rendezvous.h"

/* Lines of NAME=VALUE, lent by the test that runs. */
static const char *look_up(void *context, const char *name)
{
    static char values[32][256]; /* lent for long enough */
    static int next;
    char *value = values[next++ % 32];
    size_t length = strlen(name);
    for (const char *line = context; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, name, length) || line[length] != '=') continue;
        size_t size = strcspn(line + length + 1, "\n");
        memcpy(value, line + length + 1, size);
        value[size] = '\0';
        return value;
    }
    return NULL;
}

static PfEnvironment environment_of(char *lines)
{
    return (PfEnvironment){look_up, lines};
}

static PfLaunch launch_of(char *lines)
{
    PfEnvironment environment = environment_of(lines);
    PfLaunch launch;
    PfError err = {0};
    ck_assert_msg(!pf_launcher_find(&environment, &launch, &err), "%s", err.message);
    return launch;
}

static PfRendezvous meet(char *lines)
{
    PfEnvironment environment = environment_of(lines);
    PfLaunch launch = launch_of(lines);
    PfRendezvous rendezvous;
    PfError err = {0};
    ck_assert_msg(!pf_rendezvous_find(&environment, &launch, &rendezvous, &err), "%s", err.message);
    return rendezvous;
}

static void expect_usage(int failed, const PfError *err, const char *part)
{
    ck_assert(failed);
    ck_assert_int_eq(err->exit_code, PF_EXIT_USAGE);
    ck_assert_msg(strstr(err->message, part), "'%s' lacks '%s'", err->message, part);
}

START_TEST(test_launchers)
{
    PfLaunch launch = launch_of("RANK=3\nWORLD_SIZE=4\nLOCAL_RANK=1\nLOCAL_WORLD_SIZE=2\n");
    ck_assert_str_eq(launch.launcher->name, "torchrun");
    ck_assert_int_eq(launch.rank, 3);
    ck_assert_int_eq(launch.size, 4);
    ck_assert_int_eq(launch.local_rank, 1);
    ck_assert(!launch.one_host);
    launch = launch_of("OMPI_COMM_WORLD_RANK=0\nOMPI_COMM_WORLD_SIZE=2\n"
                       "OMPI_COMM_WORLD_LOCAL_RANK=0\nOMPI_COMM_WORLD_LOCAL_SIZE=2\n");
    ck_assert_str_eq(launch.launcher->name, "Open MPI");
    ck_assert(launch.one_host);
    launch = launch_of("PMI_RANK=1\nPMI_SIZE=2\nMPI_LOCALRANKID=1\nMPI_LOCALNRANKS=2\n");
    ck_assert_str_eq(launch.launcher->name, "MPI");
    launch = launch_of("SLURM_PROCID=1\nSLURM_STEP_NUM_TASKS=2\nSLURM_LOCALID=0\n"
                       "SLURM_STEP_NUM_NODES=2\n");
    ck_assert_str_eq(launch.launcher->name, "srun");
    ck_assert(!launch.one_host);
}
END_TEST

/* srun --mpi=pmi2 sets PMI_RANK and PMI_SIZE, and which of its host a process is only in its own
 * variables. */
START_TEST(test_host_by_the_outer_one)
{
    PfLaunch launch = launch_of("PMI_RANK=3\nPMI_SIZE=4\nSLURM_PROCID=3\nSLURM_STEP_NUM_TASKS=4\n"
                                "SLURM_LOCALID=1\nSLURM_STEP_NUM_NODES=2\n");
    ck_assert_str_eq(launch.launcher->name, "srun");
    ck_assert_int_eq(launch.rank, 3);
    ck_assert_int_eq(launch.local_rank, 1);
    /* Another's numbers say nothing of this one. */
    launch = launch_of("PMI_RANK=1\nPMI_SIZE=4\nSLURM_PROCID=0\nSLURM_STEP_NUM_TASKS=2\n"
                       "SLURM_LOCALID=0\n");
    ck_assert_str_eq(launch.launcher->name, "MPI");
    ck_assert_int_eq(launch.rank, 1);
    ck_assert_int_eq(launch.local_rank, 0);
}
END_TEST

START_TEST(test_alone)
{
    ck_assert_ptr_null(launch_of("").launcher);
    ck_assert_int_eq(launch_of("").size, 1);
    ck_assert_ptr_null(launch_of("RANK=0\nWORLD_SIZE=1\n").launcher);
    ck_assert_ptr_null(launch_of("RANK=2\n").launcher);
    ck_assert_ptr_null(launch_of("SLURM_PROCID=0\nSLURM_NTASKS=8\n").launcher);
    ck_assert_ptr_null(launch_of("PMI_RANK=undefined\nPMI_SIZE=4\n").launcher);
}
END_TEST

/* srun starts a torchrun on each node: its processes are those that count. */
START_TEST(test_inner_one_counts)
{
    PfLaunch launch = launch_of("SLURM_PROCID=1\nSLURM_STEP_NUM_TASKS=2\nRANK=5\nWORLD_SIZE=8\n");
    ck_assert_str_eq(launch.launcher->name, "torchrun");
    ck_assert_int_eq(launch.rank, 5);
    launch = launch_of("SLURM_PROCID=1\nSLURM_STEP_NUM_TASKS=2\nOMPI_COMM_WORLD_RANK=3\n"
                       "OMPI_COMM_WORLD_SIZE=8\n");
    ck_assert_str_eq(launch.launcher->name, "Open MPI");
}
END_TEST

START_TEST(test_nonsense)
{
    static char *const wrong[] = {"RANK=4\nWORLD_SIZE=4\n", "RANK=-1\nWORLD_SIZE=4\n",
                                  "RANK=x\nWORLD_SIZE=4\n", "RANK=0\nWORLD_SIZE=9999999\n",
                                  "RANK=0\nWORLD_SIZE=4\nLOCAL_RANK=4\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        PfEnvironment environment = environment_of(wrong[i]);
        PfLaunch launch;
        PfError err = {0};
        expect_usage(pf_launcher_find(&environment, &launch, &err), &err, "several processes");
    }
}
END_TEST

#define TWO_OF_SRUN "SLURM_PROCID=1\nSLURM_STEP_NUM_TASKS=2\nSLURM_JOB_ID=17\nSLURM_STEP_ID=0\n"

START_TEST(test_said)
{
    PfRendezvous place = meet("RANK=1\nWORLD_SIZE=2\nMASTER_ADDR=node7\nMASTER_PORT=4711\n");
    ck_assert_str_eq(place.address, "node7");
    ck_assert_int_eq(place.port, 4711);
    ck_assert(place.is_said);
    ck_assert_int_eq(meet("RANK=1\nWORLD_SIZE=2\nMASTER_ADDR=node7\n").port, 29500);
    /* torchrun listens at its port itself. */
#define OF_AN_AGENT "RANK=1\nWORLD_SIZE=2\nMASTER_ADDR=a\nTORCHELASTIC_USE_AGENT_STORE=True\n"
    ck_assert_int_eq(meet(OF_AN_AGENT).port, 29501);
    ck_assert_int_eq(meet(OF_AN_AGENT "MASTER_PORT=4711\n").port, 4712);
    ck_assert_int_eq(meet(OF_AN_AGENT "MASTER_PORT=65535\n").port, 65534);
    /* What is said stands above what would follow. */
    place = meet(TWO_OF_SRUN "SLURM_STEP_NUM_NODES=1\nMASTER_ADDR=node7\n");
    ck_assert_str_eq(place.address, "node7");
}
END_TEST

START_TEST(test_told_by_the_job)
{
    PfRendezvous place = meet(TWO_OF_SRUN "SLURM_STEP_NUM_NODES=1\n");
    ck_assert_str_eq(place.address, "127.0.0.1");
    ck_assert_int_ge(place.port, 20000);
    ck_assert_int_lt(place.port, 32000);
    ck_assert(!place.is_said);
    PfRendezvous same = meet(TWO_OF_SRUN "SLURM_STEP_NUM_NODES=1\nSLURM_LOCALID=1\n");
    ck_assert_int_eq(same.port, place.port);
    ck_assert_str_eq(same.job, place.job);
    PfRendezvous requeued = meet(TWO_OF_SRUN "SLURM_STEP_NUM_NODES=1\nSLURM_RESTART_COUNT=1\n");
    ck_assert_str_ne(requeued.job, place.job);
    place = meet(TWO_OF_SRUN "SLURM_STEP_NUM_NODES=2\nSLURM_STEP_NODELIST=n[003-004]\n");
    ck_assert_str_eq(place.address, "n003");
}
END_TEST

START_TEST(test_not_told)
{
    static char *const lines[] = {
        "RANK=1\nWORLD_SIZE=2\n", "RANK=1\nWORLD_SIZE=2\nLOCAL_WORLD_SIZE=2\n",
        "OMPI_COMM_WORLD_RANK=1\nOMPI_COMM_WORLD_SIZE=4\nOMPI_COMM_WORLD_LOCAL_SIZE=2\n"
        "PMIX_NAMESPACE=12.1\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        PfEnvironment environment = environment_of(lines[i]);
        PfLaunch launch = launch_of(lines[i]);
        PfRendezvous rendezvous;
        PfError err = {0};
        expect_usage(pf_rendezvous_find(&environment, &launch, &rendezvous, &err), &err,
                     "set MASTER_ADDR");
    }
    char *port = "RANK=1\nWORLD_SIZE=2\nMASTER_ADDR=a\nMASTER_PORT=99999\n";
    PfEnvironment environment = environment_of(port);
    PfLaunch launch = launch_of(port);
    PfRendezvous rendezvous;
    PfError err = {0};
    expect_usage(pf_rendezvous_find(&environment, &launch, &rendezvous, &err), &err, "MASTER_PORT");
}
END_TEST

START_TEST(test_first_host)
{
    static const char *const hosts[][2] = {{"n1", "n1"},
                                           {"n1,n2", "n1"},
                                           {"n[001-004,7],m3", "n001"},
                                           {"n[7]", "n7"},
                                           {"rack-a[2,5-9].example,n", "rack-a2.example"}};
    static const char *const wrong[] = {"", ",a", "n[", "n[]", "n[x]", "n[1]m[2]"};
    char host[32];
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        ck_assert_int_eq(pf_rendezvous_first_host(hosts[i][0], host, sizeof host), 0);
        ck_assert_str_eq(host, hosts[i][1]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(pf_rendezvous_first_host(wrong[i], host, sizeof host), -1);
    ck_assert_int_eq(pf_rendezvous_first_host("abcd[12]", host, 6), -1);
    ck_assert_int_eq(pf_rendezvous_first_host("abcd[12]", host, 7), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launcher");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_launchers);
    tcase_add_test(tests, test_host_by_the_outer_one);
    tcase_add_test(tests, test_alone);
    tcase_add_test(tests, test_inner_one_counts);
    tcase_add_test(tests, test_nonsense);
    tcase_add_test(tests, test_said);
    tcase_add_test(tests, test_told_by_the_job);
    tcase_add_test(tests, test_not_told);
    tcase_add_test(tests, test_first_host);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
