#include "common/ranks/rendezvous.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/options.h"
#include "common/base/printable.h"

#define LOOPBACK "127.0.0.1"
/* torch's own. */
#define DEFAULT_PORT 29500
/* Below the ports that systems give to whoever asks for any. */
#define FIRST_PORT 20000
#define PORT_COUNT 12000

/* What launchers call a job; of Slurm with the step, and how often the job was requeued. */
static const char *const job_variables[] = {
    "SLURM_JOB_ID", "SLURM_STEP_ID",         "SLURM_RESTART_COUNT",    "PMIX_NAMESPACE",
    "PMI_JOBID",    "OMPI_MCA_orte_hnp_uri", "OMPI_MCA_ess_base_jobid"};

/* torchrun starts processes anew, and counts. It listens at MASTER_PORT itself, in the language of
 * its own version of torch, which libtorch 1.13 cannot speak with today's: ranks meet next to it.
 */
#define RESTARTS "TORCHELASTIC_RESTART_COUNT"
#define AGENT_STORE "TORCHELASTIC_USE_AGENT_STORE"
#define LAST_PORT 65535

/* Whether anything names the job; text: all of it. */
static bool find_job(const PfEnvironment *environment, char *text, size_t size)
{
    bool found = false;
    size_t used = 0;
    *text = '\0';
    for (size_t i = 0; i < sizeof job_variables / sizeof *job_variables; i++) {
        const char *value = pf_launcher_variable(environment, job_variables[i]);
        if (!value) continue;
        found = true;
        int more = snprintf(text + used, size - used, "%s=%s;", job_variables[i], value);
        if (more < 0 || (size_t)more >= size - used) break;
        used += (size_t)more;
    }
    return found;
}

int pf_rendezvous_first_host(const char *list, char *host, size_t size)
{
    size_t length = strcspn(list, ",[");
    const char *bracket = list[length] == '[' ? list + length + 1 : NULL;
    size_t number = bracket ? strspn(bracket, "0123456789") : 0;
    const char *close = bracket ? strchr(bracket, ']') : NULL;
    if (!length || (bracket && (!number || !close))) return -1;
    const char *rest = close ? close + 1 : "";
    size_t rest_length = strcspn(rest, ",");
    if (memchr(rest, '[', rest_length) || length + number + rest_length >= size) return -1;
    memcpy(host, list, length);
    if (number) memcpy(host + length, bracket, number);
    memcpy(host + length + number, rest, rest_length);
    host[length + number + rest_length] = '\0';
    return 0;
}

static int take_said(const PfEnvironment *environment, const char *address, PfRendezvous *out,
                     PfError *err)
{
    long long port = DEFAULT_PORT;
    const char *said = pf_launcher_variable(environment, "MASTER_PORT");
    const char *restarts = pf_launcher_variable(environment, RESTARTS);
    const char *store = pf_launcher_variable(environment, AGENT_STORE);
    if (said && pf_options_parse_long("MASTER_PORT", said, 1, LAST_PORT, &port, err)) return -1;
    if (store && !strcmp(store, "True")) port += port < LAST_PORT ? 1 : -1;
    if (strlen(address) >= sizeof out->address)
        return pf_fail(err, PF_EXIT_USAGE, "MASTER_ADDR is too long for the name of a host");
    snprintf(out->address, sizeof out->address, "%s", address);
    out->port = (int)port;
    out->is_said = true;
    snprintf(out->job, sizeof out->job, "%.20s", restarts ? restarts : "0");
    return 0;
}

static int fail_unknown(const PfLaunch *launch, PfError *err)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "rank %d of %d (%s): where do the ranks meet? Hint: set MASTER_ADDR to the host "
                   "of rank 0 and MASTER_PORT to a port that is free there%s",
                   launch->rank, launch->size, launch->launcher->name,
                   strcmp(launch->launcher->name, "Open MPI")
                       ? ""
                       : ", as 'mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500' does");
}

int pf_rendezvous_find(const PfEnvironment *environment, const PfLaunch *launch, PfRendezvous *out,
                       PfError *err)
{
    char job[1024];
    const char *address = pf_launcher_variable(environment, "MASTER_ADDR");
    const char *nodes = pf_launcher_variable(environment, "SLURM_STEP_NODELIST");
    *out = (PfRendezvous){0};
    if (address) return take_said(environment, address, out, err);
    if (!find_job(environment, job, sizeof job)) return fail_unknown(launch, err);
    if (launch->one_host)
        snprintf(out->address, sizeof out->address, LOOPBACK);
    else if (strcmp(launch->launcher->name, "srun") || !nodes ||
             pf_rendezvous_first_host(nodes, out->address, sizeof out->address))
        return fail_unknown(launch, err);
    uint64_t hash = pf_digest_xxh64_text(job);
    out->port = FIRST_PORT + (int)(hash % PORT_COUNT);
    snprintf(out->job, sizeof out->job, "%016llx", (unsigned long long)hash);
    return 0;
}
