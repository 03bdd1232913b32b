#include "common/torch/suffix_network.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include "common/torch/failure.h"
#include "common/torch/script_module.h"
#include "common/torch/user_module.h"

namespace permafrost {

using torch::jit::Module;

/* ---- of a built-in network ---- */

static int find_tap(const PfArch &arch, const char *name)
{
    PfError error = {};
    int node;
    if (pf_arch_find_tap(&arch, name, &node, &error)) throw Failure(error);
    return node;
}

static SuffixNetwork arch_suffix(const PfSuffixConfig &config)
{
    const PfArch &arch = *config.arch;
    const int cut = find_tap(arch, config.cut), output = find_tap(arch, config.output);
    PfError error = {};
    std::vector<PfShape> shapes(arch.node_count);
    std::vector<unsigned char> behind(arch.node_count);
    if (pf_arch_infer_shapes(&arch, config.input_height, config.input_width, shapes.data(),
                             &error) ||
        pf_arch_mark_behind(&arch, cut, output, behind.data(), &error))
        throw Failure(error);
    return {script_module(arch, config.tensors, config.tensor_count, cut, {output}, shapes.data()),
            "forward", "output.0", shapes[cut], shapes[output]};
}

/* ---- of the user's own ---- */

static std::string method_of_cut(std::string cut)
{
    if (cut == "input") return "forward";
    std::replace(cut.begin(), cut.end(), '.', '_');
    return "forward_from_" + cut;
}

static void check_method(const PfSuffixConfig &config, const Module &module,
                         const std::string &method)
{
    if (!module.find_method(method))
        throw Failure(PF_EXIT_FAILED, std::string("'") + config.torchscript.path +
                                          "' has no method " + method + "(), which takes '" +
                                          config.cut +
                                          "' and returns what forward() does. Hint: "
                                          "docs/backbones.md says how to write it");
    check_arguments(config.torchscript.path, module, method,
                    std::string("a batch of '") + config.cut + "'");
}

// A method that returns a tensor where forward returns several means that one.
static at::Tensor find_features(const c10::IValue &value, const std::string &output)
{
    if (value.isTensor()) return value.toTensor();
    return find_output(named_outputs(value), output).second;
}

static at::Tensor run_method(const PfSuffixConfig &config, const Module &module,
                             const std::string &method, const at::Tensor &rows)
{
    try {
        return find_features(module.get_method(method)({rows}), config.output);
    } catch (const Failure &) {
        throw;
    } catch (...) {
        throw Failure(PF_EXIT_FAILED, std::string("'") + config.torchscript.path + "': " + method +
                                          "() does not run on '" + config.cut + "' of " +
                                          sizes_text(rows.sizes()) + ": " +
                                          current_exception_text());
    }
}

static void check_equal(const PfSuffixConfig &config, const std::string &method,
                        const at::Tensor &expected, const at::Tensor &found)
{
    if (agree({{"", expected}}, {{"", found}}, 1e-3)) return;
    throw Failure(PF_EXIT_FAILED, std::string("'") + config.torchscript.path + "': " + method +
                                      "() of '" + config.cut +
                                      "' is not what forward() returns "
                                      "as '" +
                                      config.output + "': " + sizes_text(found.sizes()) +
                                      " against " + sizes_text(expected.sizes()) +
                                      (found.sizes() == expected.sizes() ? ", other values" : ""));
}

static SuffixNetwork user_suffix(const PfSuffixConfig &config)
{
    const std::string path = config.torchscript.path, method = method_of_cut(config.cut);
    c10::NoGradGuard no_gradients;
    Module module = load_user_module(config.torchscript);
    replace_tensors(module, config.tensors, config.tensor_count);
    check_method(config, module, method);
    at::Tensor image = probe_image(config.input_height, config.input_width);
    NamedTensors outputs = run_original(path, module, image);
    NamedTensor whole = find_output(outputs, config.output), cut = {"input", image};
    if (method != "forward") cut = find_output(outputs, config.cut);
    check_equal(config, method, whole.second, run_method(config, module, method, cut.second));
    return {module, method, config.output, row_shape(cut), row_shape(whole)};
}

SuffixNetwork suffix_network(const PfSuffixConfig &config)
{
    return config.arch ? arch_suffix(config) : user_suffix(config);
}

} // namespace permafrost
