#include "cuda_platform.hpp"

#include "cuda_support/check.hpp"
#include "persistentkv/core/error.hpp"
#include "serving_memory.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace pkv::cuda_serving {

namespace {

using serving::StepAsk;
using serving::StepTimes;

class CudaExecutor final : public serving::StepExecutor {
 public:
  CudaExecutor(ServingMemory& memory, serving::RoutedRuntime runtime, int device)
      : memory_(memory), runtime_(std::move(runtime)), device_(device) {}

  [[nodiscard]] StepTimes run(const StepView& view, const StepAsk& ask) override {
    const cuda::DeviceGuard guard(device_);
    memory_.begin_step(view);
    StepTimes times = run_once(view);
    // A route's first step loads its kernels and takes its memory.
    if (!seen_.contains(times.route)) {
      seen_.insert(times.route);
      times = run_once(view);
    }
    if (ask.check) times.relative_error = memory_.relative_error();
    if (ask.limit) times.limit_us = memory_.read_limit_us();
    return times;
  }

 private:
  StepTimes run_once(const StepView& view) {
    StepTimes times;
    StepHint hint;
    hint.host_step = &memory_.host_step();
    RuntimeStep prepared = runtime_.prepare(view, memory_.device_step(), hint, times);
    auto& step = dynamic_cast<CudaPreparedStep&>(prepared.prepared());
    // Layers are chained, as those of a model may be; nobody writes K or V between them.
    times.attention_us = memory_.time_layers([&](const Layer& layer, cudaStream_t stream) {
      step.run(layer, stream, {.programmatic_dependent_launch = true});
    });
    // The table was valid when it was uploaded: an error here is the engine's.
    if (step.take_errors(memory_.stream()).any())
      throw CudaError(fmt::format("{} reports bad lengths or pages", to_string(times.route)));
    return times;
  }

  ServingMemory& memory_;
  serving::RoutedRuntime runtime_;
  int device_;
  RouteSet seen_;
};

class CudaPlatform final : public serving::ServingPlatform {
 public:
  CudaPlatform(const std::shared_ptr<CudaBackend>& engine, std::vector<std::shared_ptr<Backend>> more_backends,
               const CudaServingOptions& options)
      : device_(engine->device()),
        guard_(device_.ordinal),
        options_(options),
        backends_(std::move(more_backends)),
        memory_(options.routed, options.max_active, options.run_layers, device_) {
    backends_.insert(backends_.begin(), engine);
  }

  [[nodiscard]] std::string why_not(Route route) const override {
    return serving::why_not(options_.routed, backends_, route);
  }
  [[nodiscard]] std::unique_ptr<serving::StepExecutor> executor(Route route) override {
    return std::make_unique<CudaExecutor>(memory_, serving::RoutedRuntime(options_.routed, backends_, route),
                                          device_.ordinal);
  }
  [[nodiscard]] std::string name() const override {
    return fmt::format("cuda, {}, {} SMs; {} layers are run each step, one after the other", device_.name,
                       device_.num_sms, options_.run_layers);
  }
  [[nodiscard]] std::string cache_state() const override { return memory_.cold_l2().describe(); }

 private:
  CudaDeviceInfo device_;
  cuda::DeviceGuard guard_;  // for as long as memory is made and freed
  CudaServingOptions options_;
  std::vector<std::shared_ptr<Backend>> backends_;  // the engine first
  ServingMemory memory_;
};

}  // namespace

std::unique_ptr<serving::ServingPlatform> make_cuda_platform(const std::shared_ptr<CudaBackend>& engine,
                                                             std::vector<std::shared_ptr<Backend>> more_backends,
                                                             const CudaServingOptions& options) {
  const serving::RoutedOptions& routed = options.routed;
  if (const std::string why = engine->capabilities().why_not(routed.shape, routed.dtype, routed.page_size);
      !why.empty())
    throw Unsupported(why);
  return std::make_unique<CudaPlatform>(engine, std::move(more_backends), options);
}

}  // namespace pkv::cuda_serving
