#include "rotating_pool.hpp"

#include "cuda_support/check.hpp"

#include <algorithm>

namespace pkv::cuda_bench {

using cuda::check;
using cuda::DeviceArray;

Pool::Pool(const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages, std::uint32_t seed)
    : page_bytes_(std::int64_t{shape.num_kv_heads} * page_size * shape.head_dim * size_bytes(dtype)),
      k_(num_pages * page_bytes_),
      v_(num_pages * page_bytes_),
      view_(KvCacheView::dense(KvLayout::kHND, shape, dtype, page_size, num_pages, k_.get(), v_.get())) {
  const std::int64_t elements = num_pages * page_bytes_ / size_bytes(dtype);
  fill_normal(k_.get(), dtype, elements, seed, nullptr);
  fill_normal(v_.get(), dtype, elements, seed + 1, nullptr);
  check(cudaDeviceSynchronize(), "filling the pool");
}

DeviceStep::DeviceStep(const Pool& pool, const AttentionShape& shape, DType dtype,
                       std::span<const std::int32_t> lengths, std::span<const std::int32_t> pages)
    : num_pages_(static_cast<std::int32_t>(pages.size())), host_lengths_(lengths.begin(), lengths.end()) {
  const int page_size = pool.view().page_size;
  const auto pages_of = [&](std::int32_t tokens) { return (tokens + page_size - 1) / page_size; };
  for (const std::int32_t tokens : lengths) table_stride_ = std::max<std::int64_t>(table_stride_, pages_of(tokens));
  const auto batch = static_cast<std::int64_t>(lengths.size());
  host_table_.assign(static_cast<std::size_t>(batch * table_stride_), -1);
  auto next = pages.begin();
  for (std::int64_t row = 0; row < batch; ++row) {
    const auto end = next + pages_of(host_lengths_[static_cast<std::size_t>(row)]);
    std::copy(next, end, host_table_.begin() + row * table_stride_);
    next = end;
  }
  lengths_ = DeviceArray<std::int32_t>::of(host_lengths_);
  table_ = DeviceArray<std::int32_t>::of(host_table_);
  pages_ = DeviceArray<std::int32_t>::of(pages);

  host_step_.shape = shape;
  host_step_.dtype = dtype;
  host_step_.page_size = page_size;
  host_step_.num_pages = pool.num_pages();
  host_step_.batch = batch;
  host_step_.lengths.values = IndexView::host(host_lengths_.data(), batch);
  host_step_.table = PageTableView::dense(host_table_.data(), batch, table_stride_);
  step_ = host_step_;
  step_.lengths.values.data = lengths_.get();
  step_.lengths.values.space = MemorySpace::kDevice;
  step_.table.entries.data = table_.get();
  step_.table.entries.space = MemorySpace::kDevice;
}

PageList DeviceStep::pages(const Pool& pool) const {
  return {pool.view().k.data, pool.view().v.data, pages_.get(), num_pages_, pool.page_bytes()};
}

}  // namespace pkv::cuda_bench
