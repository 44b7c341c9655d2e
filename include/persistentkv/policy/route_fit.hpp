#pragma once

/// A route's fitted cost: a sum of features of the step, each times a coefficient that is not negative. Which features
/// there are, and what each stands for, is fixed here; the coefficients are a profile's data (docs/design/policy.md).

#include "persistentkv/core/dtype.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pkv {

/// The features. A *task* is what one CTA reads; a *slot* is a place for one, num_sms * resident_ctas_per_sm in all;
/// a *share* is the tokens of a launch, all KV heads, over the slots. Sums over launches where a route has several.
enum class CostTerm : std::uint8_t {
  kConstant,      ///< 1
  kExtraLaunch,   ///< launches beyond the first
  kKvMib,         ///< K and V of the tokens attended
  kFirstKvMib,    ///< of these the first 64: what the rate of a short step falls short of that of a long one
  kMiddleKvMib,   ///< of these the first 512
  kKiloPages,     ///< pages of all rows and KV heads, in thousands: look-ups in the block table
  kTailKtokens,   ///< the longest task, in thousands of tokens: nobody is done before it
  kIdleKtokens,   ///< how much longer than a share it is
  kWaveKtokens,   ///< how much longer than a share it is, times the waves of tasks
  kTasksPerSlot,  ///< tasks over slots: beginning and ending them
  kMergeMib,      ///< (row, split, query head) states of 2 + head_dim floats, as written
  kMergeDepth,    ///< states that one output is merged from, at most
  kKiloRows,      ///< rows with tokens, in thousands
};

inline constexpr std::size_t kNumCostTerms = 13;

inline constexpr std::array kAllCostTerms = {
    CostTerm::kConstant,    CostTerm::kExtraLaunch,  CostTerm::kKvMib,       CostTerm::kFirstKvMib,
    CostTerm::kMiddleKvMib, CostTerm::kKiloPages,    CostTerm::kTailKtokens, CostTerm::kIdleKtokens,
    CostTerm::kWaveKtokens, CostTerm::kTasksPerSlot, CostTerm::kMergeMib,    CostTerm::kMergeDepth,
    CostTerm::kKiloRows,
};

/// "constant", "extra_launch", "kv_mib", ...: the names of JSON and of explanations.
[[nodiscard]] std::string_view to_string(CostTerm term) noexcept;

/// The inverse of to_string. Throws InvalidArgument, naming the terms there are.
[[nodiscard]] CostTerm parse_cost_term(std::string_view text);

/// A number for each term, in the order of kAllCostTerms.
using CostTerms = std::array<double, kNumCostTerms>;

[[nodiscard]] constexpr double& at(CostTerms& terms, CostTerm term) noexcept {
  return terms[static_cast<std::size_t>(term)];
}
[[nodiscard]] constexpr double at(const CostTerms& terms, CostTerm term) noexcept {
  return terms[static_cast<std::size_t>(term)];
}

/// How far predictions of steps that a fit had not seen were off: |predicted / measured - 1|.
struct FitError {
  int steps = 0;
  double mean = 0;
  double median = 0;
  double max = 0;

  friend bool operator==(const FitError&, const FitError&) = default;
};

/// What one layer costs on a route, for shapes with this group size, head_dim and dtype.
struct RouteFit {
  int group_size = 1;
  int head_dim = 128;
  DType dtype = DType::kF16;
  double resident_ctas_per_sm = 1;  ///< slots of an SM; (0, 64]
  CostTerms us{};                   ///< microseconds of one unit of each term, >= 0
  FitError error;                   ///< by cross-validation

  friend bool operator==(const RouteFit&, const RouteFit&) = default;
};

/// What the host pays once a step, however many layers the step has, in microseconds; each >= 0.
struct PlanFit {
  double step_us = 0;
  double row_us = 0;   ///< for each row with tokens
  double task_us = 0;  ///< for each task that the host lists

  friend bool operator==(const PlanFit&, const PlanFit&) = default;
};

}  // namespace pkv
