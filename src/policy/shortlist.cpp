#include "shortlist.hpp"

#include "rules.hpp"

#include <algorithm>
#include <limits>

namespace pkv::detail {

namespace {

// Sums in another order differ in their last bits: a floor is lowered by more than that.
constexpr double kRounding = 1 - 1e-9;

double cautious(const DeviceProfile& profile, const RouteFit& fit) noexcept {
  return (1 + profile.caution * fit.error.mean) * kRounding;
}

bool is_flashinfer(Route route) noexcept {
  return route == Route::kFlashInferCudaCore || route == Route::kFlashInferTensorCore;
}

FloorTerms floor_us_of(const DeviceProfile& profile, const RouteFit& fit, const PlanFit& plan) {
  FloorTerms us = {at(fit.us, CostTerm::kConstant),
                   at(fit.us, CostTerm::kKvMib),
                   at(fit.us, CostTerm::kFirstKvMib),
                   at(fit.us, CostTerm::kMiddleKvMib),
                   at(fit.us, CostTerm::kKiloPages),
                   at(fit.us, CostTerm::kKiloRows),
                   plan.step_us,
                   plan.row_us};
  for (double& value : us) value *= cautious(profile, fit);
  return us;
}

/// Of the routes offered, those that pass every gate.
RouteSet admitted(const DeviceProfile& profile, const StepSummary& step, RouteSet offered) {
  RouteSet failed;
  for (const Gate& gate : profile.gates)
    if (!gate.admits(step.value(gate.quantity)))
      for (const Route route : gate.routes) failed.insert(route);
  if (failed.empty()) return offered;
  RouteSet routes;
  for (const Route route : kRunnableRoutes)
    if (offered.contains(route) && !failed.contains(route)) routes.insert(route);
  return routes;
}

}  // namespace

FloorTerms floor_terms(const PolicyInput& input, const StepSummary& step) noexcept {
  const auto rows = static_cast<double>(step.active_rows);
  const double per_layer = input.layers_per_plan > 0 ? 1.0 / input.layers_per_plan : 0.0;
  return {1,
          step.kv_mib,
          std::min(step.kv_mib, kFirstMib),
          std::min(step.kv_mib, kMiddleMib),
          kilo_pages(input, step),
          rows / 1e3,
          per_layer,
          per_layer * rows};
}

Shortlist::Shortlist(const DeviceProfile& profile, const RouteFit& shape)
    : group_size_(shape.group_size),
      head_dim_(shape.head_dim),
      dtype_(shape.dtype),
      num_sms_(profile.num_sms),
      caution_(profile.caution),
      margin_(profile.margin),
      has_gates_(!profile.gates.empty()) {
  floors_.reserve(profile.candidates.size());
  fitted_.reserve(profile.candidates.size());
  for (const RouteCandidate& candidate : profile.candidates) {
    const RouteFit* fit = candidate.fit(group_size_, head_dim_, dtype_);
    if (fit == nullptr) continue;
    if (!safe_ && candidate.route == profile.safe_route) safe_ = fitted_.size();
    Floor& floor = floors_.emplace_back();
    floor.us = floor_us_of(profile, *fit, candidate.plan.value_or(PlanFit{}));
    if (is_flashinfer(candidate.route))
      floor.tail_us = at(fit->us, CostTerm::kTailKtokens) / 1e3 * cautious(profile, *fit);
    floor.slots = profile.num_sms * fit->resident_ctas_per_sm;
    floor.route = candidate.route;
    fitted_.push_back({candidate.splits, candidate.plan, *fit});
  }
}

double Shortlist::Floor::of(const FloorTerms& terms, const PolicyInput& input, const StepSummary& step) const noexcept {
  std::array<double, 4> sums{};  // that a CPU can keep side by side
  for (std::size_t i = 0; i < kNumFloorTerms; ++i) sums[i % sums.size()] += us[i] * terms[i];
  const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  if (tail_us == 0) return sum;
  // FlashInfer makes a chunk of each row or as many as have a place, and no token is in none.
  const double most_chunks =
      std::max({1.0, static_cast<double>(step.active_rows), slots / input.step.shape.num_kv_heads});
  return sum + tail_us * static_cast<double>(step.kv_tokens) / most_chunks;
}

CostEstimate Shortlist::estimate(std::size_t candidate, const PolicyInput& input, const StepSummary& step) const {
  const Fitted& fitted = fitted_[candidate];
  return estimate_by_fit(num_sms_, caution_,
                         {floors_[candidate].route, fitted.splits, fitted.fit, fitted.plan ? &*fitted.plan : nullptr},
                         input, step);
}

/// The one with the least floor; floors_.size() where none is left.
std::size_t Shortlist::likely(RouteSet routes, const FloorTerms& terms, const PolicyInput& input,
                              const StepSummary& step) const noexcept {
  std::size_t least = floors_.size();
  double least_us = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < floors_.size(); ++i) {
    if (!routes.contains(floors_[i].route)) continue;
    const double us = floors_[i].of(terms, input, step);
    if (least < floors_.size() && us >= least_us) continue;
    least = i;
    least_us = us;
  }
  return least;
}

std::optional<Ruling> Shortlist::rule(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step,
                                      const RouteOffer& offer) const {
  check_options(input);
  const RouteSet routes = has_gates_ ? admitted(profile, step, offer.routes) : offer.routes;
  const FloorTerms terms = floor_terms(input, step);
  // Where there is a margin, the safe route's estimate less it is a limit for all others.
  const bool has_limit = margin_ > 0 && safe_ && routes.contains(floors_[*safe_].route);
  const std::size_t first = has_limit ? *safe_ : likely(routes, terms, input, step);
  if (first == floors_.size()) return std::nullopt;

  struct Estimated {
    std::size_t candidate = 0;
    double us = 0;
    double cautious_us = 0;
  };
  const auto ask = [&](std::size_t candidate) -> Estimated {
    const CostEstimate made = estimate(candidate, input, step);
    return {candidate, made.total_us, made.cautious_us};
  };
  const Estimated asked_first = ask(first);
  const double limit_us = has_limit ? asked_first.cautious_us * (1 - margin_) : std::numeric_limits<double>::infinity();
  Estimated best = asked_first;
  for (std::size_t i = 0; i < floors_.size(); ++i) {
    if (i == first || !routes.contains(floors_[i].route)) continue;
    const double floor_us = floors_[i].of(terms, input, step);
    if (floor_us >= limit_us || floor_us > best.cautious_us) continue;
    const Estimated here = ask(i);
    const bool before = here.cautious_us == best.cautious_us && i < best.candidate;  // among equals the first
    if (here.cautious_us < best.cautious_us || before) best = here;
  }
  if (best.cautious_us >= limit_us) best = asked_first;
  return Ruling{choice_of(floors_[best.candidate].route, fitted_[best.candidate].splits, input), Grounds::kEstimate,
                best.us};
}

std::vector<Shortlist> shortlists_of(const DeviceProfile& profile) {
  std::vector<Shortlist> lists;
  for (const RouteCandidate& candidate : profile.candidates) {
    lists.reserve(lists.size() + candidate.fits.size());
    for (const RouteFit& fit : candidate.fits) {
      const auto same = [&](const Shortlist& list) { return list.is_for(fit.group_size, fit.head_dim, fit.dtype); };
      if (std::none_of(lists.begin(), lists.end(), same)) lists.emplace_back(profile, fit);
    }
  }
  return lists;
}

}  // namespace pkv::detail
