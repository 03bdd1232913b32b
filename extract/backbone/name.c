#include "extract/backbone/name.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arch/spelling.h"
#include "common/base/log.h"
#include "common/base/printable.h"
#include "common/weights/hub_cache.h"

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

/* hf:ORG/NAME; a network that is known by that name needs no repository yet. */
static int read_repository(PfBackboneOptions *options, PfBackboneName *out, PfError *err)
{
    const char *name = options->backbone, *network;
    PfSpelling known;
    PfError missing = {0};
    char *file = pf_hub_find_file(name, &missing);
    if (!file && pf_spelling_read(name, &known, NULL))
        return pf_fail(err, missing.exit_code, "%" PF_SENTENCE, missing.message);
    if (file && pf_hub_is_onnx(file)) {
        pf_say("%s: the network is '%s'", name, file);
        out->kind = PF_BACKBONE_ONNX;
        options->backbone = out->path = file;
        options->hub_folder = out->folder = pf_hub_snapshot(name, err);
        return out->folder ? 0 : -1;
    }
    free(file);
    if (pf_hub_find_network(name, &network, err)) return -1;
    pf_say("%s: the network is '%s'", name, network);
    options->backbone = network;
    if (!options->weights) options->weights = name;
    return 0;
}

bool pf_backbone_name_is_known(const char *backbone)
{
    PfSpelling found;
    return pf_hub_is_named(backbone) || !pf_spelling_read(backbone, &found, NULL);
}

bool pf_backbone_name_is_path(const char *backbone)
{
    if (pf_hub_is_named(backbone)) return false;
    if (pf_onnx_is_meant(backbone)) return true;
    return pf_script_file_is_meant(backbone) &&
           (!pf_spelling_is_of_hub(backbone) || is_regular_file(backbone));
}

/* A name that no network has, but that ends as a TorchScript file's, is left to say that it is not
 * there. */
static int read_spelling(PfBackboneOptions *options, PfBackboneName *out, PfError *err)
{
    const char *name = options->backbone;
    PfSpelling found;
    PfError unknown = {0};
    if (pf_spelling_read(name, &found, &unknown)) {
        const size_t length = strlen(name);
        if (length <= 3 || strcmp(name + length - 3, ".pt") != 0)
            return fail_unknown(name, &unknown, err);
        out->kind = PF_BACKBONE_TORCHSCRIPT;
        return 0;
    }
    say_what_it_is(name, &found);
    options->backbone = found.network;
    options->entry = found.entry;
    return 0;
}

int pf_backbone_name_read(PfBackboneOptions *options, PfBackboneName *out, PfError *err)
{
    const char *name = options->backbone;
    *out = (PfBackboneName){.kind = PF_BACKBONE_BUILTIN};
    if (pf_backbone_name_is_path(name)) {
        out->kind = pf_onnx_is_meant(name) ? PF_BACKBONE_ONNX : PF_BACKBONE_TORCHSCRIPT;
        return 0;
    }
    if (!pf_hub_is_named(name)) return read_spelling(options, out, err);
    if (!read_repository(options, out, err)) return 0;
    pf_backbone_name_free(out);
    return -1;
}

void pf_backbone_name_free(PfBackboneName *name)
{
    free(name->path);
    free(name->folder);
    *name = (PfBackboneName){0};
}
