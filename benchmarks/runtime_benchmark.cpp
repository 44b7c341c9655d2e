// What the choice of a step's route costs, once a step: O(batch), and little beside a kernel launch.

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

/// Offers every route for one head_dim and runs none.
class IdleBackend : public pkv::Backend {
 public:
  explicit IdleBackend(int head_dim) {
    can_.schedules.assign(pkv::kAllSchedules.begin(), pkv::kAllSchedules.end());
    can_.device_lengths = {pkv::Schedule::kStream};
    can_.own_routes = {pkv::Route::kFlashInferCudaCore, pkv::Route::kFlashInferTensorCore};
    can_.dtypes = {pkv::DType::kF16};
    can_.head_dims = {head_dim};
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

/// "fitted" is the one that PKV_BENCHMARK_PROFILE names, where it names one.
std::optional<pkv::DeviceProfile> profile_of(const std::string& kind) {
  if (kind == "none") return std::nullopt;
  if (kind != "fitted") return pkv::find_profile(kind);
  const char* given = std::getenv("PKV_BENCHMARK_PROFILE");
  return given != nullptr ? pkv::find_profile(given) : fitted_profile();
}

/// More than the caches of a core hold.
class OtherWork {
 public:
  void run() {
    for (std::size_t i = 0; i < memory_.size(); i += 64) ++memory_[i];
    benchmark::DoNotOptimize(memory_.data());
  }

 private:
  std::vector<char> memory_ = std::vector<char>(64 << 20);
};

struct Case {
  std::string profile;
  bool on_device = false;
  int layers_per_plan = 32;
  bool cold = false;  // as after a step of milliseconds
};

void choose(benchmark::State& state, const Case& is) {
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
  if (is.on_device) step.lengths.values.space = pkv::MemorySpace::kDevice;
  const pkv::Runtime runtime(profile_of(is.profile),
                             {std::make_shared<IdleBackend>(64), std::make_shared<IdleBackend>(128)},
                             {.layers_per_plan = is.layers_per_plan});
  if (!is.cold) {
    for (auto _ : state) benchmark::DoNotOptimize(runtime.choose(step));
    return;
  }
  OtherWork other;
  std::vector<double> times_ns;
  for (auto _ : state) {
    other.run();
    const auto begin = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(runtime.choose(step));
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    state.SetIterationTime(time.count());
    times_ns.push_back(time.count() * 1e9);
  }
  const auto middle = times_ns.begin() + static_cast<std::ptrdiff_t>(times_ns.size() / 2);
  std::nth_element(times_ns.begin(), middle, times_ns.end());
  state.counters["median_ns"] = *middle;  // others' work disturbs a mean
}
#define PKV_BENCHMARK_CHOICE(name, ...) \
  BENCHMARK_CAPTURE(choose, name, Case{__VA_ARGS__})->Arg(1)->Arg(8)->Arg(64)->Arg(1024)
PKV_BENCHMARK_CHOICE(profile, "rtx3060-paper");
PKV_BENCHMARK_CHOICE(fitted_profile, "fitted");
PKV_BENCHMARK_CHOICE(one_layer, .profile = "fitted", .layers_per_plan = 1);
PKV_BENCHMARK_CHOICE(no_profile, "none");
PKV_BENCHMARK_CHOICE(bounds, .profile = "rtx3060-paper", .on_device = true);
#define PKV_BENCHMARK_COLD(name, ...) \
  PKV_BENCHMARK_CHOICE(name, __VA_ARGS__, .cold = true)->UseManualTime()->Iterations(200)
PKV_BENCHMARK_COLD(cold_fitted_profile, .profile = "fitted");
PKV_BENCHMARK_COLD(cold_one_layer, .profile = "fitted", .layers_per_plan = 1);
PKV_BENCHMARK_COLD(cold_no_profile, .profile = "none");

}  // namespace
