/* Which network is to run, from which weights, on pixels prepared how: resolved
 * and checked before anything is loaded or computed. */
#ifndef PF_EXTRACT_BACKBONE_PLAN_H
#define PF_EXTRACT_BACKBONE_PLAN_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "common/backbone/script_file.h"
#include "common/cache/views.h"
#include "common/file/file_stamp.h"
#include "common/model/preprocess_json.h"
#include "common/onnx/network.h"
#include "common/weights/weights.h"
#include "permafrost/backbone.h"
#include "permafrost/feature_cache.h"

/* As given on the command line, or by a model file. Start from
 * pf_backbone_options_default(). */
typedef struct PfBackboneOptions {
    const char *backbone; /* a built-in name: never a path, wherever it comes from */
    PfScriptFile *script; /* the user's own network in its place, or NULL; the plan takes it over */
    PfOnnx *onnx;         /* the same, from an ONNX file */
    const PfWeightsEntry *entry; /* the published set that is meant; NULL: any of the network's */
    const char *weights; /* FILE, hf:ORG/NAME or random:SEED; NULL = look in torch's hub cache, but
                            not for pixels alone, which need none */
    const char *hub_folder; /* of the ONNX file in the hub's cache, whose preprocessing is followed;
                                or NULL */
    const char *taps;       /* comma-separated; NULL = the network's default (TorchScript: all) */
    int resize, crop;       /* -1 = as the weights ask */
    int image_size; /* crop, and resize in the same proportion as the weights'; 0: not given */
    int squash;
    int interpolation; /* a PfInterpolation, or -1 */
    float mean[3], std[3];
    bool has_mean, has_std;
    int fast_decode;
    int keep_truncated;
    int has_background;
    uint8_t background[3]; /* RGB, which transparency is laid over */
    int exif;              /* 0: ignored, 1: applied; -1: as new caches have it, applied */
    int resize_order;      /* a PfResizeOrder; -1: as new caches have it, the newest */
    int views;             /* of each image: see view.h */
    int64_t view_seed;
    PfPrecision precision;
    int emulate;                    /* bf16, on a processor that does not have it */
    PfDtype store;                  /* PF_DTYPE_F16 or PF_DTYPE_F32 */
    const char *device;             /* see device_list.h */
    const PfFileStampSha256 *known; /* of the weights, or NULL: see weights.h */
    const PfNotedWeights *noted;    /* those that are meant where `weights` is NULL; may be NULL */
    bool follows_files;             /* JSON beside weights that no table knows says how images are
                                       prepared */
    const PfPreprocess *begun;      /* by what it was made that goes on now; NULL: nothing does */
    bool has_features;              /* the cache that they go into has other taps than pixels */
} PfBackboneOptions;

PfBackboneOptions pf_backbone_options_default(void);

typedef struct PfBackbonePlan {
    char *name;             /* "resnet18"; of a file of the user's its file name */
    PfScriptFile *script;   /* NULL for others than TorchScript files */
    PfOnnx *onnx;           /* NULL for others than ONNX files */
    PfArch *arch;           /* NULL for TorchScript; lent by onnx where that is there */
    double weights_seconds; /* that finding, mapping and hashing them has taken */
    PfWeights *weights;     /* NULL for the user's files, and where there are pixels alone */
    PfNamedTensor *tensors; /* that run: those of weights or onnx, lent; of TorchScript those that
                               take the place of the file's own: none. The array is owned */
    size_t tensor_count;
    char sha256[PF_SHA256_TEXT_SIZE]; /* of the weights, or of the user's file; of pixels
                                         alone the noted one, else "" */
    PfFileStamp stamp;                /* of that file; mtime_ns 0 where it tells nothing */
    PfPreprocess preprocess;
    int views; /* of each image, at least 1 */
    int64_t view_seed;
    char **taps; /* tap_count; none yet for a TorchScript file without --tap */
    int tap_count;
    PfPrecision precision;
    bool emulate; /* bf16, on a processor that does not have it */
    PfDtype store;
    const char *device; /* or several: see device_list.h; lent from the options */
} PfBackbonePlan;

/* Resolves names, finds and checks the weights, infers shapes. Nothing is run. The options' script
 * and onnx are the plan's from then on, and freed with it, or when this fails. */
int pf_backbone_plan_new(const PfBackboneOptions *options, PfBackbonePlan **out, PfError *err);
void pf_backbone_plan_free(PfBackbonePlan **plan);

/* Where a network runs. */
typedef struct PfBackbonePlace {
    const char *device; /* one: "auto", "cpu", "cuda:1" */
    int threads, batch; /* as in PfBackboneConfig */
    int64_t images;     /* likewise */
} PfBackbonePlace;

/* Opens the network for these taps, which need not be the plan's, by whoever runs it on the plan's
 * devices. */
int pf_backbone_plan_open(const PfBackbonePlan *plan, const char *const *taps, int tap_count,
                          const PfBackbonePlace *place, const PfBackbonePlugin **plugin,
                          PfBackbone **backbone, PfError *err);

/* The file that the network or its weights come from, or "random:0"; NULL: pixels alone. Lent. */
const char *pf_backbone_plan_source(const PfBackbonePlan *plan);

/* Which member of an identity's "backbone" the sha256 is: "weights_sha256", "torchscript_sha256" or
 * "onnx_sha256"; static. */
const char *pf_backbone_plan_sha256_key(const PfBackbonePlan *plan);

/* Whether it is a built-in network without weights, which gives pixels alone. */
bool pf_backbone_plan_lacks_weights(const PfBackbonePlan *plan);

/* {"backbone": {"name", "weights_sha256"}, {"torchscript_sha256"} or {"onnx_sha256"}, "preprocess",
 * "views", of several "view_seed" and "view_recipe", "precision", "store"}: all that decides the
 * numbers of a tap. For pf_json_finish, between which and pf_json_begin it is called. */
cJSON *pf_backbone_plan_identity(const PfBackbonePlan *plan);

/* "resize 256, centre crop 224, bilinear": into text, which is returned. */
const char *pf_preprocess_text(const PfPreprocess *preprocess, char *text, size_t size);

const char *pf_precision_name(PfPrecision precision); /* "fp32", "bf16", "fp16", "tf32" */
int pf_precision_named(const char *name, PfPrecision *precision); /* -1: there is none */

#endif
