// Work for a device, done in order while the caller goes on.
#ifndef PF_COMMON_TORCH_WORK_QUEUE_H
#define PF_COMMON_TORCH_WORK_QUEUE_H

#include <functional>
#include <memory>

#include <c10/core/Device.h>

namespace permafrost {

// On a GPU a queue is a stream: work is called at once and leaves kernels and copies behind. On the
// CPU it is a thread that calls it later.
class WorkQueue {
public:
    virtual ~WorkQueue() = default;

    // Does the work after all that was given before. What it throws comes out here or in
    // finish(), and the work behind it may be left out.
    virtual void run(std::function<void()> work) = 0;

    // What is given from now on waits for what `other`, a queue of the same device, was
    // given until now.
    virtual void follow(WorkQueue &other) = 0;

    // Waits for all that was given.
    virtual void finish() = 0;
};

// Where the device computes; and another one beside it, for copies.
std::unique_ptr<WorkQueue> compute_queue(c10::Device device);
std::unique_ptr<WorkQueue> copy_queue(c10::Device device);

// The same of the CPU: see thread_queue.cpp.
std::unique_ptr<WorkQueue> thread_queue();

} // namespace permafrost

#endif
