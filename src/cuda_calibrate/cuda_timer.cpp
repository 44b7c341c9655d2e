#include "cuda_timer.hpp"

#include "cuda_bench/bench_kernels.hpp"
#include "cuda_bench/cuda_bench.hpp"
#include "cuda_bench/graph_timer.hpp"
#include "cuda_support/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace pkv::calibrate {

namespace {

// Less than the benchmark's, so that many steps can be timed in a minute.
constexpr int kMostNodes = 96;
constexpr std::int64_t kGraphBytes = 2ll << 30;
// Of L2, at least: loads that ask to be evicted first leave what was there before them.
constexpr std::int64_t kRotatedCaches = 10;

class CudaShapeTimer final : public ShapeTimer {
 public:
  CudaShapeTimer(const cuda_bench::CudaBenchConfig& config, const std::vector<Lengths>& steps,
                 std::vector<Choice> choices, std::vector<std::size_t> variant_of)
      : bench_(config, steps), choices_(std::move(choices)), variant_of_(std::move(variant_of)) {}

  [[nodiscard]] bool fits(const Lengths& lengths) const override { return bench_.fits(lengths); }

  [[nodiscard]] std::vector<fit::RouteTimes> time(const Lengths& lengths) override {
    const cuda_bench::WorkloadTime timed = bench_.run(lengths);
    std::vector<fit::RouteTimes> times;
    times.reserve(choices_.size());
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      times.push_back({choices_[i], 0, {}});
      if (variant_of_[i] == kNoVariant) continue;
      const cuda_bench::VariantTime& variant = timed.variants[variant_of_[i]];
      times.back().plan_us = variant.plan_us;
      times.back().time_us = variant.samples_us;
    }
    return times;
  }

  static constexpr std::size_t kNoVariant = ~std::size_t{0};

 private:
  cuda_bench::CudaBench bench_;
  std::vector<Choice> choices_;
  std::vector<std::size_t> variant_of_;  // by choice
};

class CudaTimer final : public StepTimer {
 public:
  explicit CudaTimer(const CudaTimerConfig& config) : config_(config), backend_(make_cuda_backend(config.backend)) {
    const CudaDeviceInfo& device = backend_->device();
    facts_ = {device.name, device.num_sms, config.driver,
              fmt::format(
                  "one layer in graph replay with cold L2, {}, medians",
                  config.pdl ? "layers chained by programmatic dependent launch" : "no programmatic dependent launch")};
  }

  [[nodiscard]] const TimerFacts& facts() const noexcept override { return facts_; }

  [[nodiscard]] std::unique_ptr<ShapeTimer> open(const TimedShape& shape, std::span<const Choice> choices, int rounds,
                                                 const std::vector<Lengths>& steps) override {
    cuda_bench::CudaBenchConfig config = base(shape);
    config.rounds = rounds;
    config.time_eager = false;
    config.time_readers = false;
    std::vector<std::size_t> variant_of(choices.size(), CudaShapeTimer::kNoVariant);
    for (std::size_t i = 0; i < choices.size(); ++i) {
      if (!runs(choices[i].route, shape)) continue;
      variant_of[i] = config.variants.size();
      config.variants.push_back(variant(choices[i]));
    }
    return std::make_unique<CudaShapeTimer>(config, steps, std::vector(choices.begin(), choices.end()),
                                            std::move(variant_of));
  }

  [[nodiscard]] MeasuredOverheads overheads(const TimedShape& shape, const Lengths& lengths) override {
    MeasuredOverheads measured;
    cuda_bench::CudaBenchConfig config = base(shape);
    config.variants = {variant({Route::kStream})};
    cuda_bench::CudaBench bench(config, {lengths});
    const cuda_bench::WorkloadTime timed = bench.run(lengths);
    measured.page_read_gb_per_s = static_cast<double>(timed.page_bytes) / timed.limit_us() / 1e3;
    measured.launch_us = timed.variants.front().launch_us;

    constexpr int kNodes = 512;
    const cuda::Stream stream;
    cuda_bench::TimedGraph nodes(stream.handle(), [&] {
      for (int i = 0; i < kNodes; ++i) cuda_bench::do_nothing(stream.handle());
    });
    measured.graph_node_us = fit::median(nodes.time_us(7)) / kNodes;
    return measured;
  }

 private:
  [[nodiscard]] cuda_bench::CudaBenchConfig base(const TimedShape& shape) const {
    cuda_bench::CudaBenchConfig config;
    config.shape = shape.shape;
    config.dtype = shape.dtype;
    config.page_size = shape.page_size;
    config.rotate_bytes = std::max(config.rotate_bytes, kRotatedCaches * backend_->device().l2_bytes);
    config.longest_graph_bytes = kGraphBytes;
    config.max_nodes = kMostNodes;
    config.check_outputs = false;
    config.backend = config_.backend;
    config.more_backends = config_.more_backends;
    return config;
  }

  [[nodiscard]] cuda_bench::Variant variant(const Choice& choice) const {
    cuda_bench::Variant variant;
    variant.route = choice.route;
    variant.options.splits = choice.splits;
    if (choice.route == Route::kStream) variant.options.tile_tokens = config_.stream_tile_tokens;
    variant.pdl = config_.pdl;
    return variant;
  }

  [[nodiscard]] bool runs(Route route, const TimedShape& shape) const {
    const auto serves = [&](const Backend& backend) {
      const Capabilities& can = backend.capabilities();
      return can.has_route(route) && can.why_not(shape.shape, shape.dtype, shape.page_size).empty();
    };
    if (serves(*backend_)) return true;
    return std::any_of(config_.more_backends.begin(), config_.more_backends.end(),
                       [&](const auto& backend) { return serves(*backend); });
  }

  CudaTimerConfig config_;
  std::shared_ptr<CudaBackend> backend_;
  TimerFacts facts_;
};

}  // namespace

std::unique_ptr<StepTimer> make_cuda_timer(const CudaTimerConfig& config) {
  return std::make_unique<CudaTimer>(config);
}

}  // namespace pkv::calibrate
