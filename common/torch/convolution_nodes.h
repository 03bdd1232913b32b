// The convolutions of a frozen graph.
#ifndef PF_COMMON_TORCH_CONVOLUTION_NODES_H
#define PF_COMMON_TORCH_CONVOLUTION_NODES_H

#include <memory>
#include <vector>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// A sum that alone uses a convolution, of operands of one size, taken as they are.
struct Sum {
    torch::jit::Node *add = nullptr; // NULL: there is none
    size_t other = 0;                // which of its operands is not the convolution

    // Of the graph as it is now: rewriting it replaces operands.
    torch::jit::Value *operand() const { return add->input(other); }
};

// A two-dimensional convolution with constant weights.
struct ConvolutionNode {
    torch::jit::Node *node;
    torch::jit::Stack arguments; // weight, bias or None, stride, padding, dilation, groups
    Sum sum;
    std::vector<std::int64_t> input_size;
};

// In the graph's order. input: (rows, 3, height, width), as the module will get it; it runs on
// the first row, for sizes, with zeros for what these convolutions would give: computing them once,
// by whatever libtorch prepares for that, takes a tenth of a second and more.
std::vector<ConvolutionNode> find_convolutions(const torch::jit::Module &module,
                                               const std::shared_ptr<torch::jit::Graph> &graph,
                                               const at::Tensor &input);

// Whether PF_CONVOLUTIONS, an environment variable for tests and doubts, asks for this way on the
// CPU: "libtorch" (all is left to it: the plain twin) or "gpu" (joined as for a GPU).
bool convolutions_as(const char *way);

// Whether the node's operator is one of these, by their qualified names.
bool is_one_of(const torch::jit::Node *node, std::initializer_list<const char *> kinds);

// The ReLU that alone uses the value, or NULL.
torch::jit::Node *only_relu(const torch::jit::Value *value);

// The node's constant inputs with these indices; fewer where one is not constant.
torch::jit::Stack constant_inputs(const torch::jit::Node *node,
                                  std::initializer_list<size_t> indices);

} // namespace permafrost

#endif
