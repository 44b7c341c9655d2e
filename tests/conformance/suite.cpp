#include "conformance/suite.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <optional>

namespace pkv::conformance {

namespace {

/// All verdicts of a program, added up.
struct Tally {
  int ran = 0;
  std::map<std::string, int> skipped;

  void add(const Verdict& verdict) {
    ran += verdict.ran;
    for (const auto& [reason, count] : verdict.skipped) skipped[reason] += count;
  }
};

class SuiteTest : public ::testing::Test {
 public:
  SuiteTest(Case test, Subject subject, std::shared_ptr<Tally> tally)
      : test_(std::move(test)), subject_(std::move(subject)), tally_(std::move(tally)) {}

  void TestBody() override {
    const Verdict verdict = run_case(test_, subject_, test_seed());
    tally_->add(verdict);
    if (!verdict.no_backend.empty()) GTEST_SKIP() << verdict.no_backend;
    if (!verdict.failure.empty()) FAIL() << verdict.failure << "\nto see it again: PKV_TEST_SEED=" << test_seed();
    if (verdict.ran == 0 && !verdict.skipped.empty()) GTEST_SKIP() << verdict.skipped.begin()->first;
  }

 private:
  Case test_;
  Subject subject_;
  std::shared_ptr<Tally> tally_;
};

class TallyPrinter : public ::testing::Environment {
 public:
  TallyPrinter(std::string name, std::shared_ptr<Tally> tally) : name_(std::move(name)), tally_(std::move(tally)) {}

  void TearDown() override {
    int skipped = 0;
    for (const auto& [reason, count] : tally_->skipped) skipped += count;
    std::printf("conformance of %s: %d combinations ran, %d skipped\n", name_.c_str(), tally_->ran, skipped);
    for (const auto& [reason, count] : tally_->skipped) std::printf("  %6d  %s\n", count, reason.c_str());
  }

 private:
  std::string name_;
  std::shared_ptr<Tally> tally_;
};

}  // namespace

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_bad_input_cases(cases);
  add_plan_cases(cases);
  add_life_cases(cases);
  add_matrix_cases(cases);
  add_needle_cases(cases);
  return cases;
}

Verdict run_case(const Case& test, const Subject& subject, std::uint64_t seed) {
  Verdict verdict;
  for (const char c : test.name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3u;  // each its own
  std::optional<Context> context;
  try {
    context.emplace(subject, seed);
    test.run(*context);
  } catch (const NoBackend& none) {
    verdict.no_backend = none.what();
  } catch (const Failure& failure) {
    verdict.failure = failure.what();
  } catch (const std::exception& error) {
    verdict.failure = fmt::format("unexpected exception: {}", error.what());
  }
  if (!context) return verdict;
  verdict.ran = context->ran;
  verdict.skipped = std::move(context->skipped);
  return verdict;
}

void register_suite(const Subject& subject) {
  const auto tally = std::make_shared<Tally>();
  for (const Case& test : all_cases()) {
    ::testing::RegisterTest(("Conformance/" + subject.name).c_str(), test.name.c_str(), nullptr, nullptr, __FILE__,
                            __LINE__, [=]() -> ::testing::Test* { return new SuiteTest(test, subject, tally); });
  }
  ::testing::AddGlobalTestEnvironment(new TallyPrinter(subject.name, tally));
}

}  // namespace pkv::conformance
