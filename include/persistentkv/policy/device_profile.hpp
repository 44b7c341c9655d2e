#pragma once

/// What is known about a device, and what to conclude from it: the constants of the cost model, the routes to choose
/// among, and the gates that rule them out. All of it is data, read from JSON (profile_io.hpp); docs/design/policy.md
/// says where the shipped constants come from.

#include "persistentkv/core/dtype.hpp"
#include "persistentkv/plan/route.hpp"
#include "persistentkv/policy/route_fit.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

/// How MiB over GB/s become milliseconds.
enum class TimeUnits : std::uint8_t {
  kSi,     ///< exactly: 1 MiB at 1 GB/s (1e9 bytes a second) takes 1.048576 ms
  kPaper,  ///< as the paper computes: 1 MiB at 1 GB/s counts as 1 ms, 4.6 % too little
};

/// "si" or "paper".
[[nodiscard]] std::string_view to_string(TimeUnits units) noexcept;

/// The constants of the cost model (cost_model.hpp has the formula).
struct CostConstants {
  TimeUnits time_units = TimeUnits::kSi;
  double bandwidth_gb_per_s = 0;  ///< beta: measured streaming read bandwidth, 1e9 bytes a second; (0, 1e6]
  double min_ctas_per_sm = 0;     ///< C_min: decode CTAs an SM needs for the full bandwidth; (0, 1e4]
  double launch_us = 0;           ///< lambda: overhead of one kernel launch; [0, 1e6]

  friend bool operator==(const CostConstants&, const CostConstants&) = default;
};

/// A number that a gate looks at.
enum class StepQuantity : std::uint8_t {
  kActiveRows,        ///< rows with at least one token
  kLongestRowTokens,  ///< tokens of the longest row
  kKvTokens,          ///< sum of lengths
  kKvMib,             ///< useful K and V, in whole MiB
};

/// "active_rows", "longest_row_tokens", "kv_tokens" or "kv_mib".
[[nodiscard]] std::string_view to_string(StepQuantity quantity) noexcept;

/// Rules `routes` out of every step whose quantity lies outside [min, max]. At least one bound is given.
struct Gate {
  std::string name;           ///< for explanations
  std::vector<Route> routes;  ///< candidates of the profile
  StepQuantity quantity = StepQuantity::kActiveRows;
  std::optional<std::int64_t> min;
  std::optional<std::int64_t> max;

  [[nodiscard]] bool applies_to(Route route) const noexcept;
  [[nodiscard]] bool admits(std::int64_t value) const noexcept {
    return (!min || value >= *min) && (!max || value <= *max);
  }
  friend bool operator==(const Gate&, const Gate&) = default;
};

/// A route that the policy may choose.
struct RouteCandidate {
  Route route = Route::kFlashInferTensorCore;
  int splits = 0;  ///< fixed splits of a row; 0: the schedule's own rule. Ours only: FlashInfer decides for itself
  std::vector<RouteFit> fits = {};   ///< one for each group size, head_dim and dtype; none: the formula estimates
  std::optional<PlanFit> plan = {};  ///< with fits only

  /// The fit for that shape, or null.
  [[nodiscard]] const RouteFit* fit(int group_size, int head_dim, DType dtype) const noexcept;
  friend bool operator==(const RouteCandidate&, const RouteCandidate&) = default;
};

/// What calibration measured beside the routes' times. For people: no choice depends on it.
struct MeasuredOverheads {
  double page_read_gb_per_s = 0;  ///< every page whole, through the block table, by the fastest reader
  double graph_node_us = 0;       ///< a kernel that does nothing, in a graph of such
  double launch_us = 0;           ///< host time to put a layer of the safe route into a stream
  double merge_us_per_mib = 0;    ///< of states, by runs that differ in their splits only

  friend bool operator==(const MeasuredOverheads&, const MeasuredOverheads&) = default;
};

/// What a layer's MLP takes beside its attention. For the clock of serving runs: no choice depends on it.
struct MlpTime {
  int batch = 1;  ///< rows, [1, 65536]
  double us = 0;  ///< [0, 1e9]

  friend bool operator==(const MlpTime&, const MlpTime&) = default;
};

/// Who found the constants, and when. Free text.
struct Provenance {
  std::string measured_by;
  std::string date;
  std::string driver;
  std::string notes;

  friend bool operator==(const Provenance&, const Provenance&) = default;
};

struct DeviceProfile {
  /// What profile_io reads and writes. A later version may add optional fields whose absence means what this one does.
  static constexpr int kSchemaVersion = 1;

  std::string name;  ///< letters, digits, '.', '_' and '-'; that of its file, without ".json"
  Provenance provenance;
  std::string device_name;
  int num_sms = 0;  ///< [1, 65536]

  // What the constants were fitted on. A step of any other shape goes to the safe route.
  std::vector<int> group_sizes;  ///< G = num_q_heads / num_kv_heads
  std::vector<int> head_dims;
  std::vector<DType> dtypes;

  CostConstants cost;
  Route safe_route = Route::kFlashInferTensorCore;  ///< one of the candidates: where the profile has nothing to say
  std::vector<RouteCandidate> candidates;           ///< the smallest estimate wins; among equals, the first one listed

  // Of fitted profiles; 0: the smallest estimate is taken as it is.
  double caution = 0;       ///< estimates are compared after adding this many times the fit's mean error; [0, 100]
  double margin = 0;        ///< share by which an estimate must be below the safe route's to be preferred to it; [0, 1]
  std::vector<Gate> gates;  ///< asked in this order: the first that fails is the reason given
  std::optional<MeasuredOverheads> measured;
  std::vector<MlpTime> mlp;  ///< in ascending batches; may be empty

  /// The first candidate of that route, or null.
  [[nodiscard]] const RouteCandidate* candidate(Route route) const noexcept;
  /// The candidate of that route with these splits, or null.
  [[nodiscard]] const RouteCandidate* candidate(Route route, int splits) const noexcept;

  /// Whether estimates are fitted, and not the formula's: then every candidate has fits.
  [[nodiscard]] bool is_fitted() const noexcept { return !candidates.empty() && !candidates.front().fits.empty(); }

  /// Throws InvalidArgument, naming the field, its value and its bound.
  void validate() const;
  /// Throws InvalidArgument where this is another device's.
  void require_device(std::string_view device) const;

  friend bool operator==(const DeviceProfile&, const DeviceProfile&) = default;
};

}  // namespace pkv
