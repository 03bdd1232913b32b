#include "common/torch/ranks.h"

#include "common/torch/failure.h"

#ifdef PF_GLOO
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO // what the header of Gloo asks
#endif
#if defined(PF_NCCL) && !defined(USE_C10D_NCCL)
#define USE_C10D_NCCL
#endif

#include <chrono>
#include <cstdlib>
#include <vector>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef PF_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

using namespace permafrost;

typedef c10::intrusive_ptr<c10d::Work> Work;

struct PfRanks::Group {
    int rank, size;
    std::chrono::milliseconds peer_time;
    c10::intrusive_ptr<c10d::Store> store;
    c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
#ifdef PF_NCCL
    c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl; // null: gradients go by Gloo
#endif
    std::string description;
    bool is_lost;
};

static std::chrono::milliseconds milliseconds(double seconds)
{
    return std::chrono::milliseconds(static_cast<std::int64_t>(1000 * seconds));
}

/* ---- meeting ---- */

static c10::intrusive_ptr<c10d::Store> open_store(const PfRanksConfig &config)
{
    c10d::TCPStoreOptions options;
    const std::string place = std::string(config.address) + ":" + std::to_string(config.port);
    options.port = static_cast<std::uint16_t>(config.port);
    options.isServer = config.rank == 0;
    options.waitWorkers = false;
    options.timeout = milliseconds(config.join_seconds);
    try {
        auto tcp = c10::make_intrusive<c10d::TCPStore>(std::string(config.address), options);
        return c10::make_intrusive<c10d::PrefixStore>(std::string("permafrost/") + config.job, tcp);
    } catch (...) {
        throw Failure(options.isServer ? PF_EXIT_FAILED : PF_EXIT_BUSY,
                      std::string(options.isServer ? "rank 0 cannot listen at "
                                                   : "rank 0 does not answer at ") +
                          place + ": " + current_exception_text() +
                          ". Hint: MASTER_ADDR names the host of rank 0, MASTER_PORT a port that "
                          "is free there");
    }
}

static std::string rank_key(int rank)
{
    return "here/" + std::to_string(rank);
}

// Which ranks have not come, "1, 3".
static std::string missing_ranks(c10d::Store &store, int size)
{
    std::string text;
    for (int rank = 0; rank < size; rank++)
        if (!store.check({rank_key(rank)}))
            text += (text.empty() ? "" : ", ") + std::to_string(rank);
    return text;
}

static void wait_for_all(c10d::Store &store, const PfRanksConfig &config)
{
    std::vector<std::string> keys;
    for (int rank = 0; rank < config.size; rank++) keys.push_back(rank_key(rank));
    try {
        store.set(rank_key(config.rank), std::vector<std::uint8_t>{1});
        store.wait(keys, milliseconds(config.join_seconds));
        return;
    } catch (...) {
    }
    std::string missing;
    try {
        missing = missing_ranks(store, config.size);
    } catch (...) {
        missing = "0";
    }
    throw Failure(PF_EXIT_BUSY, "not all of the " + std::to_string(config.size) +
                                    " ranks came within " +
                                    std::to_string(static_cast<int>(config.join_seconds)) +
                                    " seconds: there is no rank " + missing);
}

// The interface that GLOO_SOCKET_IFNAME names, as torch has it; on one host its loopback.
static std::shared_ptr<::gloo::transport::Device> choose_interface(const std::string &address)
{
    const char *name = std::getenv("GLOO_SOCKET_IFNAME");
    if (name && *name) return c10d::ProcessGroupGloo::createDeviceForInterface(name);
    if (address == "localhost" || address.rfind("127.", 0) == 0)
        return c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1");
    return c10d::ProcessGroupGloo::createDefaultDevice();
}

PfRanks::PfRanks(const PfRanksConfig &config) : group_(new Group())
{
    group_->rank = config.rank;
    group_->size = config.size;
    group_->peer_time = milliseconds(config.peer_seconds);
    group_->store = open_store(config);
    group_->description = "Gloo";
    wait_for_all(*group_->store, config);
    auto options = c10d::ProcessGroupGloo::Options::create(group_->peer_time);
    options->devices.push_back(choose_interface(config.address));
    options->threads = 2;
    try {
        group_->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(group_->store, config.rank,
                                                                   config.size, options);
    } catch (...) {
        throw Failure(PF_EXIT_BUSY,
                      "the ranks cannot connect to each other: " + current_exception_text() +
                          ". Hint: GLOO_SOCKET_IFNAME names the network interface");
    }
}

// Where a rank was lost, threads still wait for it: they end with the process.
PfRanks::~PfRanks()
{
    if (group_->is_lost) (void)group_.release();
}

int PfRanks::rank() const
{
    return group_->rank;
}

int PfRanks::size() const
{
    return group_->size;
}

const std::string &PfRanks::description() const
{
    return group_->description;
}

/* ---- moving numbers ---- */

[[noreturn]] static void fail_lost(bool &is_lost)
{
    is_lost = true;
    throw Failure(PF_EXIT_BUSY,
                  "a rank was lost (" + current_exception_text() +
                      "), and no rank goes on without it. Hint: the same command goes on from the "
                      "checkpoint that lies beside the model, with as many processes as there are "
                      "then");
}

