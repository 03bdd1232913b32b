#include "fuzz_weights.h"

#include "common/weights/internal.h"

static void read_tensors(const PfWeights *weights)
{
    size_t count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    FUZZ_CHECK(count);
    for (size_t i = 0; i < count; i++) {
        const PfTensorView *view = &tensors[i].view;
        FUZZ_CHECK(view->shape.rank >= 0 && view->shape.rank <= PF_MAX_RANK);
        fuzz_touch(view->data, (size_t)pf_shape_count(&view->shape) * pf_dtype_size(view->dtype));
        FUZZ_CHECK(pf_weights_find_tensor(weights, tensors[i].name) == view);
    }
}

void fuzz_weights(const uint8_t *data, size_t size)
{
    static PfArch *arch;
    PfWeights *weights;
    PfError err = {0};
    if (!arch) FUZZ_CHECK(!pf_arch_new("resnet18_w16", &arch, &err));
    if (pf_weights_open_bytes("fuzzed", data, size, &weights, &err)) {
        FUZZ_CHECK(!weights);
        fuzz_check_refusal(&err);
        return;
    }
    read_tensors(weights);
    pf_weights_metadata(weights, "format");
    if (pf_weights_check(weights, arch, arch->node_count - 1, &err)) fuzz_check_refusal(&err);
    pf_weights_close(&weights);
}
