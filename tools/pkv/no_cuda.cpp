// What needs CUDA, in a build without it.

#include "bench.hpp"
#include "cuda_device.hpp"
#include "persistentkv/core/error.hpp"
#include "replay_platform.hpp"
#include "reproduce_platform.hpp"
#include "serving_platform.hpp"
#include "step_timers.hpp"
#include "timeline.hpp"

namespace pkv::cli {

void require_cuda_device(const char* /*otherwise*/) {
  throw Unsupported("this build has no CUDA: run scripts/setup-cuda, or install a toolkit, and build again");
}

std::unique_ptr<Backend> make_cuda_engine() {
  require_cuda_device();
  return nullptr;
}

void bench_cuda(const BenchOptions& /*options*/) { require_cuda_device(); }

void timeline_cuda(const TimelineOptions& /*options*/) { require_cuda_device(); }

std::unique_ptr<calibrate::StepTimer> make_cuda_step_timer(const TimerOptions& /*options*/) {
  require_cuda_device();
  return nullptr;
}

ReplayPlatform make_cuda_platform(const PlatformOptions& /*options*/) {
  require_cuda_device();
  return {};
}

std::unique_ptr<serving::ServingPlatform> make_cuda_serving(const ServingPlatformOptions& /*options*/) {
  require_cuda_device();
  return nullptr;
}

serving::MlpTimes measure_cuda_mlp(std::int64_t /*max_batch*/) { return {}; }

std::string reproduce_device_name() {
  require_cuda_device("");
  return {};
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): where there is CUDA it is kept
ReproducePlatform make_reproduce_platform(std::int64_t /*kv_bytes*/, std::optional<DeviceProfile> /*profile*/) {
  require_cuda_device();
  return {};
}

}  // namespace pkv::cli
