#pragma once

// Pages, queries and outputs for steps of any shape.

#include "cuda_support/memory.hpp"
#include "persistentkv/core/kv_cache_view.hpp"
#include "persistentkv/core/step.hpp"
#include "reproduce/bench.hpp"

#include <cstdint>

namespace pkv::cuda_reproduce {

/// FP16, random. One allocation of K and one of V, which every shape cuts into pages of its own.
class Pool {
 public:
  explicit Pool(std::int64_t kv_bytes);

  /// Throws InvalidArgument where the step's pages, or its rows of queries, are more than there are.
  [[nodiscard]] KvCacheView kv(const Step& step) const;
  /// K, V and q of one row; host memory. `page_table` as Step::table, on the host.
  [[nodiscard]] reproduce::RowOnHost download(const Step& step, std::int64_t row) const;
  void require_rows(const reproduce::BenchStep& step) const;

  /// A row of q or out, in bytes.
  [[nodiscard]] static std::int64_t row_bytes(const AttentionShape& shape) noexcept {
    return std::int64_t{2} * shape.num_q_heads * shape.head_dim;
  }

  [[nodiscard]] unsigned char* q() const noexcept { return q_.get(); }
  [[nodiscard]] unsigned char* out() const noexcept { return out_.get(); }
  [[nodiscard]] unsigned char* gathered_q() const noexcept { return gathered_q_.get(); }
  [[nodiscard]] unsigned char* gathered_out() const noexcept { return gathered_out_.get(); }

 private:
  std::int64_t half_bytes_;
  cuda::DeviceArray<unsigned char> k_, v_, q_, out_, gathered_q_, gathered_out_;
};

}  // namespace pkv::cuda_reproduce
