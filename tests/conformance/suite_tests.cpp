// The suite's own test: it passes a plain backend, and fails it with any one fault.

#include "conformance/model_backend.hpp"
#include "conformance/suite.hpp"

#include <gtest/gtest.h>

namespace pkv::conformance {
namespace {

Subject model(Fault fault) {
  return {"model", [fault] { return make_model_backend(fault); }, std::make_shared<HostMemory>()};
}

class SuiteMutants : public ::testing::TestWithParam<int> {};

TEST_P(SuiteMutants, AreFound) {
  const Subject subject = model(static_cast<Fault>(GetParam()));
  for (const Case& test : all_cases()) {
    const Verdict verdict = run_case(test, subject, test_seed());
    if (verdict.failure.empty()) continue;
    RecordProperty("found_by", test.name);
    RecordProperty("failure", verdict.failure);
    return;
  }
  FAIL() << "no case fails this fault; PKV_TEST_SEED=" << test_seed();
}

INSTANTIATE_TEST_SUITE_P(Fault, SuiteMutants, ::testing::Range(1, static_cast<int>(Fault::kRunsUnsupportedShapes) + 1));

}  // namespace
}  // namespace pkv::conformance

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  using namespace pkv::conformance;
  register_suite({"model", [] { return make_model_backend(); }, std::make_shared<HostMemory>()});
  return RUN_ALL_TESTS();
}
