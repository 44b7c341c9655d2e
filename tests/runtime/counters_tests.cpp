// What is counted, what observers are told, and how long a step lives.

#include "persistentkv/policy/profile_io.hpp"
#include "runtime/fake_backend.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace pkv {
namespace {

using testing_support::fake;
using testing_support::FakeStep;

std::vector<std::int32_t> rows(std::size_t count, std::int32_t tokens) {
  return std::vector<std::int32_t>(count, tokens);
}

TEST(RuntimeCounters, StepsByRouteAndGroundsAndLayers) {
  Runtime runtime(find_profile("rtx3060-paper"), {fake()});
  const FakeStep eight(rows(8, 32768));
  const FakeStep four(rows(4, 32768));
  const FakeStep one(rows(1, 32768));
  FakeStep uncovered(rows(8, 32768));
  uncovered.step.dtype = DType::kF32;
  EXPECT_EQ(runtime.counters().steps(), 0);
  for (int i = 0; i < 3; ++i) (void)runtime.prepare(eight.step);
  for (int i = 0; i < 2; ++i) (void)runtime.prepare(four.step);
  (void)runtime.prepare(uncovered.step);
  (void)runtime.choose(eight.step);  // not counted
  (void)runtime.explain(eight.step);
  RuntimeStep step = runtime.prepare(one.step);
  for (int i = 0; i < 5; ++i) step.run({});

  const RuntimeCounters counters = runtime.counters();
  EXPECT_EQ(counters.steps(), 7);
  EXPECT_EQ(counters.steps(Route::kWorkqueue), 3);
  EXPECT_EQ(counters.steps(Route::kStream), 3);
  EXPECT_EQ(counters.steps(Route::kSequenceSplit), 1);
  EXPECT_EQ(counters.steps(Route::kPolicy), 0);
  EXPECT_EQ(counters.steps(Grounds::kEstimate), 4);
  EXPECT_EQ(counters.steps(Grounds::kNoCandidateLeft), 2);
  EXPECT_EQ(counters.steps(Grounds::kNotCovered), 1);
  EXPECT_EQ(counters.layers, 5);
  EXPECT_EQ(counters.from_bounds, 0);
}

TEST(RuntimeCounters, WhatThrowsIsNotCounted) {
  const auto backend = fake();
  Runtime runtime(std::nullopt, {backend});
  const FakeStep given({100});
  RuntimeStep step = runtime.prepare(given.step);
  backend->broken = true;
  EXPECT_THROW((void)runtime.prepare(given.step), Unsupported);
  EXPECT_THROW(step.run({}), InvalidArgument);
  EXPECT_EQ(runtime.counters().steps(), 1);
  EXPECT_EQ(runtime.counters().layers, 0);
}

TEST(RuntimeObserver, SeesEveryPreparedStepWithItsReason) {
  std::vector<std::string> seen;
  RuntimeOptions options;
  options.observer = [&](const RuntimeStep& step) {
    seen.push_back(std::string(to_string(step.decision().route)) + ": " + step.explain().reason);
    if (seen.size() == 2) throw std::runtime_error("enough");
  };
  Runtime runtime(std::nullopt, {fake()}, options);
  const FakeStep given({100});
  (void)runtime.prepare(given.step);
  EXPECT_EQ(seen, std::vector<std::string>{"stream: the safe route: no profile is given"});
  EXPECT_THROW((void)runtime.prepare(given.step), std::runtime_error);
}

TEST(RuntimeStep, OutlivesItsRuntimeAndTheCallersLengths) {
  const auto backend = fake();
  const std::weak_ptr<Backend> alive = backend;
  FakeStep given(rows(8, 32768));
  std::optional<Runtime> runtime(std::in_place, find_profile("rtx3060-paper"),
                                 std::vector<std::shared_ptr<Backend>>{backend});
  RuntimeStep first = runtime->prepare(given.step);
  RuntimeStep step = std::move(first);
  runtime.reset();
  given.lengths.assign(8, 1);
  EXPECT_EQ(backend.use_count(), 2);
  step.run({});
  step.prepared().run({}, nullptr);
  EXPECT_EQ(backend->runs, 2);
  EXPECT_EQ(step.executed().launches, 7);
  EXPECT_EQ(step.decision().backend, "fake");
  EXPECT_EQ(step.explain().step.longest_row_tokens, 32768);  // as when it was chosen
  EXPECT_EQ(step.explain().choice.route, step.decision().route);
}

// For the thread sanitizer: choices, explanations and layers on many threads, while others count.
TEST(RuntimeCounters, AddUpOverThreads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 100;
  std::vector<std::shared_ptr<Backend>> backends{fake()};
  Runtime runtime(find_profile("rtx3060-paper"), backends);
  const FakeStep given(rows(8, 32768));
  std::vector<RuntimeStep> steps;
  for (int i = 0; i < kThreads; ++i) steps.push_back(runtime.prepare(given.step));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_EQ(runtime.choose(given.step).route, Route::kWorkqueue);
        RuntimeStep& step = steps[static_cast<std::size_t>(i)];
        step.run({});
        EXPECT_EQ(step.explain().choice.route, Route::kWorkqueue);
        EXPECT_EQ(runtime.counters().steps(Route::kWorkqueue), kThreads);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(runtime.counters().layers, kThreads * kRounds);
}

}  // namespace
}  // namespace pkv
