#pragma once

// What a runtime and its steps share. Immutable but for the counters and what was asked of backends before.

#include "counters.hpp"
#include "offers.hpp"
#include "persistentkv/runtime/runtime.hpp"
#include "step_facts.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pkv::detail {

/// A decision, and the backend that it names.
struct Routed {
  RuntimeDecision decision;
  Backend* backend = nullptr;
};

class RuntimeCore {
 public:
  RuntimeCore(std::optional<DeviceProfile> profile, std::vector<std::shared_ptr<Backend>> backends,
              RuntimeOptions options);

  [[nodiscard]] Backends backends() const noexcept { return backends_; }
  [[nodiscard]] const RuntimeOptions& options() const noexcept { return options_; }
  [[nodiscard]] const Router* router() const noexcept { return router_ ? &*router_ : nullptr; }
  [[nodiscard]] AtomicCounters& counters() noexcept { return counters_; }

  /// Throws Unsupported where there is nobody to run it.
  [[nodiscard]] Routed choose(const StepFacts& facts) const;
  [[nodiscard]] Decision explain(const StepFacts& facts) const;

 private:
  [[nodiscard]] Ruling rule(const StepFacts& facts, const Offers& offers) const;
  [[nodiscard]] Decision routes_without_profile(const StepFacts& facts) const;

  std::vector<std::shared_ptr<Backend>> backends_;
  RuntimeOptions options_;
  std::optional<Router> router_;
  bool is_profiled_device_ = false;  // by its name, which need not be compared in every step
  AtomicCounters counters_;
  mutable KnownOffers known_offers_;
};

/// What RuntimeStep holds.
struct RuntimeStepState {
  std::shared_ptr<RuntimeCore> core;
  StepFacts facts;
  RuntimeDecision decision;
  std::unique_ptr<PreparedStep> prepared;  // destroyed before the backends that `core` holds
};

}  // namespace pkv::detail
