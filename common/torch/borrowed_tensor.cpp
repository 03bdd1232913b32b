#include "common/torch/borrowed_tensor.h"

#include <cstring>

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include "common/torch/failure.h"

namespace permafrost {

static bool is_bias(const std::string &name)
{
    return name.substr(name.rfind('.') + 1) == "bias";
}

static at::Tensor host_array(const at::Tensor &tensor)
{
    return at::zeros(tensor.sizes(), at::kFloat);
}

BorrowedTensor::BorrowedTensor(const std::string &name, const at::Tensor &tensor, bool is_buffer)
    : tensor_(tensor), view_()
{
    if (name.size() >= sizeof view_.name)
        throw Failure(PF_EXIT_FAILED, "tensor name '" + name + "' is too long");
    if (tensor.dim() > PF_MAX_RANK)
        throw Failure(PF_EXIT_FAILED, "tensor '" + name + "' has more than " +
                                          std::to_string(PF_MAX_RANK) + " axes");
    c10::NoGradGuard no_gradients;
    bool is_plain = tensor.is_cpu() && tensor.is_contiguous();
    values_ = is_plain ? tensor.detach() : host_array(tensor);
    if (!is_buffer) gradient_ = host_array(tensor);
    download();
    std::memcpy(view_.name, name.c_str(), name.size());
    view_.shape.rank = static_cast<int>(tensor.dim());
    for (int i = 0; i < view_.shape.rank; i++) view_.shape.dims[i] = tensor.size(i);
    view_.values = values_.data_ptr<float>();
    view_.gradient = is_buffer ? nullptr : gradient_.data_ptr<float>();
    // Norms have a number per channel; weights that decay have at least two axes.
    view_.decays = !is_buffer && tensor.dim() > 1 && !is_bias(name);
}

void BorrowedTensor::upload()
{
    c10::NoGradGuard no_gradients;
    if (!values_.is_alias_of(tensor_)) tensor_.copy_(values_);
}

void BorrowedTensor::download()
{
    c10::NoGradGuard no_gradients;
    if (!values_.is_alias_of(tensor_)) values_.copy_(tensor_);
}

void BorrowedTensor::set_gradient(const at::Tensor &gradient)
{
    c10::NoGradGuard no_gradients;
    if (gradient.defined())
        gradient_.copy_(gradient);
    else
        gradient_.zero_();
}

} // namespace permafrost
