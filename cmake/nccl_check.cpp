// Compiles where libtorch has NCCL and the headers that its own ask for are there.
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

int main()
{
    return c10d::ProcessGroupNCCL::Options::create()->is_high_priority_stream;
}
