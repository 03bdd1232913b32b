/* Weight files, memory-mapped and read in C; nothing in them is executed.
 *
 * .safetensors, and torch .pth in its zip and legacy forms (opcodes.c and
 * globals.c are the allow-list). "module" (DataParallel) and "_orig_mod"
 * (torch.compile) in names and a `state_dict` wrapper are seen through. The
 * format is told by the file's content, not its name. docs/weights.md. */
#ifndef PF_COMMON_WEIGHTS_WEIGHTS_H
#define PF_COMMON_WEIGHTS_WEIGHTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/digest.h"
#include "common/file/file_stamp.h"
#include "permafrost/arch.h"
#include "permafrost/error.h"
#include "permafrost/tensor.h"

typedef struct PfWeights PfWeights;

/* Maps and indexes the file. Every offset is checked here. */
int pf_weights_open(const char *path, PfWeights **out, PfError *err);

/* The same with one entry of it: a dict of a torch file by its key ("model_ema", "ema.module"), or
 * the tensors whose names begin with "<entry>.", without that. NULL: an averaged copy, else the
 * state_dict or the only dict there is. */
int pf_weights_open_entry(const char *path, const char *entry, PfWeights **out, PfError *err);

/* Weights of these tensors, which are copied. source: in the place of the path, for messages. */
int pf_weights_copy(const char *source, const PfNamedTensor *tensors, size_t count, PfWeights **out,
                    PfError *err);

/* Seeded random weights for an architecture (tests, benchmarks), with the
 * distributions of torchvision's constructors (ResNet: He normal fan-out, VGG:
 * He normal fan-out and N(0, 0.01) linears; batch norm 1, 0, 0, 1) so that
 * activations keep a sane scale. The same numbers on every machine. */
int pf_weights_random(const PfArch *arch, uint64_t seed, PfWeights **out, PfError *err);

/* Where --weights was not given: looks for each of arch->weights in
 * $TORCH_HOME, $XDG_CACHE_HOME/torch, ~/.cache/torch under hub/checkpoints and
 * checks the file's SHA-256 against the prefix in its name, then in the cache of the
 * Hugging Face hub (hub_cache.h). *entry is static. Not found: an error that says where it looked,
 * the file's name and public address, and the command to run next. */
int pf_weights_find(const PfArch *arch, const PfFileStampSha256 *known, PfWeights **out,
                    const PfWeightsEntry **entry, PfError *err);

/* `spec` as --weights takes it: FILE, FILE#KEY (an entry, where no file has the whole as its name),
 * hf:ORG/NAME[@REVISION], random:SEED, or NULL for pf_weights_find. *entry is the published set
 * that the file is (by SHA-256 prefix), or NULL. known (may be NULL) saves hashing a file that
 * still has its stamp; where its digest is the file's own, no averaged copy is preferred: programs
 * before used the other. Says which entry and prefix were chosen. */
int pf_weights_load(const PfArch *arch, const char *spec, const PfFileStampSha256 *known,
                    PfWeights **out, const PfWeightsEntry **entry, PfError *err);

/* The weights that a model or a cache was made with, as it notes them; texts are lent. */
typedef struct PfNotedWeights {
    const char *by;     /* who notes them, for the message: "model 'm.safetensors'" */
    const char *source; /* where they were; NULL: not noted */
    const char *sha256; /* NULL: not noted */
    bool no_others;     /* published weights of another SHA-256 are passed over */
} PfNotedWeights;

/* As pf_weights_load without a spec, for weights that are not to be had from where they are noted
 * (may be NULL, which is pf_weights_load). Not found: an error that says where they were and what
 * their SHA-256 is. */
int pf_weights_find_noted(const PfArch *arch, const PfNotedWeights *noted,
                          const PfFileStampSha256 *known, PfWeights **out,
                          const PfWeightsEntry **entry, PfError *err);

/* The published set whose file has that SHA-256, which may be NULL; static, or NULL. */
const PfWeightsEntry *pf_weights_published(const PfArch *arch, const char *sha256);

/* The file that pf_weights_find would open, malloc'ed; NULL where there is none. */
char *pf_weights_published_path(const PfArch *arch);
/* The folder of torch.hub's cache that a new file goes into; malloc'ed. */
char *pf_weights_published_folder(PfError *err);
/* The hex digits that the entry's SHA-256 begins with, as far as its file's name has them, which
 * ".pth" follows; NULL where it has none. */
