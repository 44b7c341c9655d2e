#include "persistentkv/measure/kv_readers.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/parallel/thread_team.hpp"
#include "read_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

namespace pkv {

namespace {

constexpr std::int64_t kTaskBytes = std::int64_t{4} << 20;

/// The vectors of one page of K or V, as runs of bytes of equal length at equal distances.
struct PageRuns {
  const char* data = nullptr;
  std::int64_t page_bytes = 0;  // from one page to the next
  std::int64_t run_bytes = 0;
  std::int64_t outer = 1, outer_bytes = 0;
  std::int64_t inner = 1, inner_bytes = 0;

  PageRuns(const PagedTensorView& tensor, const KvCacheView& kv, const AttentionShape& shape)
      : data(static_cast<const char*>(tensor.data)) {
    const std::int64_t size = size_bytes(kv.dtype);
    page_bytes = tensor.page_stride * size;
    run_bytes = shape.head_dim * size;
    inner = kv.page_size, inner_bytes = tensor.token_stride * size;
    outer = shape.num_kv_heads, outer_bytes = tensor.head_stride * size;
    if (outer == 1) outer_bytes = 0;
    if (outer > 1 && outer_bytes < inner_bytes) std::swap(inner, outer), std::swap(inner_bytes, outer_bytes);
    if (inner == 1 || inner_bytes == run_bytes) run_bytes *= std::exchange(inner, 1);
    if (inner == 1 && (outer == 1 || outer_bytes == run_bytes)) run_bytes *= std::exchange(outer, 1);
  }
  [[nodiscard]] std::int64_t bytes() const noexcept { return run_bytes * inner * outer; }
};

struct PageTask {
  std::int64_t row = 0;
  std::int64_t page_begin = 0;
  std::int64_t page_end = 0;
};

std::uint64_t read_task(const detail::ReadKernels& kernels, const Step& step, const PageRuns (&tensors)[2],
                        const PageTask& task) {
  const std::int64_t base = step.table.base(task.row);
  std::uint64_t sum = 0;
  // The order of reading: K of a page, V of it, K of the next.
  const auto start = [&](std::int64_t at) {
    return tensors[at % 2].data + step.table.page(base, at / 2) * tensors[at % 2].page_bytes;
  };
  const char* here = start(2 * task.page_begin);
  for (std::int64_t at = 2 * task.page_begin; at < 2 * task.page_end; ++at) {
    const PageRuns& runs = tensors[at % 2];
    const char* next = at + 1 < 2 * task.page_end ? start(at + 1) : nullptr;
    for (std::int64_t o = 0; o < runs.outer; ++o)
      for (std::int64_t i = 0; i < runs.inner; ++i)
        sum ^= kernels.read(here + o * runs.outer_bytes + i * runs.inner_bytes, runs.run_bytes,
                            runs.outer * runs.inner == 1 ? next : nullptr);
    here = next;
  }
  return sum;
}

}  // namespace

struct KvReaders::Impl {
  explicit Impl(int num_threads) : threads(num_threads) {}

  ThreadTeam threads;
  const detail::ReadKernels& kernels = detail::read_kernels();
  std::atomic<std::uint64_t> consumed{0};  // so that no compiler may leave a load out
  std::vector<PageTask> tasks;

  template <class Task>
  void for_each(std::int64_t count, const Task& task) {
    threads.for_each(count, ThreadTeam::Items::kLong,
                     [&](std::int64_t i, int /*thread*/) { consumed.fetch_xor(task(i), std::memory_order_relaxed); });
  }
};

KvReaders::KvReaders(int num_threads) : impl_(std::make_unique<Impl>(num_threads)) {}

KvReaders::~KvReaders() = default;

int KvReaders::num_threads() const noexcept { return impl_->threads.num_threads(); }

std::int64_t KvReaders::read_pages(const Step& step, const KvCacheView& kv) {
  const PageRuns tensors[2] = {{kv.k, kv, step.shape}, {kv.v, kv, step.shape}};
  const std::int64_t page_bytes = tensors[0].bytes() + tensors[1].bytes();
  const std::int64_t task_pages = std::max<std::int64_t>(1, kTaskBytes / page_bytes);
  impl_->tasks.clear();
  std::int64_t total_pages = 0;
  for (std::int64_t row = 0; row < step.batch; ++row) {
    const std::int64_t pages = (step.lengths.at(row) + step.page_size - 1) / step.page_size;
    total_pages += pages;
    for (std::int64_t begin = 0; begin < pages; begin += task_pages)
      impl_->tasks.push_back({row, begin, std::min(begin + task_pages, pages)});
  }
  impl_->for_each(static_cast<std::int64_t>(impl_->tasks.size()), [&](std::int64_t i) {
    return read_task(impl_->kernels, step, tensors, impl_->tasks[static_cast<std::size_t>(i)]);
  });
  return total_pages * page_bytes;
}

std::int64_t KvReaders::read_contiguous(std::span<const std::byte> memory) {
  const auto size = static_cast<std::int64_t>(memory.size());
  const char* data = reinterpret_cast<const char*>(memory.data());
  impl_->for_each((size + kTaskBytes - 1) / kTaskBytes, [&](std::int64_t i) {
    const std::int64_t begin = i * kTaskBytes;
    return impl_->kernels.read(data + begin, std::min(kTaskBytes, size - begin), nullptr);
  });
  return size;
}

std::int64_t KvReaders::read_non_temporal(std::span<const std::byte> memory) {
  const auto size = static_cast<std::int64_t>(memory.size());
  const char* data = reinterpret_cast<const char*>(memory.data());
  if (reinterpret_cast<std::uintptr_t>(data) % 64 != 0)
    throw InvalidArgument(
        fmt::format("memory begins at {:#x}, must be a multiple of 64", reinterpret_cast<std::uintptr_t>(data)));
  impl_->for_each((size + kTaskBytes - 1) / kTaskBytes, [&](std::int64_t i) {
    const std::int64_t begin = i * kTaskBytes;
    return impl_->kernels.read_non_temporal(data + begin, std::min(kTaskBytes, size - begin));
  });
  return size;
}

std::string KvReaders::non_temporal_method() const { return impl_->kernels.non_temporal_method; }

}  // namespace pkv
