#pragma once

/// What every backend offers: prepare a step once, run it for each layer.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/plan/route.hpp"
#include "persistentkv/plan/schedule.hpp"
#include "persistentkv/plan/work_plan.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

/// A CUDA stream as the driver's opaque pointer (CUstream). Backends without streams ignore it and block.
using StreamHandle = void*;

/// What a backend can do, told before anything runs.
struct Capabilities {
  std::vector<Schedule> schedules;
  std::vector<Route> own_routes;  ///< run with a plan of the backend's own making, from lengths and table on the host
  std::vector<DType> dtypes;
  std::vector<int> head_dims;  ///< empty: any multiple of head_dim_multiple up to max_head_dim
  int head_dim_multiple = 1;
  int max_head_dim = 0;
  std::vector<int> group_sizes;  ///< empty: any up to max_group_size
  int max_group_size = 0;        ///< 0: any
  int min_page_size = 1;
  int alignment_bytes = 1;               ///< of data and strides of q, K, V and out, where more than an element's size
  bool separate_kv_strides = true;       ///< K and V may each have strides of their own
  bool any_plan = false;                 ///< prepare(step, plan) accepts any valid plan
  std::vector<Schedule> device_lengths;  ///< of these, lengths and page table may be device-resident
  bool device_table = false;             ///< of all schedules, the page table's entries may be
  int stream_tile_tokens = 32;           ///< PlanOptions::tile_tokens that serves `stream` best

  /// Whether the route is one of own_routes, or a schedule's.
  [[nodiscard]] bool has_route(Route route) const noexcept;
  /// Whether lengths and page table may be device-resident for it.
  [[nodiscard]] bool takes_device_lengths(Route route) const noexcept;
  /// All of them: schedules in their order, then own_routes.
  [[nodiscard]] std::vector<Route> routes() const;

  /// alignment_bytes in elements of `dtype`, at least 1.
  [[nodiscard]] int alignment_elements(DType dtype) const noexcept {
    return alignment_bytes > size_bytes(dtype) ? alignment_bytes / size_bytes(dtype) : 1;
  }

  /// Empty if the shape and dtype can be served, else the reason, naming value and bound.
  [[nodiscard]] std::string why_not(const AttentionShape& shape, DType dtype, int page_size) const;
};

/// What a run really did: counted by those who did it, not copied from the plan.
struct ExecutedCounters {
  std::int64_t launches = 0;
  std::int64_t merge_launches = 0;
  std::int64_t decode_ctas = 0;
  std::int64_t segments = 0;
  std::int64_t partials = 0;     ///< (row, split, query head) states written
  std::int64_t merge_bytes = 0;  ///< of these states, written once
  std::int64_t kv_tokens = 0;    ///< tokens attended, summed over rows and KV heads
  /// Pages that the plan takes for the rows, those that coarse and padded buckets round up to included; read are fewer.
  std::int64_t reserved_pages = 0;
};

/// A step that a backend is ready to run, once or for every layer.
class PreparedStep {
 public:
  virtual ~PreparedStep() = default;
  PreparedStep(const PreparedStep&) = delete;
  PreparedStep& operator=(const PreparedStep&) = delete;

  /// One layer's attention. Never allocates. Throws InvalidArgument where `layer` contradicts the step, before
  /// anything is written. One thread at a time for one PreparedStep.
  virtual void run(const Layer& layer, StreamHandle stream = nullptr) = 0;

  /// Of the last run; zeros before the first. Backends that cannot count return the plan's.
  [[nodiscard]] virtual ExecutedCounters executed() const = 0;

 protected:
  PreparedStep() = default;
};

/// Arrays that a Step points to (lengths, page table) must outlive what was prepared from it.
class Backend {
 public:
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// The same in every call.
  [[nodiscard]] virtual const Capabilities& capabilities() const noexcept = 0;
  /// The device it runs on, as a device profile names it, e.g. "NVIDIA H200"; empty where that is not known.
  [[nodiscard]] virtual std::string_view device_name() const noexcept { return {}; }

  /// Validates the step, plans it and makes it ready. Throws InvalidArgument or Unsupported.
  /// Where options.num_workers is 0, the backend puts its own number.
  [[nodiscard]] virtual std::unique_ptr<PreparedStep> prepare(const Step& step, Schedule schedule,
                                                              const PlanOptions& options) = 0;

  /// The same for a route by its name: a schedule, or one of capabilities().own_routes, which heed of the options what
  /// they understand. Throws Unsupported where the backend has no such route.
  [[nodiscard]] virtual std::unique_ptr<PreparedStep> prepare_route(const Step& step, Route route,
                                                                    const PlanOptions& options);

  /// The same for a plan made elsewhere. Throws InvalidArgument where the plan is not this step's; Unsupported where
  /// capabilities().any_plan is false.
  [[nodiscard]] virtual std::unique_ptr<PreparedStep> prepare(const Step& step, WorkPlan plan) = 0;

 protected:
  Backend() = default;
};

}  // namespace pkv
