#include "common/torch/device.h"

#include <cstdlib>
#include <vector>

#include <sys/mman.h>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "common/simd/processor.h"
#include "common/thread/parallel.h"
#include "common/torch/failure.h"

namespace permafrost {

// So that tests without a GPU can run what GPUs run.
static const std::string overlapped_cpu = "cpu:overlap";

static c10::Device cuda_device(const std::string &name)
{
    c10::Device device(c10::kCUDA, 0);
    try {
        device = c10::Device(name);
    } catch (...) {
        throw Failure(PF_EXIT_USAGE,
                      "unknown device '" + name + "'; expected auto, cpu, cuda or cuda:N");
    }
    if (!device.is_cuda())
        throw Failure(PF_EXIT_USAGE,
                      "unknown device '" + name + "'; expected auto, cpu, cuda or cuda:N");
    size_t count = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
    if (count == 0)
        throw Failure(PF_EXIT_FAILED, "device '" + name + "' was asked for, but this libtorch (" +
                                          TORCH_VERSION +
                                          ") finds no CUDA device. "
                                          "Hint: --device cpu");
    int index = device.has_index() ? device.index() : 0;
    if (static_cast<size_t>(index) >= count)
        throw Failure(PF_EXIT_FAILED, "device '" + name + "' was asked for, but there are only " +
                                          std::to_string(count) + " CUDA devices, from cuda:0");
    return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// Launchers may have shown each process its own GPU only.
static std::string device_of_rank(int local_rank)
{
    if (!torch::cuda::is_available()) return "cpu";
    size_t count = torch::cuda::device_count(), index = static_cast<size_t>(local_rank);
    if (count > 1 && index >= count)
        throw Failure(PF_EXIT_FAILED, "this host has " + std::to_string(count) +
                                          " CUDA devices, and this is its process " +
                                          std::to_string(local_rank + 1) +
                                          ". Hint: start one for each, or --device cuda:N");
    return "cuda:" + std::to_string(count > 1 ? index : 0);
}

c10::Device choose_device(const char *name, int local_rank)
{
    std::string text = name ? name : "auto";
    if (text == "auto") text = device_of_rank(local_rank);
    allow_tf32(false);
    return text == "cpu" || text == overlapped_cpu ? c10::Device(c10::kCPU) : cuda_device(text);
}

c10::Device choose_device(const char *name)
{
    return choose_device(name, 0);
}

bool is_overlapped(c10::Device device, const char *name)
{
    return !device.is_cpu() || (name && overlapped_cpu == name);
}

void allow_tf32(bool allowed)
{
    at::globalContext().setAllowTF32CuDNN(allowed);
    at::globalContext().setAllowTF32CuBLAS(allowed);
}

void check_precision(PfPrecision precision, c10::Device device, bool can_emulate)
{
    if (!device.is_cpu()) return;
    if (precision == PF_FP16)
        throw Failure(PF_EXIT_USAGE, "--precision fp16 needs a CUDA device: libtorch has no fp16 "
                                     "convolutions for the CPU. Hint: --precision bf16 or fp32");
    if (precision == PF_TF32)
        throw Failure(PF_EXIT_USAGE,
                      "--precision tf32 needs a CUDA device: processors have no such "
                      "arithmetic. Hint: --precision fp32 or bf16");
    if (precision == PF_BF16 && !pf_processor_has_bf16())
        throw Failure(PF_EXIT_FAILED,
                      std::string("--precision bf16: this processor has no bf16 instructions "
                                  "(avx512_bf16 or amx_bf16), bf16 would not be faster than "
                                  "fp32. Hint: --precision fp32") +
                          (can_emulate ? ", or --emulate for the numbers" : ""));
}

// There where BLAS is OpenBLAS.
extern "C" void openblas_set_num_threads(int threads) __attribute__((weak));

// It has been loaded with one thread, see loader.c.
static bool openblas_waits()
{
    return openblas_set_num_threads && std::getenv("PERMAFROST_OPENBLAS_WAITS");
}

// Whether so many pieces of memory can be had, which are given back at once.
static bool has_room(int pieces, size_t size)
{
    std::vector<void *> taken;
    while (static_cast<int>(taken.size()) < pieces) {
        void *piece =
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED) break;
        taken.push_back(piece);
    }
    for (void *piece : taken) munmap(piece, size);
    return static_cast<int>(taken.size()) == pieces;
}

// What a thread takes at the least: stacks of several libraries, and OpenBLAS's buffer, which it
// tries to get for ever where there is no memory for it.
static void check_room(int threads)
{
    const size_t stacks = 32 << 20, buffer = 129 << 20;
    if (!has_room(threads, stacks + (openblas_set_num_threads ? buffer : 0)))
        throw Failure(PF_EXIT_FAILED, "out of memory: there is none for the " +
                                          std::to_string(threads) +
                                          " threads of the network. Hint: --threads 1 takes less");
}

void set_threads(int threads, bool in_groups)
{
    if (threads <= 0) threads = pf_parallel_processor_count();
    check_room(threads);
    at::set_num_threads(threads);
    if (!openblas_waits()) return;
    openblas_set_num_threads(in_groups ? 1 : threads);
    at::mm(at::zeros({128, 128}), at::zeros({128, 128})); // takes the buffers now
}

c10::ScalarType scalar_type(PfPrecision precision)
{
    switch (precision) {
    case PF_BF16: return c10::kBFloat16;
    case PF_FP16: return c10::kHalf;
    default: return c10::kFloat;
    }
}

// "Intel(R) MKL-DNN v2.6.3 (Git Hash N/A)" -> "2.6.3"
static std::string onednn_version()
{
    std::string text = at::get_mkldnn_version();
    size_t start = text.find(" v");
    return start == std::string::npos
               ? ""
               : text.substr(start + 2, text.find(' ', start + 2) - start - 2);
}

std::string describe_device(c10::Device device, const char *name)
{
    std::string text = "libtorch " TORCH_VERSION;
    if (!device.is_cpu()) return text + ", " + device.str();
    std::string onednn = onednn_version();
    if (!onednn.empty()) text += ", oneDNN " + onednn;
    int threads = at::get_num_threads();
    return text + (is_overlapped(device, name) ? ", cpu:overlap, " : ", cpu, ") +
           std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

} // namespace permafrost
