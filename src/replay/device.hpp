#pragma once

// Where a replay's steps run: an engine, the memory that it reads, and its clock.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/engine/backend.hpp"
#include "persistentkv/plan/route.hpp"
#include "persistentkv/plan/schedule.hpp"

#include <span>
#include <string>

namespace pkv::replay {

/// Who is to run a step, with the options of a schedule.
struct ReplayRoute {
  Route route = Route::kStream;
  PlanOptions options;
};

struct RouteRun {
  double plan_us = 0.0;       ///< on the host: validation of the step, planning and preparation
  double time_us = 0.0;       ///< one layer, from cold caches
  ExecutedCounters executed;  ///< counted by those who did the work
};

/// Steps and tensors are given in host memory; a device with memory of its own holds copies.
class ReplayDevice {
 public:
  virtual ~ReplayDevice() = default;
  ReplayDevice(const ReplayDevice&) = delete;
  ReplayDevice& operator=(const ReplayDevice&) = delete;

  /// The KV cache in host memory, full of random numbers: what the oracle reads.
  [[nodiscard]] virtual const KvCacheView& host_kv() const noexcept = 0;

  /// The step and layer that the calls below are for, until the next begin_step(). Borrowed: they must stay where they
  /// are. `layer` is over host_kv(), with dense q, out and LSE.
  virtual void begin_step(const Step& step, const Layer& layer) = 0;

  /// Runs what must have run once before times mean anything.
  virtual void warm_up(std::span<const ReplayRoute> routes) = 0;

  /// Microseconds that the fastest reader needs for all pages of the step, whole, from cold caches; 0 if not known.
  [[nodiscard]] virtual double read_limit_us() = 0;

  /// Prepares the step and runs it. The results are then in the layer's out and LSE; what the route did not write
  /// there is NaN.
  virtual RouteRun run(const ReplayRoute& route) = 0;

  /// How the caches were before each run so far, for people.
  [[nodiscard]] virtual std::string cache_state() const = 0;

 protected:
  ReplayDevice() = default;
};

}  // namespace pkv::replay
