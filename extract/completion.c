#include "extract/completion.h"

#include <string.h>
#include <sys/stat.h>

#include "common/file/csv.h"
#include "permafrost/arch.h"

/* A manifest is read whole for its first line; of larger ones a shell would notice it. */
#define MANIFEST_BYTES_MAX (64 << 20)

static void offer_networks(const PfCompletion *completion)
{
    for (const char *const *name = pf_arch_names(); *name; name++)
        pf_completion_offer(completion, *name, NULL);
}

/* The nodes of a built-in network, and the modules that stand for their last one. */
static void offer_taps(const PfCompletion *completion)
{
    const char *backbone = pf_completion_value(completion, "backbone");
    PfArch *arch;
    pf_completion_offer(completion, "input", "the pixels");
    if (pf_arch_new(backbone ? backbone : "resnet18", &arch, NULL)) return;
    const char *last = "";
    size_t last_length = 0;
    for (int i = 1; i < arch->node_count; i++) {
        const char *name = arch->nodes[i].name;
        size_t length = strcspn(name, ".");
        if (name[length] && (length != last_length || strncmp(name, last, length))) {
            char module[PF_NODE_NAME_SIZE] = "";
            memcpy(module, name, length);
            pf_completion_offer(completion, module, NULL);
        }
        last = name;
        last_length = length;
        pf_completion_offer(completion, name,
                            strcmp(name, arch->default_tap) ? NULL : "the default");
    }
    pf_arch_free(&arch);
}

static void offer_columns(const PfCompletion *completion)
{
    const char *dataset = pf_completion_operand(completion, 0);
    const PfCsvOptions options = {.encoding = pf_completion_value(completion, "encoding")};
    struct stat status;
    PfCsvReader *reader;
    const char *const *fields;
    int count;
    if (!dataset || pf_completion_has(completion, "no-header") || stat(dataset, &status) ||
        !S_ISREG(status.st_mode) || status.st_size > MANIFEST_BYTES_MAX ||
        pf_csv_open(dataset, &options, &reader, NULL))
        return;
    if (pf_csv_next(reader, &fields, &count, NULL) == 1)
        for (int i = 0; i < count; i++) pf_completion_offer(completion, fields[i], NULL);
    pf_csv_close(&reader);
}

void pf_extract_completion_offer(const PfCompletion *completion)
{
    static const char *const columns[] = {"target", "path-column", "split-column", "group"};
    const char *option = completion->option;
    if (!option) {
        if (pf_completion_has(completion, "backbones") || pf_completion_has(completion, "fetch"))
            offer_networks(completion);
        return;
    }
    if (!strcmp(option, "backbone")) offer_networks(completion);
    if (!strcmp(option, "tap")) offer_taps(completion);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (!strcmp(option, columns[i])) offer_columns(completion);
}
