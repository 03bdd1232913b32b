#include "common/backbone/executor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/backbone/loader.h"
#include "common/simd/processor.h"

/* By the files that drivers make, so that no library has to be loaded to know: those of NVIDIA's
 * cards, of its boards, of any GPU under Windows (WSL), and of AMD's. */
static bool has_gpu(void)
{
    static const char *const devices[] = {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu",
                                          "/dev/nvgpu",     "/dev/dxg",     "/dev/kfd"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (!access(devices[i], F_OK)) return true;
    return false;
}

static bool are_processors(const char *devices)
{
    static const char cpu[] = "cpu";
    const size_t length = sizeof cpu - 1;
    if (!strcmp(devices, "auto")) return !has_gpu();
    for (; !strncmp(devices, cpu, length); devices += length + 1) {
        if (!devices[length]) return true;
        if (devices[length] != ',') return false;
    }
    return false;
}

static bool asks_for_plugin(void)
{
    const char *engine = getenv("PF_ENGINE"), *plugin = getenv("PERMAFROST_PLUGIN");
    return (engine && !strcmp(engine, "libtorch")) || (plugin && *plugin);
}

/* bf16 by AMX is the plugin's, as the engine has no kernels for it. */
static bool takes_precision(const PfBackboneConfig *config)
{
    if (config->precision == PF_BF16) return config->emulate || !pf_processor_has_amx();
    return config->precision == PF_FP32 && !config->emulate;
}

bool pf_backbone_is_for_engine(const PfBackboneConfig *config, const char *devices)
{
    return config->arch && takes_precision(config) && are_processors(devices) && !asks_for_plugin();
}

int pf_backbone_open(const PfBackboneConfig *config, const char *devices,
                     const PfBackbonePlugin **plugin, PfBackbone **out, PfError *err)
{
    if (pf_backbone_is_for_engine(config, devices))
        *plugin = pf_engine_plugin();
    else if (pf_backbone_loader_load(plugin, err))
        return -1;
    return (*plugin)->open(config, out, err);
}

PfEngineMemory pf_backbone_memory(const PfBackbonePlugin *plugin, const PfBackbone *backbone)
{
    return plugin == pf_engine_plugin() ? pf_engine_memory(backbone) : (PfEngineMemory){0};
}
