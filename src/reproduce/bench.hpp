#pragma once

// What measures: an interface, so that what is asked, and what is made of the answers, needs no GPU.

#include "persistentkv/engine/backend.hpp"
#include "persistentkv/plan/route.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv::reproduce {

/// A route to time, with its options.
struct RouteSpec {
  Route route = Route::kStream;
  int splits = 0;  ///< 0: the schedule's own rule, or a route that has none
  friend bool operator==(const RouteSpec&, const RouteSpec&) = default;
};
/// "workqueue 20", "stream".
[[nodiscard]] std::string label(const RouteSpec& spec);
[[nodiscard]] bool is_flashinfer(Route route) noexcept;

/// Whose rows of q and out a layer's are, in a pool with a row for every request.
enum class RowAccess : std::uint8_t {
  kDense,                 ///< not in a pool: row r of a step is row r, as a projection of q leaves it
  kByIds,                 ///< kernels go through row ids
  kGathered,              ///< a kernel copies q together first
  kGatheredAndScattered,  ///< and another puts the results in their places
};

/// What is inside the time.
struct Window {
  bool planned_inside = false;  ///< the step is prepared after the window begins, its arrays uploaded then
  RowAccess rows = RowAccess::kDense;
  bool queued = false;  ///< the window begins in the stream behind other work, so that launching costs nothing: the
                        ///< GPU's time alone. Else the GPU is idle when it begins, and the host's time counts
};

/// Every route plans, uploads and runs inside: nobody has anything that he did not make in the window.
inline constexpr Window kFair{.planned_inside = true};
/// One layer, planning apart.
inline constexpr Window kLayerAlone{.queued = true};
/// As the paper timed: its own metadata are there before, FlashInfer plans and has q gathered inside.
[[nodiscard]] Window as_the_paper_timed(Route route) noexcept;

/// Medians of several windows.
struct WindowTimes {
  double event_us = 0.0;  ///< between two events in the stream
  double wall_us = 0.0;   ///< on the host's clock, until the second event has come; 0 where queued
  double plan_us = 0.0;   ///< of it, until the step was prepared; 0 where it was before
};

/// A step in host memory.
struct BenchStep {
  Step step;                            ///< lengths and a dense table in host memory
  std::span<const std::int32_t> q_row;  // [batch] in the pool of queries, each row another
  std::int64_t num_q_rows = 0;          ///< rows of that pool
};

/// How layers follow one another.
struct LayerLoop {
  int layers = 16;
  bool graph = false;     ///< captured once and replayed
  bool with_mlp = false;  ///< each layer's MLP after its attention
};

/// K, V and q of one row, copied from where they were measured.
struct RowOnHost {
  std::vector<std::uint16_t> k, v;  // [pages, num_kv_heads, page_size, head_dim], in the row's order
  std::vector<std::uint16_t> q;     // [num_q_heads, head_dim]
};

/// FP16. Not for two threads at once.
class Bench {
 public:
  virtual ~Bench() = default;
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// Why the route cannot be run for this shape and pages of this size, or nothing.
  [[nodiscard]] virtual std::string why_not(Route route, const AttentionShape& shape, int page_size) const = 0;

  /// The step that the calls below are about, until the next. Borrowed.
  virtual void begin_step(const BenchStep& step) = 0;
  /// What the policy takes for it where so many layers share a plan. For any other route, that.
  [[nodiscard]] virtual RouteSpec choose(const RouteSpec& spec, int layers_per_plan) const = 0;
  /// From cold caches, each time; `repeats` >= 1. The policy chooses as for one layer, inside where it plans inside.
  [[nodiscard]] virtual WindowTimes time(const RouteSpec& spec, const Window& window, int repeats) = 0;
  /// Runs it once, untimed, on dense q and out.
  virtual ExecutedCounters run(const RouteSpec& spec) = 0;
  /// [batch, num_q_heads, head_dim] as the last run() left it; what it did not write is NaN.
  [[nodiscard]] virtual std::vector<float> output() = 0;
  [[nodiscard]] virtual RowOnHost row(std::int64_t row) = 0;
  /// The fastest reader of the step's pages.
  [[nodiscard]] virtual double limit_us() = 0;

  /// Microseconds of a layer, where layers take turns among steps of the same lengths on pages of their own. The steps
  /// are prepared before. Takes the place of begin_step(). Throws Unsupported where there is no cuBLAS for the MLP.
  [[nodiscard]] virtual double layer_us(std::span<const BenchStep> steps, const RouteSpec& spec,
                                        const LayerLoop& loop) = 0;
  /// Microseconds of a layer's MLP alone, in the same loop. Throws Unsupported likewise.
  [[nodiscard]] virtual double mlp_us(int batch, const LayerLoop& loop) = 0;

 protected:
  Bench() = default;
};

}  // namespace pkv::reproduce
