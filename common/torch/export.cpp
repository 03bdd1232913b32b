#include "common/torch/export.h"

#include <sstream>

#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>

#include "common/torch/failure.h"
#include "common/torch/script_module.h"
#include "common/torch/user_module.h"

extern "C" {
#include "common/file/atomic_file.h"
}

namespace permafrost {

using torch::jit::Module;

// A module and the expression that makes the tap's value of `images` in it.
struct Trunk {
    Module module;
    std::string value;
};

/* ---- a built-in network: its tensors under their own names ---- */

static Trunk arch_trunk(const PfExportConfig &config)
{
    PfError error = {};
    int tap;
    if (pf_arch_find_tap(config.arch, config.tap, &tap, &error)) throw Failure(error);
    Module module = tensor_module(*config.arch, config.tensors, config.tensor_count, 0, {tap});
    define_method(module, "backbone", *config.arch, 0, {tap});
    return {module, "self.backbone(images)[0]"};
}

/* ---- the user's own: a submodule ---- */

static Failure no_tap(const PfExportConfig &config, const std::string &returned)
{
    return Failure(PF_EXIT_USAGE, std::string("'") + config.torchscript.path + "': no tap '" +
                                      config.tap + "' in what forward() returns, " + returned);
}

// "output.2" -> "2"
static std::string element_index(const PfExportConfig &config, const std::string &returned)
{
    const std::string prefix = "output.", tap = config.tap;
    std::string index = tap.compare(0, prefix.size(), prefix) ? "" : tap.substr(prefix.size());
    if (index.empty() || index.find_first_not_of("0123456789") != std::string::npos)
        throw no_tap(config, returned);
    return index;
}

// What picks the tap out of forward's output, by its type; the names are those of named_outputs().
static std::string subscript(const PfExportConfig &config, const c10::TypePtr &type)
{
    const std::string returned = type->annotation_str();
    if (type->isSubtypeOf(*c10::TensorType::get())) {
        if (std::string(config.tap) != "output") throw no_tap(config, returned);
        return "";
    }
    if (auto dict = type->cast<c10::DictType>()) {
        bool is_text = dict->getKeyType()->kind() == c10::TypeKind::StringType;
        return is_text ? "[self.tap]" : std::string("[") + config.tap + "]";
    }
    return "[" + element_index(config, returned) + "]";
}

static Trunk user_trunk(const PfExportConfig &config)
{
    Module backbone = load_user_module(config.torchscript);
    replace_tensors(backbone, config.tensors, config.tensor_count);
    const auto &returns = backbone.get_method("forward").function().getSchema().returns();
    std::string value = "self.backbone.forward(images)" + subscript(config, returns.at(0).type());
    Module module("__torch__.permafrost.Network");
    module.register_attribute("training", c10::BoolType::get(), false);
    module.register_module("backbone", backbone);
    module.register_attribute("tap", c10::StringType::get(), std::string(config.tap));
    return {module, value};
}

/* ---- with the head ---- */

static void add_head(Module &module, const PfExportConfig &config)
{
    for (size_t i = 0; i < config.head_tensor_count; i++) {
        const PfNamedTensor &tensor = config.head_tensors[i];
        add_tensor(module, tensor.name, float_copy(tensor.view), false);
    }
    c10::List<std::string> classes;
    for (int i = 0; i < config.class_count; i++) classes.push_back(config.classes[i]);
    module.register_attribute("classes", c10::ListType::ofStrings(), classes);
    module.register_attribute("metadata", c10::StringType::get(),
                              std::string(config.metadata ? config.metadata : ""));
}

static Module whole_network(const PfExportConfig &config)
{
    Trunk trunk = config.arch ? arch_trunk(config) : user_trunk(config);
    add_head(trunk.module, config);
    trunk.module.define(std::string(config.head) +
                        "\n\ndef forward(self, images: Tensor):\n"
                        "    return self.head(torch.flatten(" +
                        trunk.value + ", 1))\n");
    return trunk.module;
}

void export_torchscript(const PfExportConfig &config, const char *path)
{
    std::ostringstream bytes;
    whole_network(config).save(bytes);
    const std::string file = bytes.str();
    PfError error = {};
    if (pf_atomic_file_write(path, file.data(), file.size(), &error)) throw Failure(error);
}

} // namespace permafrost
