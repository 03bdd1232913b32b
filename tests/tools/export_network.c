/* Writes a network with a linear head as TorchScript, for tests:
 *
 *   export_network BACKBONE WEIGHTS TAP HEAD FILE
 *
 * BACKBONE is an architecture's name, with its weight file, or a TorchScript file, with "".
 * HEAD holds float32 (3, d + 1), the weights of three classes and behind each its bias. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/loader.h"
#include "common/backbone/script_file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/weights/weights.h"

#define CLASSES 3

static const char head_source[] =
    "def head(self, x: Tensor) -> Tensor:\n"
    "    return torch.softmax(torch.linear(x, getattr(self.heads, \"0\").weight, self.bias), 1)\n";

typedef struct Export {
    PfArch *arch;
    PfWeights *weights;
    PfScriptFile *script;
    float *numbers, *weight, bias[CLASSES];
    int64_t d;
} Export;

static int read_head(Export *export, const char *path, PfError *err)
{
    FILE *file = fopen(path, "rb");
    if (!file) return pf_fail_errno(err, "%s", path);
    fseek(file, 0, SEEK_END);
    size_t count = (size_t)ftell(file) / sizeof(float);
    rewind(file);
    export->d = (int64_t)(count / CLASSES) - 1;
    export->numbers = pf_calloc(count, sizeof(float), err);
    export->weight = pf_calloc(count, sizeof(float), err);
    int failed = !export->numbers || !export->weight ||
                 fread(export->numbers, sizeof(float), count, file) != count;
    fclose(file);
    if (failed) return pf_fail(err, PF_EXIT_FAILED, "%s: cannot read", path);
    size_t d = (size_t) export->d;
    for (size_t c = 0; c < CLASSES; c++) {
        memcpy(export->weight + c * d, export->numbers + c * (d + 1), d * sizeof(float));
        export->bias[c] = export->numbers[c * (d + 1) + d];
    }
    return 0;
}

static int export_network(Export *export, char **arguments, PfError *err)
{
    static const char *const classes[CLASSES] = {"ant", "bee \"of\" the\nhive", "wasp"};
    const PfWeightsEntry *entry;
    const PfBackbonePlugin *plugin;
    if (read_head(export, arguments[3], err) || pf_backbone_loader_load(&plugin, err)) return -1;
    const PfNamedTensor tensors[] = {
        {"heads.0.weight", {PF_DTYPE_F32, {2, {CLASSES, export->d}}, export->weight}},
        {"bias", {PF_DTYPE_F32, {1, {CLASSES}}, export->bias}}};
    PfExportConfig config = {.tap = arguments[2],
                             .head = head_source,
                             .head_tensors = tensors,
                             .head_tensor_count = 2,
                             .classes = classes,
                             .class_count = CLASSES,
                             .metadata = "{\"crop\": 224}"};
    if (strchr(arguments[0], '.')) {
        if (pf_script_file_open(arguments[0], NULL, &export->script, err) ||
            pf_script_file_lend(export->script, &config.torchscript, err))
            return -1;
    } else {
        if (pf_arch_new(arguments[0], &export->arch, err) ||
            pf_weights_load(export->arch, arguments[1], NULL, &export->weights, &entry, err))
            return -1;
        config.arch = export->arch;
        config.tensors = pf_weights_tensors(export->weights, &config.tensor_count);
    }
    return plugin->export_torchscript(&config, arguments[4], err);
}

int main(int argc, char **argv)
{
    Export export = {0};
    PfError err = {0};
    pf_log_setup("export_network", PF_NORMAL);
    int failed = argc != 6 ? pf_fail(&err, PF_EXIT_USAGE, "five arguments, please")
                           : export_network(&export, argv + 1, &err);
    free(export.numbers);
    free(export.weight);
    pf_weights_close(&export.weights);
    pf_script_file_free(&export.script);
    pf_arch_free(&export.arch);
    return failed ? pf_log_error(&err) : 0;
}
