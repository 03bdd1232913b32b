#include "common/torch/max_pool_operator.h"

#include <algorithm>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "common/conv/max_pool.h"
#include "common/torch/convolution_nodes.h"

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

static bool suits(const at::Tensor &x)
{
    return x.is_cpu() && x.dim() == 4 && x.scalar_type() == at::kFloat && x.size(1) % 16 == 0 &&
           x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

static at::Tensor max_pool(const at::Tensor &x, at::IntArrayRef kernel, at::IntArrayRef stride,
                           at::IntArrayRef padding)
{
    if (!suits(x)) return at::max_pool2d(x, kernel, stride, padding);
    PfMaxPool pool = {};
    pool.channels = x.size(1);
    std::copy_n(kernel.begin(), 2, pool.kernel);
    std::copy_n(stride.begin(), 2, pool.stride);
    std::copy_n(padding.begin(), 2, pool.padding);
    const std::int64_t height = pf_max_pool_outputs(&pool, 0, x.size(2)),
                       width = pf_max_pool_outputs(&pool, 1, x.size(3));
    TORCH_CHECK(height > 0 && width > 0, "the window does not fit into a map of ", x.sizes());
    at::Tensor y = at::empty({x.size(0), x.size(1), height, width},
                             x.options().memory_format(at::MemoryFormat::ChannelsLast));
    PfMaxPoolMaps maps = {};
    maps.count = x.size(0);
    maps.height = x.size(2);
    maps.width = x.size(3);
    maps.x = x.data_ptr<float>();
    maps.y = y.data_ptr<float>();
    at::parallel_for(0, maps.count * height, 1, [&](std::int64_t first, std::int64_t end) {
        pf_max_pool_run(&pool, &maps, first, end);
    });
    return y;
}

TORCH_LIBRARY_FRAGMENT(permafrost, library)
{
    library.def("max_pool(Tensor x, int[] kernel, int[] stride, int[] padding) -> Tensor",
                max_pool);
}

// Kernel, stride and padding of a max pool that max_pool.h may take; else empty.
static torch::jit::Stack window_of(const Node *node)
{
    if (node->kind() != c10::aten::max_pool2d) return {};
    torch::jit::Stack stack = constant_inputs(node, {1, 2, 3, 4, 5});
    if (stack.size() != 5 || stack[4].toBool()) return {};
    if (stack[1].toIntVector().empty()) stack[1] = stack[0]; // as wide as the window
    for (size_t i = 0; i < 4; i++)
        if (stack[i].toIntVector().size() != 2) return {};
    if (stack[3].toIntVector() != std::vector<std::int64_t>{1, 1}) return {};
    stack.resize(3);
    return stack;
}

void use_max_pools(Graph &graph)
{
    const std::vector<Node *> nodes(graph.nodes().begin(), graph.nodes().end());
    for (Node *node : nodes) {
        const torch::jit::Stack window = window_of(node);
        if (window.empty()) continue;
        torch::jit::WithInsertPoint here(node);
        std::vector<Value *> inputs = {node->input(0)};
        for (const c10::IValue &value : window) inputs.push_back(graph.insertConstant(value));
        Node *pool = graph.insertNode(
            graph.create(c10::Symbol::fromQualString("permafrost::max_pool"), inputs));
        node->output()->replaceAllUsesWith(pool->output());
        node->destroy();
    }
}

} // namespace permafrost
