#pragma once

// A pool far larger than any cache, cut into steps whose pages are scattered over it.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/measure/cpu_bench.hpp"
#include "persistentkv/measure/huge_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pkv::detail {

class RotatingSteps {
 public:
  /// Uses shape, dtype, layout, page_size, lengths, min_pool_bytes and seed. Throws InvalidArgument.
  explicit RotatingSteps(const CpuBenchConfig& config);

  /// The step after the last one given, the first after the last.
  [[nodiscard]] const Step& next() noexcept { return steps_[advance()]; }
  /// A contiguous stretch of the pool, as large as a step's pages, that takes its turn among the steps.
  [[nodiscard]] std::span<const std::byte> next_stretch() noexcept;
  /// Serves all steps.
  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }
  [[nodiscard]] int count() const noexcept { return static_cast<int>(steps_.size()); }
  [[nodiscard]] std::int64_t pool_bytes() const noexcept { return pool_.size_bytes(); }

 private:
  std::size_t advance() noexcept { return cursor_ = (cursor_ + 1) % steps_.size(); }

  std::vector<std::int32_t> lengths_;
  std::vector<std::int32_t> tables_;  // [steps, batch, max_pages]
  std::vector<Step> steps_;
  HugeBuffer pool_;
  std::vector<std::byte> q_, out_;
  Layer layer_;
  std::size_t cursor_ = 0;
};

}  // namespace pkv::detail
