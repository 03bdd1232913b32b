/* ONNX files: read, made a graph of for two sizes, and every tensor of that read. */
#include <string.h>

#include "common/arch/ops.h"
#include "common/onnx/network.h"
#include "fuzz.h"

static void check_graph(const PfOnnx *onnx)
{
    const PfArch *arch = pf_onnx_arch(onnx);
    PfShape *shapes = calloc((size_t)arch->node_count, sizeof *shapes);
    PfParameter *parameters;
    PfError err = {0};
    size_t tensor_count;
    int count;
    const PfNamedTensor *tensors = pf_onnx_tensors(onnx, &tensor_count);
    const int side = arch->preprocess.crop;
    FUZZ_CHECK(shapes && !pf_arch_infer_shapes(arch, side, side, shapes, &err));
    FUZZ_CHECK(!pf_arch_parameters(arch, arch->node_count - 1, &parameters, &count, &err));
    for (int i = 0; i < count; i++) {
        size_t at = 0;
        while (at < tensor_count && strcmp(tensors[at].name, parameters[i].name)) at++;
        FUZZ_CHECK(at < tensor_count);
        FUZZ_CHECK(pf_shape_equal(&tensors[at].view.shape, &parameters[i].shape));
    }
    for (size_t i = 0; i < tensor_count; i++)
        fuzz_touch(tensors[i].view.data, (size_t)pf_shape_count(&tensors[i].view.shape) *
                                             pf_dtype_size(tensors[i].view.dtype));
    free(parameters);
    free(shapes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int sides[] = {16, 64};
    for (int i = 0; i < 2; i++) {
        PfOnnx *onnx;
        PfError err = {0};
        if (pf_onnx_open_bytes("fuzzed.onnx", data, size, &onnx, &err)) {
            fuzz_check_refusal(&err);
            return 0;
        }
        if (pf_onnx_build(onnx, pf_onnx_side(onnx) ? pf_onnx_side(onnx) : sides[i], &err))
            fuzz_check_refusal(&err);
        else
            check_graph(onnx);
        pf_onnx_free(&onnx);
    }
    return 0;
}
