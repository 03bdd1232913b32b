#include "extract/backbone/name.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arch/spelling.h"
#include "common/base/log.h"
#include "common/base/printable.h"

static bool is_regular_file(const char *path)
{
    struct stat status;
    return !stat(path, &status) && !S_ISDIR(status.st_mode);
}

static void say_what_it_is(const char *spelling, const PfSpelling *found)
{
    if (!found->is_other && !found->entry) return;
    if (found->entry)
        pf_say("--backbone %s is %s with weights %s", spelling, found->network, found->entry->name);
    else
        pf_say("--backbone %s is %s", spelling, found->network);
}

/* A name that no network has may be a file's. */
static int fail_unknown(const char *name, const PfError *unknown, PfError *err)
{
    if (strchr(name, '/') || access(name, F_OK))
        return pf_fail(err, unknown->exit_code, "%" PF_SENTENCE, unknown->message);
    return pf_fail(err, PF_EXIT_USAGE,
                   "%" PF_SENTENCE
                   " Hint: there is a file '%s': --weights %s, if it holds weights of one of these "
                   "networks; --backbone ./%s, if it is TorchScript",
                   unknown->message, name, name, name);
}

int pf_backbone_name_read(PfBackboneOptions *options, PfBackboneKind *kind, PfError *err)
{
    const char *name = options->backbone;
    PfSpelling found;
    PfError unknown = {0};
    const bool is_script = pf_script_file_is_meant(name);
    *kind = pf_onnx_is_meant(name) ? PF_BACKBONE_ONNX : PF_BACKBONE_TORCHSCRIPT;
    if (*kind == PF_BACKBONE_ONNX) return 0;
    if (is_script && (!pf_spelling_is_of_hub(name) || is_regular_file(name))) return 0;
    if (pf_spelling_read(name, &found, &unknown)) {
        const size_t length = strlen(name);
        if (length > 3 && !strcmp(name + length - 3, ".pt")) return 0;
        return fail_unknown(name, &unknown, err);
    }
    say_what_it_is(name, &found);
    *kind = PF_BACKBONE_BUILTIN;
    options->backbone = found.network;
    options->entry = found.entry;
    return 0;
}