template <typename Begin> static void run_to_end(bool &is_lost, Begin begin)
{
    try {
        Work work = begin();
        work->wait();
    } catch (...) {
        fail_lost(is_lost);
    }
}

static at::Tensor bytes_at(const void *data, size_t bytes)
{
    return at::from_blob(const_cast<void *>(data), {static_cast<std::int64_t>(bytes)}, at::kByte);
}

void PfRanks::broadcast(void *data, size_t bytes)
{
    std::vector<at::Tensor> tensors{bytes_at(data, bytes)};
    if (bytes) run_to_end(group_->is_lost, [&] { return group_->gloo->broadcast(tensors); });
}

void PfRanks::gather(const void *mine, void *all, size_t bytes)
{
    std::vector<at::Tensor> inputs{bytes_at(mine, bytes)};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int rank = 0; rank < group_->size; rank++)
        outputs[0].push_back(
            bytes_at(static_cast<const char *>(all) + static_cast<size_t>(rank) * bytes, bytes));
    if (bytes)
        run_to_end(group_->is_lost, [&] { return group_->gloo->allgather(outputs, inputs); });
}

/* ---- sums ---- */

void PfRanks::use_device(c10::Device device)
{
#ifdef PF_NCCL
    unsigned char mine = device.is_cuda();
    std::vector<unsigned char> all(static_cast<size_t>(group_->size));
    gather(&mine, all.data(), 1);
    bool all_cuda = true;
    for (unsigned char one : all) all_cuda = all_cuda && one;
    if (!all_cuda || group_->nccl) return;
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = group_->peer_time;
    group_->nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(
        c10::make_intrusive<c10d::PrefixStore>("nccl", group_->store), group_->rank, group_->size,
        options);
    group_->description = "NCCL";
#else
    (void)device;
#endif
}

namespace {

class SumUnderWay : public RankSum {
public:
    SumUnderWay(at::Tensor tensor, at::Tensor moved, bool &is_lost)
        : tensor_(std::move(tensor)), list_{std::move(moved)}, is_lost_(is_lost)
    {
    }

    std::vector<at::Tensor> &list() { return list_; }
    void set_work(Work work) { work_ = std::move(work); }

    void wait() override
    {
        try {
            work_->wait();
        } catch (...) {
            fail_lost(is_lost_);
        }
        if (!list_[0].is_same(tensor_)) tensor_.copy_(list_[0]);
    }

private:
    at::Tensor tensor_;
    std::vector<at::Tensor> list_; // what is moved
    bool &is_lost_;
    Work work_;
};

} // namespace

std::unique_ptr<RankSum> PfRanks::sum(const at::Tensor &tensor)
{
    at::Tensor moved = tensor;
    c10d::AllreduceOptions options;
#ifdef PF_NCCL
    const bool by_nccl = group_->nccl && tensor.is_cuda();
#else
    const bool by_nccl = false;
#endif
    if (!by_nccl && !tensor.is_cpu()) moved = tensor.cpu();
    std::unique_ptr<SumUnderWay> sum(new SumUnderWay(tensor, moved, group_->is_lost));
    try {
#ifdef PF_NCCL
        if (by_nccl) {
            sum->set_work(group_->nccl->allreduce(sum->list(), options));
            return sum;
        }
#endif
        sum->set_work(group_->gloo->allreduce(sum->list(), options));
    } catch (...) {
        fail_lost(group_->is_lost);
    }
    return sum;
}

/* ---- as C programs call it; no exception gets past here ---- */

template <typename Action> static int guarded(PfError *err, Action action)
{
    try {
        action();
        return 0;
    } catch (...) {
        return fail_with_current_exception(err);
    }
}

static int join(const PfRanksConfig *config, PfRanks **out, PfError *err)
{
    return guarded(err, [&] { *out = new PfRanks(*config); });
}

static const char *describe(const PfRanks *ranks)
{
    return ranks->description().c_str();
}

static int broadcast(PfRanks *ranks, void *data, size_t bytes, PfError *err)
{
    return guarded(err, [&] { ranks->broadcast(data, bytes); });
}

static int gather(PfRanks *ranks, const void *mine, void *all, size_t bytes, PfError *err)
{
    return guarded(err, [&] { ranks->gather(mine, all, bytes); });
}

static void leave(PfRanks **ranks)
{
    delete *ranks;
    *ranks = nullptr;
}

static const PfRanksPlugin plugin = {join, describe, broadcast, gather, leave};
const PfRanksPlugin *const pf_torch_ranks_plugin = &plugin;

#else // without Gloo nobody can join, so that nothing else is ever called

struct PfRanks::Group {};

PfRanks::~PfRanks() = default;

int PfRanks::rank() const
{
    return 0;
}

int PfRanks::size() const
{
    return 1;
}

void PfRanks::use_device(c10::Device) {}

std::unique_ptr<permafrost::RankSum> PfRanks::sum(const at::Tensor &)
{
    throw permafrost::Failure(PF_EXIT_FAILED, "this libtorch has no Gloo");
}

const PfRanksPlugin *const pf_torch_ranks_plugin = nullptr;

#endif
