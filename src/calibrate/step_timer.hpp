#pragma once

// What times steps on routes, wherever they run.

#include "fit/samples.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pkv::calibrate {

using Lengths = std::vector<std::int32_t>;  // [batch] tokens

/// What steps that are timed together have in common.
struct TimedShape {
  AttentionShape shape;
  DType dtype = DType::kF16;
  int page_size = 16;

  [[nodiscard]] std::int64_t kv_bytes_per_token() const noexcept {
    return 2ll * shape.num_kv_heads * shape.head_dim * size_bytes(dtype);
  }
};

/// Who is timed, and how.
struct TimerFacts {
  std::string device_name;  ///< as profiles name it
  int num_workers = 1;      ///< SMs, or threads
  std::string driver;       ///< and versions; free text
  std::string method;       ///< how a time comes about; free text
};

/// Steps of one shape on some choices, taking turns on the same memory.
class ShapeTimer {
 public:
  virtual ~ShapeTimer() = default;
  ShapeTimer(const ShapeTimer&) = delete;
  ShapeTimer& operator=(const ShapeTimer&) = delete;

  /// Whether the memory holds the rows' pages.
  [[nodiscard]] virtual bool fits(const Lengths& lengths) const = 0;
  /// One entry a choice, in their order; without times for those that do not run steps of this shape.
  [[nodiscard]] virtual std::vector<fit::RouteTimes> time(const Lengths& lengths) = 0;

 protected:
  ShapeTimer() = default;
};

class StepTimer {
 public:
  virtual ~StepTimer() = default;
  StepTimer(const StepTimer&) = delete;
  StepTimer& operator=(const StepTimer&) = delete;

  [[nodiscard]] virtual const TimerFacts& facts() const noexcept = 0;
  /// Every choice is timed `rounds` times a step. `steps` are those to come, or the largest of them: they decide how
  /// much memory is taken, which may be less where there is not enough. One at a time.
  [[nodiscard]] virtual std::unique_ptr<ShapeTimer> open(const TimedShape& shape, std::span<const Choice> choices,
                                                         int rounds, const std::vector<Lengths>& steps) = 0;
  /// Reading pages, launches and nodes; merge_us_per_mib is left 0. `lengths` is a step long enough to read at full
  /// speed.
  [[nodiscard]] virtual MeasuredOverheads overheads(const TimedShape& shape, const Lengths& lengths) = 0;

 protected:
  StepTimer() = default;
};

}  // namespace pkv::calibrate
