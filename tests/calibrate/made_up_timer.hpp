#pragma once

// A device whose times are known.

#include "calibrate/step_timer.hpp"

#include <functional>
#include <memory>
#include <random>
#include <utility>

namespace pkv::calibrate::testing_support {

/// Seconds are not spent: times are what `us` says, with 1 % of noise; below 0 where a route does not run.
class MadeUpTimer final : public StepTimer {
 public:
  using Us = std::function<double(const TimedShape& shape, const Choice& choice, const Lengths& lengths)>;

  explicit MadeUpTimer(Us us, std::int64_t pool_tokens = std::int64_t{1} << 30)
      : us_(std::move(us)), pool_tokens_(pool_tokens) {}

  [[nodiscard]] const TimerFacts& facts() const noexcept override { return facts_; }

  [[nodiscard]] std::unique_ptr<ShapeTimer> open(const TimedShape& shape, std::span<const Choice> choices, int rounds,
                                                 const std::vector<Lengths>&) override {
    opened.push_back(shape);
    return std::make_unique<Shape>(*this, shape, choices, rounds);
  }

  [[nodiscard]] MeasuredOverheads overheads(const TimedShape&, const Lengths&) override { return {4000, 1.5, 3, 0}; }

  std::vector<TimedShape> opened;
  int steps = 0;

 private:
  class Shape final : public ShapeTimer {
   public:
    Shape(MadeUpTimer& timer, const TimedShape& shape, std::span<const Choice> choices, int rounds)
        : timer_(timer), shape_(shape), choices_(choices.begin(), choices.end()), rounds_(rounds) {}

    [[nodiscard]] bool fits(const Lengths& lengths) const override {
      std::int64_t tokens = 0;
      for (const std::int32_t length : lengths) tokens += length;
      return tokens <= timer_.pool_tokens_;
    }

    [[nodiscard]] std::vector<fit::RouteTimes> time(const Lengths& lengths) override {
      ++timer_.steps;
      std::vector<fit::RouteTimes> times;
      for (const Choice& choice : choices_) {
        times.push_back({choice, 5, {}});
        const double us = timer_.us_(shape_, choice, lengths);
        for (int round = 0; us >= 0 && round < rounds_; ++round)
          times.back().time_us.push_back(us * timer_.noise_(timer_.random_));
      }
      return times;
    }

   private:
    MadeUpTimer& timer_;
    TimedShape shape_;
    std::vector<Choice> choices_;
    int rounds_;
  };

  Us us_;
  std::int64_t pool_tokens_;
  TimerFacts facts_{"A GPU", 100, "driver 1", "made up"};
  std::mt19937 random_{1};
  std::normal_distribution<double> noise_{1.0, 0.01};
};

}  // namespace pkv::calibrate::testing_support
