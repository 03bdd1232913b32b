// Rows of a batch that run side by side.
//
// On the CPU a thread takes a few images through the whole network, alone, rather than
// all threads one layer after the other: no thread waits for the others before it
// goes on, also where decoding takes a core away. And as each group is of the same
// size and has one thread, an image's numbers depend neither on the number of threads nor
// on who came with it.
#ifndef PF_COMMON_TORCH_ROW_GROUPS_H
#define PF_COMMON_TORCH_ROW_GROUPS_H

#include <functional>

#include <ATen/core/ivalue.h>

namespace permafrost {

// How many of a batch's images a network on the CPU is to be given at once, so that
// all threads have their group and the groups are full.
std::int64_t rows_at_once(int batch);

// A batch that gives each thread a group, and is not too small for what happens once a batch.
int usual_batch();

// Fewer rows than so many (at least 2), in full groups.
std::int64_t half_of_rows(std::int64_t rows);

// Size of the groups of so many rows.
std::int64_t group_rows(std::int64_t rows);

// While it lives, what this thread computes or prepares is for one thread.
class OneThread {
public:
    OneThread();
    ~OneThread();
    OneThread(const OneThread &) = delete;
    OneThread &operator=(const OneThread &) = delete;

private:
    int before_;
};

// What run makes of input's groups, joined along the first axis: a tensor, a dict of
// tensors, or a tuple of what was a tuple or list.
c10::IValue run_in_groups(const at::Tensor &input,
                          const std::function<c10::IValue(const at::Tensor &)> &run);

} // namespace permafrost

#endif
