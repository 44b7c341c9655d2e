#pragma once

// What a choice depends on, copied from a step: explain() can tell of it later, when the caller's arrays hold the next
// step's lengths.

#include "persistentkv/core/step.hpp"
#include "persistentkv/policy/cost_model.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pkv::detail {

struct StepFacts {
  AttentionShape shape;
  DType dtype = DType::kF16;
  int page_size = 16;
  bool from_bounds = false;  // lengths are on a device
  bool on_device = false;    // they are, or a part of the block table

  /// [batch] tokens, or their bounds.
  [[nodiscard]] std::span<const std::int32_t> lengths() const noexcept { return {data(), batch_}; }
  /// [batch] tokens that the table's entries hold; empty where not known.
  [[nodiscard]] std::span<const std::int32_t> capacities() const noexcept { return {data() + batch_, size_ - batch_}; }

  /// Throws InvalidArgument for a step that validate_rows() refuses, and for a hint out of its bounds. Of
  /// hint.host_step, where there is one.
  StepFacts(const Step& step, const StepHint& hint);
  /// Of `step` as it is; `max_length_tokens` as in StepHint.
  StepFacts(const Step& step, std::int64_t max_length_tokens);

  /// Borrows from this.
  [[nodiscard]] PolicyInput input(const RuntimeOptions& options) const {
    return {{shape, lengths(), capacities()}, dtype, options.plan, options.device_name, page_size,
            options.layers_per_plan};
  }

 private:
  [[nodiscard]] const std::int32_t* data() const noexcept { return size_ > few_.size() ? many_.data() : few_.data(); }

  std::size_t batch_ = 0;
  std::size_t size_ = 0;
  // Lengths, then capacities; of few rows without a look at the heap.
  std::array<std::int32_t, 32> few_{};
  std::vector<std::int32_t> many_;
};

}  // namespace pkv::detail
