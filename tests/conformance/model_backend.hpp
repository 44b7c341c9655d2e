#pragma once

// A backend that is as plain as can be, and that can be broken on purpose: the suite must pass it whole, and must fail
// it with any one fault.

#include "persistentkv/engine/backend.hpp"

#include <memory>

namespace pkv::conformance {

enum class Fault {
  kNone,
  kDropsLastToken,
  kDropsFirstTokenOfSegments,
  kDoublesLastTokenOfSegments,
  kReadsToTheEndOfThePage,
  kMultipliesMaskedValues,
  kMergesWithoutRescaling,
  kMergesAllButTheLastPartial,
  kAveragesPartials,
  kSubtractsNoMaximum,
  kForgetsEmptyRows,
  kForgetsLseOfEmptyRows,
  kTrustsNegativeLengths,
  kIgnoresHeadStride,
  kUsesHeadStrideOfOneHead,
  kIgnoresPageStride,
  kUsesStridesOfKForV,
  kInterleavesGroups,
  kIgnoresScale,
  kIgnoresQueryRowIds,
  kIgnoresOutputRowIds,
  kIgnoresTableRowIds,
  kIgnoresEntryDivisor,
  kIgnoresDelta,
  kAlwaysNaturalLse,
  kIgnoresLseStrides,
  kWritesOutInTheStepsDtype,
  kRoundsAccumulators,
  kWritesPastTheHead,
  kKeepsTheFirstStrides,
  kSharesTheLastPlan,
  kIsNotDeterministic,
  kCountsThePlan,
  kTakesForeignPlans,
  kChecksNoSteps,
  kChecksNoLayers,
  kWritesBeforeItChecks,
  kRefusesWithoutWords,
  kRunsUnsupportedShapes,
};

/// `on_device`: takes lengths, tables and row ids that are labelled as a device's, to test those parts of the suite.
[[nodiscard]] std::unique_ptr<Backend> make_model_backend(Fault fault = Fault::kNone, bool on_device = false);

}  // namespace pkv::conformance
