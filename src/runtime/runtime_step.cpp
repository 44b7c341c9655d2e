#include "persistentkv/runtime/runtime_step.hpp"

#include "runtime_core.hpp"

#include <utility>

namespace pkv {

RuntimeStep::RuntimeStep(std::unique_ptr<detail::RuntimeStepState> state) noexcept : state_(std::move(state)) {}
RuntimeStep::RuntimeStep(RuntimeStep&&) noexcept = default;
RuntimeStep& RuntimeStep::operator=(RuntimeStep&&) noexcept = default;
RuntimeStep::~RuntimeStep() = default;

void RuntimeStep::run(const Layer& layer, StreamHandle stream) {
  state_->prepared->run(layer, stream);
  state_->core->counters().count_layer();
}

const RuntimeDecision& RuntimeStep::decision() const noexcept { return state_->decision; }
Decision RuntimeStep::explain() const { return state_->core->explain(state_->facts); }
ExecutedCounters RuntimeStep::executed() const { return state_->prepared->executed(); }
PreparedStep& RuntimeStep::prepared() noexcept { return *state_->prepared; }

}  // namespace pkv
