#include "shortlist.hpp"

#include "route_work.hpp"
#include "rules.hpp"

#include <algorithm>
#include <cmath>
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

Shortlist::CutFloor Shortlist::cut_floor_of(const DeviceProfile& profile, const RouteFit& fit) noexcept {
  const double share = cautious(profile, fit);
  CutFloor cut;
  cut.slots = profile.num_sms * fit.resident_ctas_per_sm;
  cut.tail_us = share * at(fit.us, CostTerm::kTailKtokens) / 1e3;
  cut.task_us = share * at(fit.us, CostTerm::kTasksPerSlot) / cut.slots;
  cut.state_us = share * at(fit.us, CostTerm::kMergeMib) * state_mib(fit.head_dim);
  cut.second_launch_us = share * at(fit.us, CostTerm::kExtraLaunch);
  return cut;
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
  cuts_.reserve(profile.candidates.size());
  fitted_.reserve(profile.candidates.size());
  for (const RouteCandidate& candidate : profile.candidates) {
    const RouteFit* fit = candidate.fit(group_size_, head_dim_, dtype_);
    if (fit == nullptr) continue;
    if (!safe_ && candidate.route == profile.safe_route) safe_ = fitted_.size();
    Floor& floor = floors_.emplace_back();
    floor.us = floor_us_of(profile, *fit, candidate.plan.value_or(PlanFit{}));
    floor.route = candidate.route;
    if (is_flashinfer(candidate.route)) {
      floor.cut = cuts_.size();
      cuts_.push_back(cut_floor_of(profile, *fit));
    }
    fitted_.push_back({candidate.splits, candidate.plan, *fit});
  }
  const auto is_gated = [&](const Gate& gate) { return gate.applies_to(profile.safe_route); };
  if (safe_ && margin_ == 1 && std::none_of(profile.gates.begin(), profile.gates.end(), is_gated))
    always_ = {floors_[*safe_].route, fitted_[*safe_].splits};
}

std::optional<Choice> Shortlist::settled(const PolicyInput& input, const RouteOffer& offer) const noexcept {
  if (!always_ || !offer.routes.contains(always_->route)) return std::nullopt;
  return choice_of(always_->route, always_->splits, input);
}

double Shortlist::floor_us(const Floor& floor, const FloorTerms& terms, const PolicyInput& input,
                           const StepSummary& step, double enough_us) const noexcept {
  std::array<double, 4> sums{};  // that a CPU can keep side by side
  for (std::size_t i = 0; i < kNumFloorTerms; ++i) sums[i % sums.size()] += floor.us[i] * terms[i];
  const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return floor.cut != kNoCut && sum < enough_us ? sum + cuts_[floor.cut].of(input, step) : sum;
}

/// Of whatever chunks the bisection finds: n of them, of c tokens at most, cost tail_us * c + piece_us * n, and hold
/// all tokens: c * n is at least the tokens less one a row. So the cost is at least that of the best n.
double Shortlist::CutFloor::of(const PolicyInput& input, const StepSummary& step) const noexcept {
  const AttentionShape& shape = input.step.shape;
  const auto rows = static_cast<double>(step.active_rows);
  const auto tokens = static_cast<double>(step.kv_tokens);
  const auto longest = static_cast<double>(step.longest_row_tokens);
  const double row_task_us = task_us * shape.num_kv_heads;
  const double whole_us = tail_us * longest + row_task_us * rows;
  const double row_slots = row_slots_of(slots, shape.num_kv_heads);
  if (rows >= row_slots || longest <= kFlashInferLeastChunkTokens) return whole_us;
  const double piece_us = row_task_us + state_us * shape.num_q_heads;
  const double spread_us = tail_us * (tokens - rows);
  const double best = piece_us > 0 ? std::clamp(std::sqrt(spread_us / piece_us), rows, row_slots) : row_slots;
  const double least_tail_us = tail_us * std::max(kFlashInferLeastChunkTokens, tokens / row_slots);
  return std::min(whole_us,
                  second_launch_us + std::max(spread_us / best + piece_us * best, least_tail_us + piece_us * rows));
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
    const double us = floor_us(floors_[i], terms, input, step, least_us);
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
    const double least_us = floor_us(floors_[i], terms, input, step, limit_us);
    if (least_us >= limit_us || least_us > best.cautious_us) continue;
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
