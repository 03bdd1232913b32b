// PfSuffixPlugin on libtorch. No exception gets past this file.
#include "common/torch/suffix_plugin.h"

#include "common/torch/failure.h"
#include "common/torch/suffix.h"

template <typename Action> static int guarded(PfError *err, Action action)
{
    try {
        action();
        return 0;
    } catch (...) {
        return permafrost::fail_with_current_exception(err);
    }
}

static int open(const PfSuffixConfig *config, PfSuffix **out, PfError *err)
{
    return guarded(err, [&] { *out = new PfSuffix(*config); });
}

static const PfShape *input_shape(const PfSuffix *suffix)
{
    return &suffix->input_shape();
}

static const PfShape *output_shape(const PfSuffix *suffix)
{
    return &suffix->output_shape();
}

static const char *describe(const PfSuffix *suffix)
{
    return suffix->description().c_str();
}

static int forward(PfSuffix *suffix, const float *rows, int64_t n, float *features, PfError *err)
{
    return guarded(err, [&] { suffix->forward(rows, n, features); });
}

static int forward_training(PfSuffix *suffix, const float *rows, int64_t n, uint64_t dropout_seed,
                            float *features, PfError *err)
{
    return guarded(err, [&] { suffix->forward_training(rows, n, dropout_seed, features); });
}

static int backward(PfSuffix *suffix, const float *derivative, PfError *err)
{
    return guarded(err, [&] { suffix->backward(derivative); });
}

static const PfSuffixTensor *tensors(const PfSuffix *suffix, size_t *count)
{
    *count = suffix->tensors().size();
    return suffix->tensors().data();
}

static int commit(PfSuffix *suffix, PfError *err)
{
    return guarded(err, [&] { suffix->commit(); });
}

static void close(PfSuffix **suffix)
{
    delete *suffix;
    *suffix = nullptr;
}

const PfSuffixPlugin pf_torch_suffix_plugin = {
    open,     input_shape, output_shape, describe, forward, forward_training,
    backward, tensors,     commit,       close};
