// A tensor of a module, lent to C as a plain array.
#ifndef PF_COMMON_TORCH_BORROWED_TENSOR_H
#define PF_COMMON_TORCH_BORROWED_TENSOR_H

#include <string>

#include <ATen/core/Tensor.h>

#include "permafrost/suffix.h"

namespace permafrost {

// The array is the tensor's own memory where that is row-major on the CPU. Else, on
// another device or channels last, it is a mirror, and the two have to be told
// when to follow each other.
class BorrowedTensor {
public:
    // tensor: float32, in its final place.
    BorrowedTensor(const std::string &name, const at::Tensor &tensor, bool is_buffer);

    const PfSuffixTensor &view() const { return view_; }
    bool is_buffer() const { return !gradient_.defined(); }
    const at::Tensor &tensor() const { return tensor_; }

    void upload();   // from the array to the tensor
    void download(); // and back

    // gradient: of the tensor's shape; undefined: none came, which is zero.
    void set_gradient(const at::Tensor &gradient);

private:
    at::Tensor tensor_, values_, gradient_;
    PfSuffixTensor view_;
};

} // namespace permafrost

#endif
