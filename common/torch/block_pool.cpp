#include "common/torch/block_pool.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include <c10/core/CPUAllocator.h>

namespace permafrost {

namespace {

// Lies before every block; as large as the alignment that tensors want.
struct alignas(64) Header {
    size_t size; // of the block behind it
};

const size_t smallest_pooled = 64 << 10; // malloc does well below

Header *header_of(void *block)
{
    return static_cast<Header *>(block) - 1;
}

void *new_block(size_t size)
{
    void *memory = nullptr;
    if (posix_memalign(&memory, alignof(Header), sizeof(Header) + size)) throw std::bad_alloc();
    Header *header = static_cast<Header *>(memory);
    header->size = size;
    return header + 1;
}

struct FreeBlocks {
    std::mutex mutex;
    std::multimap<size_t, void *> by_size;
};

// Never destroyed: libtorch's statics give tensors back when ours are gone.
FreeBlocks &free_blocks()
{
    static FreeBlocks *const blocks = new FreeBlocks;
    return *blocks;
}

// The smallest free block that is large enough and not wastefully large.
void *find_block(size_t size)
{
    FreeBlocks &blocks = free_blocks();
    std::lock_guard<std::mutex> lock(blocks.mutex);
    auto entry = blocks.by_size.lower_bound(size);
    if (entry == blocks.by_size.end() || entry->first > 2 * size) return nullptr;
    void *block = entry->second;
    blocks.by_size.erase(entry);
    return block;
}

void give_back(void *block)
{
    if (!block) return;
    if (header_of(block)->size < smallest_pooled) return std::free(header_of(block));
    FreeBlocks &blocks = free_blocks();
    std::lock_guard<std::mutex> lock(blocks.mutex);
    // Before its equals: what was used last is still in the processor's cache.
    size_t size = header_of(block)->size;
    blocks.by_size.emplace_hint(blocks.by_size.lower_bound(size), size, block);
}

c10::DataPtr take(size_t size)
{
    void *block = size >= smallest_pooled ? find_block(size) : nullptr;
    if (size && !block) block = new_block(size);
    return {block, block, give_back, c10::Device(c10::kCPU)};
}

// libtorch made allocate() non-const in 2.3 and added copy_data(); defining all
// three without `override` serves every version.
class PoolAllocator : public c10::Allocator {
public:
    c10::DataPtr allocate(size_t size) const { return take(size); }
    c10::DataPtr allocate(size_t size) { return take(size); }
    void copy_data(void *to, const void *from, size_t size) const { std::memcpy(to, from, size); }
    c10::DeleterFnPtr raw_deleter() const override { return give_back; }
};

} // namespace

void use_block_pool()
{
    static PoolAllocator *const allocator = new PoolAllocator;
    c10::SetCPUAllocator(allocator);
}

void empty_block_pool()
{
    FreeBlocks &blocks = free_blocks();
    std::lock_guard<std::mutex> lock(blocks.mutex);
    for (auto &entry : blocks.by_size) std::free(header_of(entry.second));
    blocks.by_size.clear();
}

} // namespace permafrost
