#include "common/torch/row_groups.h"

#include <algorithm>
#include <vector>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <omp.h>

#include "common/backbone/batch_choice.h"

namespace permafrost {

using c10::IValue;

// Their maps stay in the processor's cache, and a partial batch wastes little. Groups of 8 cost a
// tenth more per image, for each weight is read for fewer; groups of 32 gain nothing.
static const std::int64_t usual_group = 16;

std::int64_t group_rows(std::int64_t rows)
{
    return std::min(rows, usual_group);
}

std::int64_t half_of_rows(std::int64_t rows)
{
    const std::int64_t half = rows / 2;
    return half - half % group_rows(half);
}

int usual_batch()
{
    return std::max(PF_BATCH_USUAL, static_cast<int>(usual_group) * at::get_num_threads());
}

std::int64_t rows_at_once(int batch)
{
    if (batch < usual_group) return batch;
    return usual_group * std::min<std::int64_t>(at::get_num_threads(), batch / usual_group);
}

OneThread::OneThread() : before_(omp_get_max_threads())
{
    omp_set_num_threads(1);
}

OneThread::~OneThread()
{
    omp_set_num_threads(before_);
}

/* ---- joining ---- */

using Parts = std::vector<IValue>;

static IValue joined(const Parts &parts);

static Parts picked(const Parts &parts, const std::function<IValue(const IValue &)> &pick)
{
    Parts chosen;
    for (const IValue &part : parts) chosen.push_back(pick(part));
    return chosen;
}

static at::Tensor joined_tensors(const Parts &parts)
{
    std::vector<at::Tensor> tensors;
    for (const IValue &part : parts) tensors.push_back(part.toTensor());
    return at::cat(tensors);
}

static IValue joined_dicts(const Parts &parts)
{
    const auto first = parts[0].toGenericDict();
    c10::impl::GenericDict all(first.keyType(), first.valueType());
    for (const auto &item : first) {
        const IValue key = item.key();
        auto at_key = [&key](const IValue &part) { return part.toGenericDict().at(key); };
        all.insert(key, joined(picked(parts, at_key)));
    }
    return all;
}

static IValue joined_lists(const Parts &parts, size_t length)
{
    Parts all;
    for (size_t i = 0; i < length; i++) {
        auto at_place = [i](const IValue &part) {
            return part.isTuple() ? IValue(part.toTupleRef().elements()[i]) : part.toListRef()[i];
        };
        all.push_back(joined(picked(parts, at_place)));
    }
    return c10::ivalue::Tuple::create(std::move(all));
}

static IValue joined(const Parts &parts)
{
    const IValue &first = parts[0];
    if (parts.size() == 1) return first;
    if (first.isTensor()) return joined_tensors(parts);
    if (first.isGenericDict()) return joined_dicts(parts);
    if (first.isTuple()) return joined_lists(parts, first.toTupleRef().elements().size());
    if (first.isList()) return joined_lists(parts, first.toListRef().size());
    return first; // nothing with rows
}

IValue run_in_groups(const at::Tensor &input, const std::function<IValue(const at::Tensor &)> &run)
{
    const std::int64_t rows = group_rows(input.size(0));
    Parts parts(input.size(0) / rows);
    at::parallel_for(0, parts.size(), 1, [&](std::int64_t begin, std::int64_t end) {
        c10::InferenceMode no_gradients;
        OneThread alone;
        for (std::int64_t i = begin; i < end; i++) parts[i] = run(input.narrow(0, i * rows, rows));
    });
    return joined(parts);
}

} // namespace permafrost
