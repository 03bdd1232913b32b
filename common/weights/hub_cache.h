/* Repositories of the Hugging Face hub, as its own libraries lay them out on this machine: in
 * $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub,
 *
 *     models--ORG--NAME/refs/main                        40 hex digits: the commit
 *     models--ORG--NAME/snapshots/COMMIT/model.safetensors   a link to
 *     models--ORG--NAME/blobs/SHA256                     the file
 *
 * What is read there decides no path: names and commits are checked first. */
#ifndef PF_COMMON_WEIGHTS_HUB_CACHE_H
#define PF_COMMON_WEIGHTS_HUB_CACHE_H

#include <stdbool.h>

#include "permafrost/arch.h"
#include "permafrost/error.h"

#define PF_HUB_ID_SIZE 200
#define PF_HUB_COMMIT_SIZE 41

/* "hf:timm/resnet18.a1_in1k@main" */
typedef struct PfHubRepository {
    char id[PF_HUB_ID_SIZE];       /* "timm/resnet18.a1_in1k" */
    char revision[PF_HUB_ID_SIZE]; /* a branch, a tag or a commit; "main" where none was given */
} PfHubRepository;

/* Whether the text is a name of that kind: begins with "hf:". */
bool pf_hub_is_named(const char *name);
/* Takes it apart. PF_EXIT_USAGE for what is no such name; no part of it leads out of a folder. */
int pf_hub_repository_read(const char *name, PfHubRepository *out, PfError *err);

/* Where the hub's libraries keep their files, $HF_HOME or ~/.cache/huggingface, and where the
 * repositories lie. malloc'ed; NULL with a failure where no variable says it. */
char *pf_hub_home(PfError *err);
char *pf_hub_cache(PfError *err);
/* The repository's folder there, whether it is there or not; malloc'ed. */
char *pf_hub_folder(const PfHubRepository *repository, PfError *err);

/* Whether a text is a commit's name: 40 hex digits. */
bool pf_hub_is_commit(const char *text);
/* Whether a file's name from outside can be used below a folder: parts of letters, digits and
 * "._-+", none of them beginning with a point, with single slashes between. */
bool pf_hub_is_inner_path(const char *name);

/* *out: the folder of the revision's files, malloc'ed; NULL where the cache does not hold it. Fails
 * where refs/ holds something else than a commit. */
int pf_hub_find_snapshot(const PfHubRepository *repository, char **out, PfError *err);

/* Of the revision that a name means; malloc'ed. NULL with a failure that has the command that
 * fetches it. */
char *pf_hub_snapshot(const char *name, PfError *err);

/* The text of a file of the cache, malloc'ed: an index of shards. NULL with a failure. */
char *pf_hub_read_text(const char *path, PfError *err);

/* Names under which repositories hold a network, best first; NULL ends them. Networks of ONNX,
 * which end in ".onnx", are the last ones. Static. */
const char *const *pf_hub_file_names(void);
bool pf_hub_is_onnx(const char *file);

/* The network's file in the cache: of weights, an index or ONNX; malloc'ed. NULL with a failure
 * that has the command that fetches it. */
char *pf_hub_find_file(const char *name, PfError *err);

/* *network: the built-in one, static, that the repository's weights are of: by the tables of
 * spelling.h, by "architecture" in its config.json, or else by its own name. */
int pf_hub_find_network(const char *name, const char **network, PfError *err);

/* The published set that the repository's main revision holds, by those tables; NULL: none. */
const PfWeightsEntry *pf_hub_find_entry(const char *name, const PfArch *arch);

#endif
