#pragma once

// The conformance suite: what every backend must do, whatever it runs on. To put a backend under it, write a main that
// calls register_suite() between InitGoogleTest and RUN_ALL_TESTS (see tests/cpu/conformance_tests.cpp).

#include "conformance/expectation.hpp"
#include "conformance/memory.hpp"
#include "conformance/random.hpp"
#include "persistentkv/engine/backend.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace pkv::conformance {

/// A backend under test.
struct Subject {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
  std::shared_ptr<Memory> memory;  ///< where its tensors live
  double lse_limit = kLseLimit;    ///< absolute error of an LSE that it is allowed
};

/// What a subject's make() throws on a machine that has nothing to run it on: the case is skipped.
class NoBackend : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What is wrong with the subject: ends the case.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a case works with, and what it counts.
struct Context {
  Context(const Subject& of, std::uint64_t seed) : subject(of), backend(of.make()), random(seed) {}

  /// Counts a combination that the subject declares it cannot do.
  void skip(const std::string& reason) { ++skipped[reason]; }

  const Subject& subject;
  std::unique_ptr<Backend> backend;
  Random random;
  int ran = 0;                         ///< combinations
  std::map<std::string, int> skipped;  ///< combinations, by reason
};

struct Case {
  std::string name;
  std::function<void(Context&)> run;  ///< throws Failure
};

/// The quick ones first.
[[nodiscard]] std::vector<Case> all_cases();

struct Verdict {
  std::string failure;     ///< empty: none
  std::string no_backend;  ///< why nothing ran; empty: something could
  int ran = 0;
  std::map<std::string, int> skipped;
};

[[nodiscard]] Verdict run_case(const Case& test, const Subject& subject, std::uint64_t seed);

/// Registers every case as a test of the suite Conformance/NAME, and the count of skipped combinations to be printed at
/// the end.
void register_suite(const Subject& subject);

// The parts of all_cases(), one file each.
void add_bad_input_cases(std::vector<Case>& cases);
void add_plan_cases(std::vector<Case>& cases);
void add_life_cases(std::vector<Case>& cases);
void add_matrix_cases(std::vector<Case>& cases);
void add_needle_cases(std::vector<Case>& cases);

}  // namespace pkv::conformance
