#include "host_platform.hpp"

#include "persistentkv/core/error.hpp"
#include "replay/accuracy.hpp"
#include "replay/elapsed.hpp"
#include "replay/kv_pool.hpp"

#include <fmt/format.h>

#include <chrono>
#include <random>
#include <utility>
#include <vector>

namespace pkv::serving {

namespace {

/// One layer's pages, and queries and outputs for the largest batch so far.
struct HostMemory {
  HostMemory(const RoutedOptions& options, int num_threads)
      : shape(options.shape),
        dtype(options.dtype),
        pool(options.shape, options.dtype, options.page_size, options.num_pages, options.seed),
        readers(num_threads),
        evictor(readers, pool, options.shape),
        random(options.seed) {}

  [[nodiscard]] Layer layer(const Step& step) {
    const std::int64_t elements = step.batch * shape.num_q_heads * shape.head_dim;
    const auto bytes = static_cast<std::size_t>(elements * size_bytes(dtype));
    if (q.size() < bytes) {
      q.resize(bytes);
      out.resize(bytes);
      std::normal_distribution<float> normal;
      for (std::int64_t i = 0; i < elements; ++i) store_element(q.data(), dtype, i, normal(random));
    }
    return Layer::dense(step, pool.view(), q.data(), out.data());
  }

  AttentionShape shape;
  DType dtype;
  replay::KvPool pool;
  KvReaders readers;
  replay::CacheEvictor evictor;
  std::mt19937 random;
  std::vector<std::byte> q, out;
};

class HostExecutor final : public StepExecutor {
 public:
  HostExecutor(HostMemory& memory, RoutedRuntime runtime) : memory_(memory), runtime_(std::move(runtime)) {}

  [[nodiscard]] StepTimes run(const StepView& view, const StepAsk& ask) override {
    const Step step = view.step(memory_.shape, memory_.dtype);
    const Layer layer = memory_.layer(step);
    StepTimes times;
    RuntimeStep prepared = runtime_.prepare(view, step, {}, times);
    if (!std::exchange(warm_, true)) {
      prepared.run(layer);
      prepared = runtime_.prepare(view, step, {}, times);
    }
    memory_.evictor.evict(step);
    const auto begin = std::chrono::steady_clock::now();
    prepared.run(layer);
    times.attention_us = replay::elapsed_us(begin);
    if (ask.check) {
      replay::Accuracy accuracy;
      replay::StepOracle(step, layer).compare(layer, accuracy);
      times.relative_error = accuracy.max_relative_l2;
    }
    if (ask.limit) {
      memory_.evictor.evict(step);
      const auto reading = std::chrono::steady_clock::now();
      (void)memory_.readers.read_pages(step, memory_.pool.view());
      times.limit_us = replay::elapsed_us(reading);
    }
    return times;
  }

 private:
  HostMemory& memory_;
  RoutedRuntime runtime_;
  bool warm_ = false;
};

class HostPlatform final : public ServingPlatform {
 public:
  HostPlatform(std::shared_ptr<Backend> backend, const RoutedOptions& options, int num_threads, std::string name)
      : backend_(std::move(backend)), options_(options), memory_(options, num_threads), name_(std::move(name)) {}

  [[nodiscard]] std::string why_not(Route route) const override {
    return serving::why_not(options_, {backend_}, route);
  }
  [[nodiscard]] std::unique_ptr<StepExecutor> executor(Route route) override {
    return std::make_unique<HostExecutor>(memory_, RoutedRuntime(options_, {backend_}, route));
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::string cache_state() const override { return replay::describe_caches(memory_.evictor); }

 private:
  std::shared_ptr<Backend> backend_;
  RoutedOptions options_;
  HostMemory memory_;
  std::string name_;
};

}  // namespace

std::unique_ptr<ServingPlatform> make_host_platform(std::shared_ptr<Backend> backend, const RoutedOptions& options,
                                                    int num_threads, std::string name) {
  if (const std::string why = backend->capabilities().why_not(options.shape, options.dtype, options.page_size);
      !why.empty())
    throw Unsupported(why);
  return std::make_unique<HostPlatform>(std::move(backend), options, num_threads, std::move(name));
}

}  // namespace pkv::serving