const char *pf_weights_published_digits(const PfWeightsEntry *entry);

void pf_weights_close(PfWeights **weights);

/* All lent until pf_weights_close. Tensors in file order, names after stripping. */
const PfNamedTensor *pf_weights_tensors(const PfWeights *weights, size_t *count);
const PfTensorView *pf_weights_find_tensor(const PfWeights *weights, const char *name);
const char *pf_weights_source(const PfWeights *weights); /* path, or "random:0" */
/* The entry of the file that they are, where that is another than programs chose before there were
 * entries; else NULL. */
const char *pf_weights_entry(const PfWeights *weights);
/* The source as caches and models note it: FILE or FILE#KEY, as --weights takes it, with an
 * absolute path whose folders are no links; malloc'ed. */
char *pf_weights_noted_source(const PfWeights *weights, PfError *err);
/* The source as a cache or a model notes it, FILE or FILE#KEY, or a TorchScript file's path, if it
 * can still be had; else NULL, as for NULL. */
const char *pf_weights_still_there(const char *noted);
/* SHA-256 of the file's bytes, computed on first use; of "<that>#<entry>" where there is an entry;
 * of "random:<seed>:<arch>" for random weights. */
const char *pf_weights_sha256(PfWeights *weights);
/* Of the file when it was opened; mtime_ns 0 where that is not to be relied on, and for random
 * weights. */
const PfFileStamp *pf_weights_stamp(const PfWeights *weights);
/* "safetensors", "pth", "pth (legacy)", "random". */
const char *pf_weights_format(const PfWeights *weights);
/* The __metadata__ value of a safetensors file, or NULL. */
const char *pf_weights_metadata(const PfWeights *weights, const char *key);

/* Which of it was given by options of the command line, whatever files say. */
typedef struct PfGivenPixels {
    bool size, interpolation; /* --crop and its kind; --interpolation */
    bool scale;               /* both --mean and --std */
} PfGivenPixels;

/* Names of `count` classes, an array of texts that the caller deletes, out of "id2label" in the
 * config.json beside the weights; one that comes again has its number behind it. *path, to be
 * freed: the file. Both are NULL where it does not name them all. */
int pf_weights_class_names(const PfWeights *weights, int64_t count, cJSON **names, char **path,
                           PfError *err);

/* Makes of *preprocess what preprocessor_config.json (of Hugging Face), config.json (of timm) or
 * open_clip_config.json beside the weights says; what that does not say stays. *path, to be freed:
 * the file; NULL where there is none. Fails where it asks for what is not done here (lanczos, a
 * border, sizes that are not square), unless that was given otherwise. */
int pf_weights_follow_preprocess(const PfWeights *weights, const PfGivenPixels *given,
                                 PfPreprocess *preprocess, char **path, PfError *err);

/* Warns where such a file beside the weights prepares images otherwise, with the options of extract
 * that follow it. */
void pf_weights_compare_preprocess(const PfWeights *weights, const PfPreprocess *ours);

/* The same of a folder, whose network is no weight file of ours. */
int pf_weights_follow_folder(const char *folder, const PfGivenPixels *given,
                             PfPreprocess *preprocess, char **path, PfError *err);

/* Refuses a file with a number that is NaN or infinite, by the tensor's name. what: "model", for
 * the message. Networks' published weights are not looked at: whatever they hold, they compute. */
int pf_weights_check_finite(const PfWeights *weights, const char *what, PfError *err);
/* Index of the first number of a tensor that is not finite; their count where all are, as integers
 * always are. */
size_t pf_weights_find_not_finite(const PfTensorView *view);

/* Whether the file holds what the nodes up to `last` need: missing and
 * mis-shaped tensors are named with expected and found, and where the file looks
 * like another known architecture's the message says whose. Tensors that
 * nothing needs are no error, unless another known architecture fits and needs
 * them: all of resnet18's are in resnet34's file. */
int pf_weights_check(const PfWeights *weights, const PfArch *arch, int last, PfError *err);
/* Says how many tensors are those of heads that torchvision's network has for training alone, and
 * ours has not. */
void pf_weights_report_auxiliary(const PfWeights *weights, const PfArch *arch);

#endif
