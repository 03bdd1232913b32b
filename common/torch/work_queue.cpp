// Streams of whatever device libtorch has a guard for, by its own names for them: this needs no
// header of CUDA, and is all that is particular to GPUs.
#include "common/torch/work_queue.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace permafrost {

namespace {

class StreamQueue : public WorkQueue {
public:
    explicit StreamQueue(c10::Stream stream) : stream_(stream) {}

    void run(std::function<void()> work) override
    {
        c10::StreamGuard here(stream_);
        work();
    }

    void follow(WorkQueue &other) override
    {
        c10::Event done(stream_.device_type());
        done.record(static_cast<StreamQueue &>(other).stream_);
        done.block(stream_);
    }

    void finish() override
    {
        c10::impl::getDeviceGuardImpl(stream_.device_type())->synchronizeStream(stream_);
    }

private:
    c10::Stream stream_;
};

} // namespace

// The stream that weights went through when the network was opened: what comes behind them
// finds them there.
std::unique_ptr<WorkQueue> compute_queue(c10::Device device)
{
    if (device.is_cpu()) return thread_queue();
    c10::Stream stream = c10::impl::getDeviceGuardImpl(device.type())->getDefaultStream(device);
    return std::unique_ptr<WorkQueue>(new StreamQueue(stream));
}

std::unique_ptr<WorkQueue> copy_queue(c10::Device device)
{
    if (device.is_cpu()) return thread_queue();
    c10::Stream stream =
        c10::impl::getDeviceGuardImpl(device.type())->getStreamFromGlobalPool(device);
    return std::unique_ptr<WorkQueue>(new StreamQueue(stream));
}

} // namespace permafrost
