// PfBackbonePlugin on libtorch, as C programs call it. No exception gets past this file.
#include "permafrost/backbone.h"

#include "common/torch/backbone.h"
#include "common/torch/export.h"
#include "common/torch/failure.h"
#include "common/torch/ranks.h"
#include "common/torch/suffix_plugin.h"

static int open(const PfBackboneConfig *config, PfBackbone **out, PfError *err)
{
    try {
        *out = new PfBackbone(*config);
        return 0;
    } catch (...) {
        return permafrost::fail_with_current_exception(err);
    }
}

static int taps(const PfBackbone *backbone, const PfTapInfo **taps)
{
    *taps = backbone->taps().data();
    return static_cast<int>(backbone->taps().size());
}

static const char *describe(const PfBackbone *backbone)
{
    return backbone->description().c_str();
}

static int batch(const PfBackbone *backbone)
{
    return backbone->batch();
}

static int depth(const PfBackbone *backbone)
{
    return backbone->depth();
}

static void *allocate(PfBackbone *backbone, size_t size_bytes, PfError *err)
{
    try {
        return backbone->allocate(size_bytes);
    } catch (...) {
        permafrost::fail_with_current_exception(err);
        return nullptr;
    }
}

static void release(PfBackbone *backbone, void *memory)
{
    backbone->release(memory);
}

static int submit(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                  PfError *err)
{
    try {
        backbone->submit(pixels, n, outputs);
        return 0;
    } catch (...) {
        return permafrost::fail_with_current_exception(err);
    }
}

static int collect(PfBackbone *backbone, PfError *err)
{
    try {
        backbone->collect();
        return 0;
    } catch (...) {
        return permafrost::fail_with_current_exception(err);
    }
}

static void close(PfBackbone **backbone)
{
    delete *backbone;
    *backbone = nullptr;
}

static int export_torchscript(const PfExportConfig *config, const char *path, PfError *err)
{
    try {
        permafrost::export_torchscript(*config, path);
        return 0;
    } catch (...) {
        return permafrost::fail_with_current_exception(err);
    }
}

static const PfBackbonePlugin plugin = {PF_BACKBONE_ABI,
                                        open,
                                        taps,
                                        describe,
                                        batch,
                                        depth,
                                        allocate,
                                        release,
                                        submit,
                                        collect,
                                        close,
                                        &pf_torch_suffix_plugin,
                                        pf_torch_ranks_plugin,
                                        export_torchscript};

extern "C" __attribute__((visibility("default"))) const PfBackbonePlugin *pf_backbone_plugin(void)
{
    permafrost::end_runs_without_memory();
    return &plugin;
}
