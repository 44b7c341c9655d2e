#pragma once

// Pages that take turns, so that no step finds its own in L2.

#include "bench_kernels.hpp"
#include "cuda_support/memory.hpp"
#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <random>
#include <span>
#include <vector>

namespace pkv::cuda_bench {

/// One layer's K and V, HND, full of normal deviates.
class Pool {
 public:
  Pool(const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages, std::uint32_t seed);

  [[nodiscard]] const KvCacheView& view() const noexcept { return view_; }
  [[nodiscard]] std::int64_t page_bytes() const noexcept { return page_bytes_; }  ///< of K, and as many of V
  [[nodiscard]] std::int64_t num_pages() const noexcept { return view_.num_pages; }

 private:
  std::int64_t page_bytes_;
  cuda::DeviceArray<unsigned char> k_, v_;
  KvCacheView view_;
};

/// A step of given lengths on pages of its own, with all its indices on the device.
class DeviceStep {
 public:
  DeviceStep(const Pool& pool, const AttentionShape& shape, DType dtype, std::span<const std::int32_t> lengths,
             std::span<const std::int32_t> pages);

  [[nodiscard]] const Step& step() const noexcept { return step_; }
  /// The same step with its indices in host memory, for routes that plan there.
  [[nodiscard]] const Step& host_step() const noexcept { return host_step_; }
  [[nodiscard]] PageList pages(const Pool& pool) const;
  [[nodiscard]] const std::int32_t* lengths() const noexcept { return lengths_.get(); }
  [[nodiscard]] const std::int32_t* table() const noexcept { return table_.get(); }
  [[nodiscard]] std::int64_t table_stride() const noexcept { return table_stride_; }

 private:
  std::int64_t table_stride_ = 0;
  std::int32_t num_pages_ = 0;
  std::vector<std::int32_t> host_lengths_, host_table_;
  cuda::DeviceArray<std::int32_t> lengths_, table_, pages_;
  Step step_, host_step_;
};

}  // namespace pkv::cuda_bench
