#pragma once

// How a route would cut a step: what the formula and the fits are told of it.

#include "persistentkv/policy/cost_model.hpp"

#include <cstdint>

namespace pkv::detail {

struct RouteWork {
  double ctas = 0;    ///< decode CTAs, all launches
  double states = 0;  ///< (row, split, query head) states to be merged
  int launches = 1;
  int splits = 1;  ///< the largest row's; 0 for `stream`, which has no such number

  // For fits only, summed over launches; a launch's share is its tokens over the slots.
  double depth = 0;        ///< states that one output is merged from, at most
  double tail_tokens = 0;  ///< of the longest task
  double idle_tokens = 0;  ///< by how much that is longer than a share
  double wave_tokens = 0;  ///< the same with as many waves of longest tasks as there are
};

/// As the paper counts: the workqueue takes the largest row's splits for every row.
[[nodiscard]] RouteWork formula_work(const DeviceProfile& profile, Route route, int splits, const PolicyInput& input,
                                     const StepSummary& step);

/// As the planners cut, for a device with `slots` places for CTAs; what FlashInfer's planner does is approximated.
[[nodiscard]] RouteWork fitted_work(int num_sms, double slots, Route route, int splits, const PolicyInput& input,
                                    const StepSummary& step);

/// Rows and chunks of them that FlashInfer's planner has places for.
[[nodiscard]] inline double row_slots_of(double slots, int num_kv_heads) noexcept {
  const std::int64_t whole = static_cast<std::int64_t>(slots) / num_kv_heads;
  return static_cast<double>(whole);
}
/// Its chunks have at least as many tokens.
inline constexpr double kFlashInferLeastChunkTokens = 128;

}  // namespace pkv::detail
