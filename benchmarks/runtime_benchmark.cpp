// What the choice of a step's route costs, once a step: O(batch), and little beside a kernel launch.

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <benchmark/benchmark.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

/// Offers every schedule and runs none.
class IdleBackend : public pkv::Backend {
 public:
  IdleBackend() {
    can_.schedules.assign(pkv::kAllSchedules.begin(), pkv::kAllSchedules.end());
    can_.device_lengths = {pkv::Schedule::kStream};
    can_.own_routes = {pkv::Route::kFlashInferCudaCore, pkv::Route::kFlashInferTensorCore};
    can_.dtypes = {pkv::DType::kF16};
    can_.head_dims = {128};
  }
  [[nodiscard]] std::string_view name() const noexcept override { return "idle"; }
  [[nodiscard]] const pkv::Capabilities& capabilities() const noexcept override { return can_; }
  [[nodiscard]] std::unique_ptr<pkv::PreparedStep> prepare(const pkv::Step&, pkv::Schedule,
                                                           const pkv::PlanOptions&) override {
    throw pkv::Unsupported("idle");
  }
  [[nodiscard]] std::unique_ptr<pkv::PreparedStep> prepare(const pkv::Step&, pkv::WorkPlan) override {
    throw pkv::Unsupported("idle");
  }

 private:
  pkv::Capabilities can_;
};

/// As calibration writes: every route and two more split counts, fitted for ten shapes of which the step's is the last.
pkv::DeviceProfile fitted_profile() {
  pkv::DeviceProfile profile = pkv::find_profile("rtx3060-paper");
  profile.group_sizes = {1, 2, 3, 5, 6, 7, 8, 16, 32, 4};
  profile.gates.clear();
  profile.candidates.clear();
  for (const pkv::Route route : pkv::kRunnableRoutes) profile.candidates.push_back({route});
  for (const int splits : {16, 32}) profile.candidates.push_back({pkv::Route::kWorkqueueFused, splits});
  for (pkv::RouteCandidate& candidate : profile.candidates) {
    candidate.plan = pkv::PlanFit{1, 1, 1};
    for (const int group_size : profile.group_sizes) {
      candidate.fits.emplace_back();
      candidate.fits.back().group_size = group_size;
      candidate.fits.back().us.fill(0.1);
    }
  }
  return profile;
}

std::optional<pkv::DeviceProfile> profile_of(const std::string& kind) {
  if (kind == "none") return std::nullopt;
  return kind == "fitted" ? fitted_profile() : pkv::find_profile(kind);
}

void choose(benchmark::State& state, const std::string& profile, bool on_device) {
  const std::int64_t batch = state.range(0);
  std::mt19937 rng(20260622);
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(batch));
  for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(rng() % 32768 + 1);
  std::vector<std::int32_t> table(1);  // page ids are not read
  pkv::Step step;
  step.batch = batch;
  step.num_pages = batch * 2048;
  step.lengths.values = pkv::IndexView::host(lengths.data(), batch);
  step.table = pkv::PageTableView::dense(table.data(), batch, 2048);
  if (on_device) step.lengths.values.space = pkv::MemorySpace::kDevice;
  const pkv::Runtime runtime(profile_of(profile), {std::make_shared<IdleBackend>()});
  for (auto _ : state) benchmark::DoNotOptimize(runtime.choose(step));
  state.SetComplexityN(batch);
}
#define PKV_BENCHMARK_CHOICE(name, profile, on_device) \
  BENCHMARK_CAPTURE(choose, name, profile, on_device)->RangeMultiplier(8)->Range(8, 4096)->Complexity(benchmark::oN)
PKV_BENCHMARK_CHOICE(profile, "rtx3060-paper", false);
PKV_BENCHMARK_CHOICE(fitted_profile, "fitted", false);
PKV_BENCHMARK_CHOICE(no_profile, "none", false);
PKV_BENCHMARK_CHOICE(bounds, "rtx3060-paper", true);

}  // namespace
