#pragma once

/// The one object that an embedder holds: a device profile and backends in, prepared steps out.

#include "persistentkv/engine/backend.hpp"
#include "persistentkv/policy/router.hpp"
#include "persistentkv/runtime/decision.hpp"
#include "persistentkv/runtime/runtime_step.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

struct RuntimeOptions {
  /// kPolicy: the profile chooses; any other: that one for every step.
  Route route = Route::kPolicy;

  /// Where the profile has nothing to say; nothing: the profile's. Where that is not offered, or there is no profile:
  /// `stream`, else `workqueue`, else any.
  std::optional<Route> safe_route = std::nullopt;

  /// For every step and route. splits > 0 goes before the profile's. Where tile_tokens is what it is by default,
  /// `stream` gets Capabilities::stream_tile_tokens.
  PlanOptions plan = {};

  /// Layers that run one prepared step: what the host pays to plan it is shared among them where a fitted profile
  /// compares routes. 0: planning is not counted.
  int layers_per_plan = 32;

  /// Compared with the profile's; empty: what backends say, Backend::device_name(). Where nobody says, it is not
  /// compared.
  std::string device_name = {};

  /// Told of every step that was prepared, by the thread that prepares it, before prepare() returns. What it throws,
  /// prepare() throws.
  std::function<void(const RuntimeStep& step)> observer = {};
};

/// What a caller knows of a step whose lengths are on a device.
struct StepHint {
  std::int64_t max_length_tokens = 0;  ///< of any row, [0, kMaxRowTokens]; 0: as many as the row's table entries hold.
                                       ///< Only for the choice, which it may make worse but never wrong

  /// The same step with lengths and block table in host memory, where the caller has them there too. Choices are then
  /// made from exact lengths, among all routes; those that take no indices on a device are given this one. It must live
  /// as long as what is prepared from the step.
  const Step* host_step = nullptr;
};

/// Who runs a route.
struct OfferedRoute {
  Route route = Route::kStream;
  std::string_view backend;  ///< Backend::name(); empty: nobody
  std::string why_not;       ///< each backend's reason where nobody does
};

/// Chooses, for each step, among the routes that some backend offers for its shape, dtype, page size and where its
/// lengths are. Where two backends offer a route, the first in the list runs it: the order is the caller's preference.
///
/// The rule, in this order:
///   1. RuntimeOptions::route, where it names one.
///   2. No profile, or one without this group size, head_dim, dtype or device: the safe route.
///   3. Of the profile's candidates that are offered and pass its gates, the smallest estimate; none left: the safe
///      route.
/// Lengths or a block table that are on a device, and not in host memory too (StepHint::host_step), leave the routes
/// that backends list in Capabilities::device_lengths. Lengths that only the device knows are taken at their bounds:
/// every row active and as long as it may be.
///
/// choose(), explain(), offers() and counters() may be called by any number of threads at once; so may prepare() where
/// the backends' prepare may, as those of this library may.
class Runtime {
 public:
  /// Throws InvalidArgument: no backend, a null one, two that name different devices, safe_route kPolicy, a profile
  /// that is not valid.
  Runtime(std::optional<DeviceProfile> profile, std::vector<std::shared_ptr<Backend>> backends,
          RuntimeOptions options = {});

  /// Chooses and prepares. Throws InvalidArgument for a step or hint out of its bounds; Unsupported where no backend
  /// has a route for it, or the one named in the options, with each backend's reason; and what the backend throws.
  [[nodiscard]] RuntimeStep prepare(const Step& step, const StepHint& hint = {});

  /// What prepare() would decide, uncounted: O(batch) and, beside an array of the lengths, no allocation but for
  /// the first step of a shape. Reads no page id. Throws as prepare() does.
  [[nodiscard]] RuntimeDecision choose(const Step& step, const StepHint& hint = {}) const;

  /// The same with its reason, every route's estimate, and who does not offer it why. Without a profile there are no
  /// estimates: they are 0. Throws as choose() does.
  [[nodiscard]] Decision explain(const Step& step, const StepHint& hint = {}) const;

  /// Every route that runs a step, in the order of kRunnableRoutes: who runs it for steps of this shape, dtype and page
  /// size; with lengths or block table on a device where `on_device`. Throws InvalidArgument for a bad shape.
  [[nodiscard]] std::vector<OfferedRoute> offers(const AttentionShape& shape, DType dtype, int page_size,
                                                 bool on_device = false) const;

  [[nodiscard]] RuntimeCounters counters() const noexcept;

  /// Null where there is none.
  [[nodiscard]] const DeviceProfile* profile() const noexcept;

 private:
  std::shared_ptr<detail::RuntimeCore> core_;
};

}  // namespace pkv
