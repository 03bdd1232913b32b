#include "script_source.h"

#include <cctype>
#include <sstream>

#include "failure.h"

namespace permafrost {

std::vector<unsigned char> needed_nodes(const PfArch &arch, int start,
                                        const std::vector<int> &outputs)
{
    std::vector<unsigned char> needed(arch.node_count), of_one(arch.node_count);
    PfError error = {};
    for (int output : outputs) {
        if (output == start) continue;
        if (pf_arch_mark_behind(&arch, start, output, of_one.data(), &error)) throw Failure(error);
        for (int i = 0; i < arch.node_count; i++) needed[i] |= of_one[i];
    }
    return needed;
}

// "layer1.0.bn1" -> getattr(self.layer1, "0").bn1
static std::string module_expression(const std::string &path)
{
    std::string expression = "self", part;
    std::istringstream parts(path);
    while (std::getline(parts, part, '.')) {
        bool is_number = std::isdigit(static_cast<unsigned char>(part[0])) != 0;
        expression =
            is_number ? "getattr(" + expression + ", \"" + part + "\")" : expression + "." + part;
    }
    return expression;
}

static std::string value(int node)
{
    return "v" + std::to_string(node);
}

static std::string pair(int number)
{
    return "[" + std::to_string(number) + ", " + std::to_string(number) + "]";
}

static std::string conv(const PfNode &node, const std::string &x, const std::string &module)
{
    return "torch.conv2d(" + x + ", " + module + ".weight, " +
           (node.bias ? module + ".bias" : "None") + ", " + pair(node.stride) + ", " +
           pair(node.padding) + ", " + pair(node.dilation) + ", " + std::to_string(node.groups) +
           ")";
}

static std::string batch_norm(const PfNode &node, const std::string &x, const std::string &module)
{
    std::ostringstream text;
    text.precision(9);
    text << "torch.batch_norm(" << x << ", " << module << ".weight, " << module << ".bias, "
         << module << ".running_mean, " << module << ".running_var, " << module
         << ".training, 0.1, " << node.eps << ", True)";
    return text.str();
}

static std::string max_pool(const PfNode &node, const std::string &x)
{
    return "torch.max_pool2d(" + x + ", " + pair(node.kernel) + ", " + pair(node.stride) + ", " +
           pair(node.padding) + ", " + pair(node.dilation) + ", False)";
}

static std::string linear(const PfNode &node, const std::string &x, const std::string &module)
{
    return "torch.linear(" + x + ", " + module + ".weight, " +
           (node.bias ? module + ".bias" : "None") + ")";
}

static std::string expression(const PfNode &node)
{
    const std::string x = value(node.inputs[0]), module = module_expression(node.module);
    switch (node.op) {
    case PF_OP_CONV: return conv(node, x, module);
    case PF_OP_BATCH_NORM: return batch_norm(node, x, module);
    case PF_OP_RELU: return "torch.relu(" + x + ")";
    case PF_OP_MAX_POOL: return max_pool(node, x);
    case PF_OP_ADAPTIVE_AVG_POOL:
        return "torch.adaptive_avg_pool2d(" + x + ", " + pair(node.pool_size) + ")";
    case PF_OP_FLATTEN: return "torch.flatten(" + x + ", 1)";
    case PF_OP_DROPOUT:
        return "torch.dropout(" + x + ", " + std::to_string(node.dropout) + ", self.training)";
    case PF_OP_LINEAR: return linear(node, x, module);
    case PF_OP_ADD: return "torch.add(" + x + ", " + value(node.inputs[1]) + ")";
    case PF_OP_INPUT: break;
    }
    return "input";
}

std::string script_source(const std::string &method, const PfArch &arch, int start,
                          const std::vector<int> &outputs)
{
    std::ostringstream source;
    std::string types, values;
    for (int output : outputs) {
        types += types.empty() ? "Tensor" : ", Tensor";
        values += value(output) + ",";
    }
    source << "def " << method << "(self, input: Tensor) -> Tuple[" << types << "]:\n"
           << "    " << value(start) << " = input\n";
    std::vector<unsigned char> needed = needed_nodes(arch, start, outputs);
    for (int i = 0; i < arch.node_count; i++)
        if (needed[i]) source << "    " << value(i) << " = " << expression(arch.nodes[i]) << "\n";
    source << "    return (" << values << ")\n";
    return source.str();
}

} // namespace permafrost
