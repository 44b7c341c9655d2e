#pragma once

// What the engine refuses, it refuses on the host, before anything is launched, in words that name the argument, its
// value and the bound.

#include "cuda/paged_problem.hpp"
#include "persistentkv/core/error.hpp"
#include "support/thrown.hpp"

#include <memory>
#include <string>

namespace pkv::testing {

using testing_support::thrown_by;

/// Three rows, prepared for `stream`, that a test spoils.
class CudaRefusals : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (IsSkipped()) return;
    problem_ = std::make_unique<PagedProblem>(Dimensions{.batch = 3, .pages_per_row = 4}, random_);
    problem_->draw(std::vector<std::int32_t>{64, 0, 17});
    prepared_ = prepare(problem_->device_step());
    problem_->poison_outputs();
  }
  void TearDown() override {
    if (problem_) {
      EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "nothing is left behind for the caller's next call";
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    }
    EngineTest::TearDown();
  }

  /// What run() says to a layer that `spoil` has changed; nothing may be written.
  template <class ErrorType = InvalidArgument, class Spoil>
  std::string refused(Spoil spoil) {
    Layer layer = problem_->device_layer();
    spoil(layer);
    const std::string words = thrown_by<ErrorType>([&] { prepared_->run(layer, nullptr); });
    EXPECT_EQ(problem_->download(), "");
    for (int row = 0; row < 3; ++row) EXPECT_TRUE(problem_->row_is_poison(row)) << "written before: " << words;
    return words;
  }
  template <class ErrorType = InvalidArgument>
  std::string refused_step(const Step& step, Schedule schedule = Schedule::kStream) {
    return thrown_by<ErrorType>([&] { (void)backend_->prepare(step, schedule, stream_options()); });
  }

  std::unique_ptr<PagedProblem> problem_;
  std::unique_ptr<CudaPreparedStep> prepared_;
};

}  // namespace pkv::testing
