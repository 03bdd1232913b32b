/* The interface between the C programs and what runs a network.
 *
 * There is the engine, which is in the programs, and the plugin on libtorch: a shared object that
 * exports pf_backbone_plugin(), and is loaded when it has to run a network and not before. Tests
 * supply a table of their own. */
#ifndef PERMAFROST_BACKBONE_H
#define PERMAFROST_BACKBONE_H

#include "permafrost/arch.h"
#include "permafrost/error.h"
#include "permafrost/script.h"
#include "permafrost/suffix.h"
#include "permafrost/tensor.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever anything in this header, suffix.h, ranks.h or arch.h changes its layout. */
#define PF_BACKBONE_ABI 7

/* How many batches a device takes at most before the first is collected. */
#define PF_BACKBONE_DEPTH_MAX 4

/* fp32 on a GPU is fp32; tf32 there multiplies with 10 bits of mantissa. */
typedef enum PfPrecision { PF_FP32, PF_BF16, PF_FP16, PF_TF32, PF_PRECISIONS } PfPrecision;

typedef struct PfBackboneConfig {
    /* Either a graph with its tensors ... */
    const PfArch *arch;
    const PfNamedTensor *tensors; /* every pf_arch_parameters() entry by name; may hold more */
    size_t tensor_count;
    /* ... or the user's own TorchScript file. Its output is a tensor (tap
     * "output") or a dict of tensors (a tap per key). */
    PfScript torchscript; /* tensors, if any, take the place of its own of those names */

    const char *const *taps; /* tap_count names; TorchScript: NULL and 0 mean all it offers */
    int tap_count;
    int input_height, input_width;
    float mean[3], std[3]; /* normalisation: (pixel / 255 - mean) / std, RGB */
    PfPrecision precision; /* of the computation */
    int emulate;           /* bf16 in float32 arithmetic, rounded: on any processor */
    PfDtype output_dtype;  /* PF_DTYPE_F16 or PF_DTYPE_F32: what is written to outputs */
    const char *device;    /* "auto", "cpu", "cuda", "cuda:1"; for tests also "cpu:overlap" */
    int threads;           /* CPU threads of the forward pass; 0 = all cores */
    int batch;             /* images that run at once; 0 = as many as are fastest */
    int64_t images;        /* no more will come in all, and the tensors stay until it is closed: few
                              are worth less preparation; 0 = not known */
} PfBackboneConfig;

typedef struct PfBackbone PfBackbone; /* the plugin's own; opaque here */

/* One tap of an open backbone. */
typedef struct PfTapInfo {
    char name[PF_NODE_NAME_SIZE];
    PfShape shape; /* per image, batch axis left out, trailing 1x1 dropped: (512), (256,14,14) */
} PfTapInfo;

/* What is exported for other programs: backbone and head in one. */
typedef struct PfExportConfig {
    /* The network: as in PfBackboneConfig. */
    const PfArch *arch;
    const PfNamedTensor *tensors;
    size_t tensor_count;
    PfScript torchscript;
    const char *tap;  /* what the head takes, flattened row by row */
    const char *head; /* TorchScript source of `def head(self, x: Tensor) -> ...` on rows (n, d);
                         it may use the attributes below */
    const PfNamedTensor
        *head_tensors; /* float32; registered under self.<name>, dots make modules */
    size_t head_tensor_count;
    const char *const *classes; /* (class_count) becomes the attribute `classes: List[str]` */
    int class_count;            /* 0: none */
    const char *metadata;       /* JSON: the attribute `metadata: str` */
} PfExportConfig;

typedef struct PfBackbonePlugin {
    int abi; /* PF_BACKBONE_ABI of the plugin's build; checked before anything else is called */

    /* Loads, freezes and fuses the network. On success *out is the caller's, to
     * be given to close(). No C++ exception leaves the plugin. */
    int (*open)(const PfBackboneConfig *config, PfBackbone **out, PfError *err);

    /* The taps, in the order of submit()'s outputs; lent until close(). */
    int (*taps)(const PfBackbone *backbone, const PfTapInfo **taps);

    /* "C engine, avx2, 2 threads", "libtorch 1.13.0, cuda:0"; lent until close(). */
    const char *(*describe)(const PfBackbone *backbone);

    /* Images that run at once: config.batch, or what was chosen. Fewer from when the
     * device's memory did not suffice: more go through in slices. Not while anything is
     * under way. */
    int (*batch)(const PfBackbone *backbone);

    /* Batches that may be under way at a time: 1 where submit() itself computes, more where
     * copies and computing overlap; at most PF_BACKBONE_DEPTH_MAX. */
    int (*depth)(const PfBackbone *backbone);

    /* Memory that this device and its like copy from and to without a stop in between: page-locked
     * for a GPU. Given back by release(), before close(). NULL, both: any memory is as good. */
    void *(*allocate)(PfBackbone *backbone, size_t size_bytes, PfError *err);
    void (*release)(PfBackbone *backbone, void *memory);

    /* Begins a batch. pixels: (n, height, width, 3) uint8 RGB; n may be more than batch().
     * outputs[t]: room for (n, taps[t].shape) of config.output_dtype, row-major with
     * channels first, as in torch. Pixels and the outputs' memory, not the list of outputs, are
     * lent until its collect(). One caller at a time. */
    int (*submit)(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                  PfError *err);

    /* Waits until the outputs of the oldest batch under way are there. When this or submit()
     * fails, nothing is under way any more, and nothing else may be begun. */
    int (*collect)(PfBackbone *backbone, PfError *err);

    /* Frees it and sets *backbone to NULL. */
    void (*close)(PfBackbone **backbone);

    /* For fine-tuning; NULL: this plugin cannot. Static storage. */
    const PfSuffixPlugin *suffix;

    /* For several processes at once; NULL: this plugin cannot. Static storage. */
    const PfRanksPlugin *ranks;

    /* Writes the whole network as one TorchScript module: see PfExportConfig. NULL: cannot. */
    int (*export_torchscript)(const PfExportConfig *config, const char *path, PfError *err);
} PfBackbonePlugin;

/* The one symbol a plugin exports. Static storage. */
const PfBackbonePlugin *pf_backbone_plugin(void);
typedef const PfBackbonePlugin *(*PfBackbonePluginFunction)(void);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
