#include "common/backbone/executor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/backbone/loader.h"
#include "common/engine/engine.h"

/* Without a library of theirs: NVIDIA's, also on boards and under Windows, and AMD's. */
static bool has_gpu(void)
{
    static const char *const devices[] = {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu",
                                          "/dev/nvgpu",     "/dev/dxg",     "/dev/kfd"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (!access(devices[i], F_OK)) return true;
    return false;
}

static bool is_processor(const char *device)
{
    if (!device || !strcmp(device, "auto")) return !has_gpu();
    return !strcmp(device, "cpu");
}

static bool asks_for_plugin(void)
{
    const char *engine = getenv("PF_ENGINE"), *plugin = getenv("PERMAFROST_PLUGIN");
    return (engine && !strcmp(engine, "libtorch")) || (plugin && *plugin);
}

static bool suits_engine(const PfBackboneConfig *config)
{
    return config->arch && config->precision == PF_FP32 && !config->emulate &&
           is_processor(config->device) && !asks_for_plugin();
}

int pf_backbone_open(const PfBackboneConfig *config, const PfBackbonePlugin **plugin,
                     PfBackbone **out, PfError *err)
{
    if (suits_engine(config))
        *plugin = pf_engine_plugin();
    else if (pf_backbone_loader_load(plugin, err))
        return -1;
    return (*plugin)->open(config, out, err);
}
