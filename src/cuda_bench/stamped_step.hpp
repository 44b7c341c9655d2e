#pragma once

// One cold step whose kernels stamp their own time.

#include "cuda_bench.hpp"
#include "timeline/step_timeline.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace pkv::cuda_bench {

struct StampedStepConfig {
  AttentionShape shape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128, .softmax_scale = 0.0};
  DType dtype = DType::kF16;
  int page_size = 16;
  int rounds = 9;        ///< of which the median in duration is kept
  bool chained = false;  ///< behind another step, on other pages, by programmatic dependent launch; else alone
  std::uint32_t seed = 1;
  CudaBackendConfig backend;
};

struct StampedStep {
  timeline::StepTimeline timeline;   ///< of the median round
  std::vector<double> durations_us;  ///< of all rounds, sorted
  double time_us = 0.0;              ///< between events, without stamps: the kernels as they are; median. 0 if chained
  double stamped_time_us = 0.0;      ///< between events, with stamps; likewise
  double plan_us = 0.0;              ///< host time to prepare the step
};

/// One step's lengths, under any schedule.
class StampedSteps {
 public:
  /// Throws CudaError where the step does not fit in the GPU's memory.
  StampedSteps(const StampedStepConfig& config, const std::vector<std::int32_t>& lengths);
  ~StampedSteps();
  StampedSteps(const StampedSteps&) = delete;
  StampedSteps& operator=(const StampedSteps&) = delete;

  [[nodiscard]] const CudaDeviceInfo& device() const noexcept;
  [[nodiscard]] std::int64_t kv_bytes() const noexcept;
  /// The fastest reader of the step's pages, as cold, between events; median.
  [[nodiscard]] double limit_us();
  /// Throws Unsupported for shapes and dtypes that have no kernels that stamp.
  [[nodiscard]] StampedStep run(Schedule schedule, const PlanOptions& options);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pkv::cuda_bench
