// The CPU as a device that works beside its caller.
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "common/torch/work_queue.h"

namespace permafrost {

namespace {

class ThreadQueue : public WorkQueue {
public:
    ThreadQueue() : thread_([this] { work_off(); }) {}

    ~ThreadQueue() override
    {
        run(nullptr);
        thread_.join();
    }

    void run(std::function<void()> work) override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        pending_.push_back(std::move(work));
        given_++;
        changed_.notify_all();
    }

    void follow(WorkQueue &other) override
    {
        ThreadQueue &before = static_cast<ThreadQueue &>(other);
        long mark = before.given();
        run([&before, mark] { before.wait(mark); });
    }

    void finish() override { wait(given()); }

private:
    long given()
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return given_;
    }

    // Until the first `mark` pieces of work are done; throws if one of them has.
    void wait(long mark)
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this, mark] { return done_ >= mark; });
        if (failure_ && failed_at_ < mark) std::rethrow_exception(failure_);
    }

    std::function<void()> next()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !pending_.empty(); });
        std::function<void()> work = std::move(pending_.front());
        pending_.pop_front();
        return work;
    }

    void done(std::exception_ptr failure)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (failure) {
            failure_ = failure;
            failed_at_ = done_;
        }
        done_++;
        changed_.notify_all();
    }

    // The queue's thread; after a failure it only counts.
    void work_off()
    {
        bool failed = false;
        while (std::function<void()> work = next()) {
            std::exception_ptr failure;
            try {
                if (!failed) work();
            } catch (...) {
                failure = std::current_exception();
                failed = true;
            }
            work = nullptr;
            done(failure);
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> pending_;
    long given_ = 0, done_ = 0, failed_at_ = 0;
    std::exception_ptr failure_;
    std::thread thread_; // last: it uses the others
};

} // namespace

std::unique_ptr<WorkQueue> thread_queue()
{
    return std::unique_ptr<WorkQueue>(new ThreadQueue);
}

} // namespace permafrost
