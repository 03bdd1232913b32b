#include "common/torch/shape_probe.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include "common/base/integers.h"

namespace permafrost {

using torch::jit::Node;
using torch::jit::Value;

// The pair's element for an axis; a pair of equals may be written as one.
static std::int64_t along(at::IntArrayRef pair, size_t axis)
{
    return pair[pair.size() == 1 ? 0 : axis];
}

static at::Tensor probe(const at::Tensor &x, const at::Tensor &weight, at::IntArrayRef stride,
                        at::IntArrayRef padding, at::IntArrayRef dilation)
{
    std::vector<std::int64_t> sizes = x.sizes().vec(); // without a batch where the map has none
    TORCH_CHECK(sizes.size() >= 3, "a convolution of a tensor of ", x.sizes());
    std::int64_t *map = sizes.data() + sizes.size() - 3; // channels, height, width
    map[0] = weight.size(0);
    for (size_t axis = 0; axis < 2; axis++) {
        map[1 + axis] = pf_window_outputs(map[1 + axis], weight.size(2 + axis), along(stride, axis),
                                          along(padding, axis), along(dilation, axis));
        TORCH_CHECK(map[1 + axis] > 0, "the kernel does not fit into a map of ", x.sizes());
    }
    const auto format =
        x.dim() == 4 ? weight.suggest_memory_format() : at::MemoryFormat::Contiguous;
    return at::empty(sizes, x.options().memory_format(format)).zero_();
}

TORCH_LIBRARY_FRAGMENT(permafrost, library)
{
    library.def("convolution_outline(Tensor x, Tensor weight, int[] stride, int[] padding, "
                "int[] dilation) -> Tensor",
                probe);
}

Node *probe_convolution(torch::jit::Graph &graph, Node *convolution,
                        const torch::jit::Stack &arguments)
{
    torch::jit::WithInsertPoint here(convolution);
    std::vector<Value *> inputs = {convolution->input(0), graph.insertConstant(arguments[0])};
    for (size_t i = 2; i < 5; i++) inputs.push_back(graph.insertConstant(arguments[i]));
    Node *probed = graph.insertNode(
        graph.create(c10::Symbol::fromQualString("permafrost::convolution_outline"), inputs));
    convolution->output()->replaceAllUsesWith(probed->output());
    convolution->destroy();
    return probed;
}

} // namespace permafrost
