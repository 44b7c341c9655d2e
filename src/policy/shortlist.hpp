#pragma once

// The router's index of a fitted profile: which fits a step's shape has, and which of them cannot win. What every step
// touches lies beside each other: between two steps a GPU takes milliseconds, and the CPU's caches forget.

#include "estimate.hpp"
#include "persistentkv/policy/router.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace pkv::detail {

/// What a candidate costs at least: those of its terms that take no look at how it cuts the step, with its caution.
/// No term is negative, so that no part of a sum is above the whole.
inline constexpr std::size_t kNumFloorTerms = 8;
using FloorTerms = std::array<double, kNumFloorTerms>;

/// The terms of a step, in the order of Shortlist's coefficients.
[[nodiscard]] FloorTerms floor_terms(const PolicyInput& input, const StepSummary& step) noexcept;

/// The candidates that have a fit for one group size, head_dim and dtype.
class Shortlist {
 public:
  Shortlist(const DeviceProfile& profile, const RouteFit& shape);

  [[nodiscard]] bool is_for(int group_size, int head_dim, DType dtype) const noexcept {
    return group_size_ == group_size && head_dim_ == head_dim && dtype_ == dtype;
  }

  /// The ruling of detail::rule() for a step that the profile covers, with as few estimates as it takes: nothing where
  /// no candidate is left. Throws as estimate_cost() does.
  [[nodiscard]] std::optional<Ruling> rule(const DeviceProfile& profile, const PolicyInput& input,
                                           const StepSummary& step, const RouteOffer& offer) const;
  /// As Router::settled().
  [[nodiscard]] std::optional<Choice> settled(const PolicyInput& input, const RouteOffer& offer) const noexcept;

 private:
  /// What FlashInfer's cut of a step costs at least, whatever it is.
  struct CutFloor {
    double slots = 0;             // places for tasks
    double tail_us = 0;           // of a token of the longest task
    double task_us = 0;           // of a task
    double state_us = 0;          // of a (chunk, query head) to be merged
    double second_launch_us = 0;  // where any row is cut

    [[nodiscard]] double of(const PolicyInput& input, const StepSummary& step) const noexcept;
  };
  static constexpr std::size_t kNoCut = ~std::size_t{0};
  struct Floor {
    FloorTerms us{};           // of a unit of each floor term
    std::size_t cut = kNoCut;  // of cuts_: the part of a floor that few candidates have
    Route route = Route::kStream;
  };
  struct Fitted {
    int splits = 0;
    std::optional<PlanFit> plan;
    RouteFit fit;
  };

  [[nodiscard]] static CutFloor cut_floor_of(const DeviceProfile& profile, const RouteFit& fit) noexcept;
  [[nodiscard]] CostEstimate estimate(std::size_t candidate, const PolicyInput& input, const StepSummary& step) const;
  /// Where the floor terms alone come to `enough_us`, those.
  [[nodiscard]] double floor_us(const Floor& floor, const FloorTerms& terms, const PolicyInput& input,
                                const StepSummary& step, double enough_us) const noexcept;
  [[nodiscard]] std::size_t likely(RouteSet routes, const FloorTerms& terms, const PolicyInput& input,
                                   const StepSummary& step) const noexcept;

  int group_size_;
  int head_dim_;
  DType dtype_;
  int num_sms_;
  double caution_;
  double margin_;
  bool has_gates_;
  std::optional<Choice> always_;     // what settled() offers: the route and the candidate's splits
  std::optional<std::size_t> safe_;  // first candidate of the safe route
  std::vector<Floor> floors_;        // of the candidates that have a fit, in the profile's order
  std::vector<CutFloor> cuts_;
  std::vector<Fitted> fitted_;  // the same ones: most steps look at few
};

/// One for each shape that the profile has fits for; none where it has no fits.
[[nodiscard]] std::vector<Shortlist> shortlists_of(const DeviceProfile& profile);

}  // namespace pkv::detail
