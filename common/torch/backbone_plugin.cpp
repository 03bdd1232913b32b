// The C door: PfBackbonePlugin on libtorch. No exception gets past this file.
#include "permafrost/backbone.h"

#include "backbone.h"
#include "export.h"
#include "failure.h"
#include "suffix_plugin.h"

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

static int forward(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                   PfError *err)
{
    try {
        backbone->forward(pixels, n, outputs);
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

static const PfBackbonePlugin plugin = {
    PF_BACKBONE_ABI,   open, taps, describe, forward, close, &pf_torch_suffix_plugin,
    export_torchscript};

extern "C" __attribute__((visibility("default"))) const PfBackbonePlugin *pf_backbone_plugin(void)
{
    return &plugin;
}
