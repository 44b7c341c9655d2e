#pragma once

// A decode problem whose memory stays where it is while its lengths, pages and numbers change: what a serving engine
// does to the arrays that a graph was captured with.

#include "conformance/expectation.hpp"
#include "cuda/engine_test.hpp"
#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv::testing {

struct Dimensions {
  AttentionShape shape{.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 128};
  DType dtype = DType::kF16;
  DType out_dtype = DType::kF16;
  int page_size = 16;
  std::int64_t batch = 1;
  std::int64_t pages_per_row = 1;             ///< that the table has room for
  std::int64_t num_pages = 0;                 ///< of the pool; 0: as many as the table holds, and two more
  bool fill_unused = false;                   ///< slots of no token are numbers too, not NaN
  double lse_limit = conformance::kLseLimit;  ///< absolute error of an LSE that is allowed

  [[nodiscard]] std::int32_t capacity_tokens() const { return static_cast<std::int32_t>(pages_per_row) * page_size; }
};

class PagedProblem {
 public:
  PagedProblem(const Dimensions& dimensions, conformance::Random& random);

  /// New pages, q, K and V for rows of these lengths, on the host and on the device. Slots of no token are NaN, entries
  /// of no page garbage.
  void draw(std::span<const std::int32_t> lengths);
  /// Lengths from 0 to `most`, one row in five empty, and one of `most`.
  [[nodiscard]] std::vector<std::int32_t> random_lengths(std::int32_t most);

  /// Row `row`'s first token outweighs a typical one by exp(`nats`) for every head, and its value is 0: an attention
  /// sink. For groups of one head.
  void place_sink(std::int64_t row, double nats);

  /// As the oracle reads it; what a test changes here is not on the device.
  std::vector<std::int32_t>& lengths() { return lengths_; }
  std::vector<std::int32_t>& entries() { return entries_; }  // [batch, pages_per_row]
  [[nodiscard]] Step host_step() const;
  [[nodiscard]] Layer host_layer() const;

  [[nodiscard]] Step device_step() const;
  [[nodiscard]] Layer device_layer() const;
  [[nodiscard]] DeviceBytes& device_k() { return device_k_; }
  [[nodiscard]] DeviceBytes& device_v() { return device_v_; }

  void poison_outputs(cudaStream_t stream = nullptr);
  /// Copies outputs here. Says what is wrong where a guard beside them was written.
  [[nodiscard]] std::string download();
  /// What is wrong with the outputs that download() brought, by the rules of conformance::Expectation; empty if
  /// nothing.
  [[nodiscard]] std::string wrong_row(std::int64_t row) const;
  [[nodiscard]] std::string wrong_group(std::int64_t row, int kv_head) const;
  /// Of every row, after a download.
  [[nodiscard]] std::string disagreement();
  [[nodiscard]] bool row_is_poison(std::int64_t row) const;
  [[nodiscard]] const std::vector<std::byte>& out() const noexcept { return out_; }

 private:
  void fill(std::vector<std::byte>& to, std::int64_t first, std::int64_t count);
  void fill_tokens(std::int64_t row);
  [[nodiscard]] std::string wrong_head(const std::vector<double>& expected, double lse, std::int64_t row,
                                       int head) const;

  Dimensions dimensions_;
  conformance::Random& random_;
  std::vector<std::int32_t> lengths_, entries_;
  std::vector<std::byte> k_, v_, q_, out_;
  std::vector<float> lse_;
  DeviceIndices<std::int32_t> device_lengths_, device_entries_;
  DeviceBytes device_k_, device_v_, device_q_, device_out_, device_lse_;
};

}  // namespace pkv::testing
