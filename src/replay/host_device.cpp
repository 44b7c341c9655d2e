#include "host_device.hpp"

#include "elapsed.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>

namespace pkv::replay {

namespace {

/// What is not written afterwards is not mistaken for a result.
void poison(const Step& step, const Layer& layer) {
  const auto elements = static_cast<std::size_t>(step.batch * layer.out.row_stride);
  std::memset(layer.out.data, 0xff, elements * static_cast<std::size_t>(size_bytes(layer.out.dtype)));  // NaN in each
  if (layer.lse)
    std::fill_n(layer.lse->data, step.batch * layer.lse->row_stride, std::numeric_limits<float>::quiet_NaN());
}

}  // namespace

HostDevice::HostDevice(Backend& backend, const AttentionShape& shape, DType dtype, int page_size,
                       std::int64_t num_pages, std::uint32_t seed, int num_threads)
    : backend_(backend),
      pool_(shape, dtype, page_size, num_pages, seed),
      readers_(num_threads),
      evictor_(readers_, pool_, shape) {}

void HostDevice::begin_step(const Step& step, const Layer& layer) {
  step_ = &step;
  layer_ = &layer;
}

void HostDevice::warm_up(std::span<const ReplayRoute> routes) {
  // One is enough: all schedules are the same code.
  backend_.prepare_route(*step_, routes.front().route, routes.front().options)->run(*layer_);
}

double HostDevice::read_limit_us() {
  evictor_.evict(*step_);
  const auto begin = std::chrono::steady_clock::now();
  (void)readers_.read_pages(*step_, pool_.view());
  return elapsed_us(begin);
}

RouteRun HostDevice::run(const ReplayRoute& route) {
  poison(*step_, *layer_);
  evictor_.evict(*step_);
  RouteRun result;
  const auto begin = std::chrono::steady_clock::now();
  const std::unique_ptr<PreparedStep> prepared = backend_.prepare_route(*step_, route.route, route.options);
  result.plan_us = elapsed_us(begin);
  const auto ready = std::chrono::steady_clock::now();
  prepared->run(*layer_);
  result.time_us = elapsed_us(ready);
  result.executed = prepared->executed();
  return result;
}

std::string HostDevice::cache_state() const { return describe_caches(evictor_); }

}  // namespace pkv::replay
