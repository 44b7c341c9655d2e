#pragma once

/// A step that the runtime has routed and prepared.

#include "persistentkv/engine/backend.hpp"
#include "persistentkv/runtime/decision.hpp"

#include <memory>

namespace pkv {

namespace detail {
class RuntimeCore;
struct RuntimeStepState;
}  // namespace detail

/// Movable. Keeps the backends alive, so it may outlive its Runtime; arrays that the Step points to must outlive it.
/// One thread at a time.
class RuntimeStep {
 public:
  explicit RuntimeStep(std::unique_ptr<detail::RuntimeStepState> state) noexcept;  // Runtime::prepare's
  RuntimeStep(RuntimeStep&&) noexcept;
  RuntimeStep& operator=(RuntimeStep&&) noexcept;
  ~RuntimeStep();

  /// One layer's attention, as PreparedStep::run: never allocates, and throws as it does.
  void run(const Layer& layer, StreamHandle stream = nullptr);

  [[nodiscard]] const RuntimeDecision& decision() const noexcept;

  /// The decision with its reason in words and every route's estimate, from the lengths as they were when it was made.
  /// Allocates; for logs and people.
  [[nodiscard]] Decision explain() const;

  /// Of the last run; see PreparedStep::executed.
  [[nodiscard]] ExecutedCounters executed() const;

  /// The backend's own, for what only that backend has (a CudaPreparedStep, say). Its runs are not counted.
  [[nodiscard]] PreparedStep& prepared() noexcept;

 private:
  std::unique_ptr<detail::RuntimeStepState> state_;
};

}  // namespace pkv
