// The convolutions of a frozen graph.
#ifndef PF_TORCH_CONVOLUTION_NODES_H
#define PF_TORCH_CONVOLUTION_NODES_H

#include <memory>
#include <vector>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// A two-dimensional convolution with constant weights.
struct ConvolutionNode {
    torch::jit::Node *node;
    torch::jit::Stack arguments; // weight, bias or None, stride, padding, dilation, groups
    std::vector<std::int64_t> input_size;
};

// In the graph's order; their input sizes are not known yet.
std::vector<ConvolutionNode> find_convolutions(torch::jit::Graph &graph);

// The sizes that values of the graph have when the module runs on the first row of input; empty
// for what is no tensor.
std::vector<std::vector<std::int64_t>>
measure_values(const torch::jit::Module &module, const std::shared_ptr<torch::jit::Graph> &graph,
               const std::vector<torch::jit::Value *> &values, const at::Tensor &input);

// Writes the sizes that convolutions meet when the module runs on input, (rows, 3, height, width).
void measure_inputs(const torch::jit::Module &module,
                    const std::shared_ptr<torch::jit::Graph> &graph,
                    std::vector<ConvolutionNode> &convolutions, const at::Tensor &input);

// The sum of both operands as they are that alone uses the value, in its block; or NULL.
torch::jit::Node *only_sum(const torch::jit::Value *value);

// A sum that alone uses a convolution.
struct Sum {
    torch::jit::Node *add = nullptr;
    size_t other = 0; // which of its operands is not the convolution

    // As it is now: rewriting the graph replaces operands.
    torch::jit::Value *operand() const { return add->input(other); }
};

// Of each convolution, where both operands are as they are and of the same size when the module
// runs on input; empty where not.
std::vector<Sum> find_sums(const torch::jit::Module &module,
                           const std::shared_ptr<torch::jit::Graph> &graph,
                           const std::vector<ConvolutionNode> &convolutions,
                           const at::Tensor &input);

// Whether PF_CONVOLUTIONS, an environment variable for tests and doubts, asks for this way on the
// CPU: "libtorch" (all is left to it: the plain twin) or "gpu" (joined as for a GPU).
bool convolutions_as(const char *way);

// The ReLU that alone uses the value, or NULL.
torch::jit::Node *only_relu(const torch::jit::Value *value);

// The node's constant inputs with these indices; fewer where one is not constant.
torch::jit::Stack constant_inputs(const torch::jit::Node *node,
                                  std::initializer_list<size_t> indices);

} // namespace permafrost

#endif
