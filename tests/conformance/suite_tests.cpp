// The suite's own test: it passes a plain backend, and fails it with any one fault.

#include "conformance/model_backend.hpp"
#include "conformance/suite.hpp"

#include <gtest/gtest.h>

#include <iterator>

namespace pkv::conformance {
namespace {

Subject model(Fault fault) {
  return {"model", [fault] { return make_model_backend(fault); }, std::make_shared<HostMemory>()};
}

struct NamedFault {
  Fault fault;
  const char* name;
};

constexpr NamedFault kFaults[] = {
    {Fault::kDropsLastToken, "DropsLastToken"},
    {Fault::kDropsFirstTokenOfSegments, "DropsFirstTokenOfSegments"},
    {Fault::kDoublesLastTokenOfSegments, "DoublesLastTokenOfSegments"},
    {Fault::kReadsToTheEndOfThePage, "ReadsToTheEndOfThePage"},
    {Fault::kMultipliesMaskedValues, "MultipliesMaskedValues"},
    {Fault::kMergesWithoutRescaling, "MergesWithoutRescaling"},
    {Fault::kMergesAllButTheLastPartial, "MergesAllButTheLastPartial"},
    {Fault::kAveragesPartials, "AveragesPartials"},
    {Fault::kSubtractsNoMaximum, "SubtractsNoMaximum"},
    {Fault::kForgetsEmptyRows, "ForgetsEmptyRows"},
    {Fault::kForgetsLseOfEmptyRows, "ForgetsLseOfEmptyRows"},
    {Fault::kTrustsNegativeLengths, "TrustsNegativeLengths"},
    {Fault::kIgnoresHeadStride, "IgnoresHeadStride"},
    {Fault::kUsesHeadStrideOfOneHead, "UsesHeadStrideOfOneHead"},
    {Fault::kIgnoresPageStride, "IgnoresPageStride"},
    {Fault::kUsesStridesOfKForV, "UsesStridesOfKForV"},
    {Fault::kInterleavesGroups, "InterleavesGroups"},
    {Fault::kIgnoresScale, "IgnoresScale"},
    {Fault::kIgnoresQueryRowIds, "IgnoresQueryRowIds"},
    {Fault::kIgnoresOutputRowIds, "IgnoresOutputRowIds"},
    {Fault::kIgnoresTableRowIds, "IgnoresTableRowIds"},
    {Fault::kIgnoresEntryDivisor, "IgnoresEntryDivisor"},
    {Fault::kIgnoresDelta, "IgnoresDelta"},
    {Fault::kAlwaysNaturalLse, "AlwaysNaturalLse"},
    {Fault::kIgnoresLseStrides, "IgnoresLseStrides"},
    {Fault::kWritesOutInTheStepsDtype, "WritesOutInTheStepsDtype"},
    {Fault::kRoundsAccumulators, "RoundsAccumulators"},
    {Fault::kWritesPastTheHead, "WritesPastTheHead"},
    {Fault::kKeepsTheFirstStrides, "KeepsTheFirstStrides"},
    {Fault::kSharesTheLastPlan, "SharesTheLastPlan"},
    {Fault::kIsNotDeterministic, "IsNotDeterministic"},
    {Fault::kCountsThePlan, "CountsThePlan"},
    {Fault::kTakesForeignPlans, "TakesForeignPlans"},
    {Fault::kChecksNoSteps, "ChecksNoSteps"},
    {Fault::kChecksNoLayers, "ChecksNoLayers"},
    {Fault::kWritesBeforeItChecks, "WritesBeforeItChecks"},
    {Fault::kRefusesWithoutWords, "RefusesWithoutWords"},
    {Fault::kRunsUnsupportedShapes, "RunsUnsupportedShapes"},
};
static_assert(std::size(kFaults) == static_cast<std::size_t>(Fault::kRunsUnsupportedShapes), "a fault is not listed");

/// Labelled as a device's, so that a view that was not moved there is told from one that was.
class LabelledMemory : public HostMemory {
 public:
  [[nodiscard]] MemorySpace space() const noexcept override { return MemorySpace::kDevice; }
};

class SuiteMutants : public ::testing::TestWithParam<NamedFault> {};

TEST_P(SuiteMutants, IsFound) {
  const Subject subject = model(GetParam().fault);
  for (const Case& test : all_cases()) {
    const Verdict verdict = run_case(test, subject, test_seed());
    if (verdict.failure.empty()) continue;
    RecordProperty("found_by", test.name);
    RecordProperty("failure", verdict.failure);
    return;
  }
  FAIL() << "no case fails this fault; PKV_TEST_SEED=" << test_seed();
}

INSTANTIATE_TEST_SUITE_P(Fault, SuiteMutants, ::testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

}  // namespace
}  // namespace pkv::conformance

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  using namespace pkv::conformance;
  register_suite({"model", [] { return make_model_backend(); }, std::make_shared<HostMemory>()});
  register_suite(
      {"device-model", [] { return make_model_backend(Fault::kNone, true); }, std::make_shared<LabelledMemory>()});
  return RUN_ALL_TESTS();
}
