#pragma once

// Stamps of a step that never ran: times are chosen in microseconds, and told by clocks that all run at their own speed
// and count from instants of their own.

#include "timeline/stamps.hpp"

#include <cmath>
#include <cstdint>
#include <random>

namespace pkv::timeline::testing {

class SyntheticRun {
 public:
  explicit SyntheticRun(int num_sms, std::uint32_t seed = 1) : random_(seed) {
    run.num_sms = num_sms;
    std::uniform_real_distribution<double> ghz(1.1, 1.9);
    std::uniform_int_distribution<std::int64_t> zero(0, std::int64_t{1} << 50);
    for (int sm = 0; sm < num_sms; ++sm) {
      clocks_.push_back({ghz(random_), zero(random_)});
      for (const double us : {-20.0, -19.0, 90.0, 91.0}) run.clocks.push_back({sm, clock(sm, us), kEpochNs + ns(us)});
    }
  }

  void stamp(Event event, int cta, int warp, int sm, double us, int launch = 0) {
    run.stamps.push_back({event, launch, cta, warp, sm, clock(sm, us), 0, 0, 0, 0});
  }
  void segment(int cta, int warp, int sm, double us, int row, int kv_head, int begin, int end) {
    run.stamps.push_back({Event::kSegment, 0, cta, warp, sm, clock(sm, us), row, kv_head, begin, end});
  }
  /// A warp that does one segment: plan after 1 us, data after 2, and 0.5 us each to the barrier, the join and the
  /// exit.
  void warp(int cta, int warp, int sm, double start_us, double end_us, int row, int kv_head) {
    stamp(Event::kStart, cta, warp, sm, start_us);
    stamp(Event::kPlanned, cta, warp, sm, start_us + 1);
    stamp(Event::kFirstData, cta, warp, sm, start_us + 2);
    segment(cta, warp, sm, end_us, row, kv_head, 0, 128);
    stamp(Event::kArrived, cta, warp, sm, end_us + 0.5);
    stamp(Event::kJoined, cta, warp, sm, end_us + 1);
    stamp(Event::kExit, cta, warp, sm, end_us + 1.5);
  }

  StampedRun run;

 private:
  struct Clock {
    double ghz;
    std::int64_t zero;
  };
  static constexpr std::int64_t kEpochNs = 1'790'000'000'000'000'000;

  static std::int64_t ns(double us) { return std::llround(us * 1e3); }
  [[nodiscard]] std::int64_t clock(int sm, double us) const {
    const Clock& of = clocks_[static_cast<std::size_t>(sm)];
    return of.zero + std::llround(us * 1e3 * of.ghz);
  }

  std::mt19937 random_;
  std::vector<Clock> clocks_;
};

}  // namespace pkv::timeline::testing
