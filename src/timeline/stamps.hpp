#pragma once

// What the warps of one step have left behind: events by the clocks of their SMs, which count from instants of their
// own, and pairs of such a clock and the GPU's common one.

#include <cstdint>
#include <vector>

namespace pkv::timeline {

/// In the order in which a warp goes through them; the middle ones repeat for each item of its list.
enum class Event {
  kStart,      ///< first instruction
  kPlanned,    ///< knows what to read
  kFirstData,  ///< first tile of a run is there
  kSegment,    ///< a segment is done
  kArrived,    ///< before the CTA's barrier
  kJoined,     ///< the CTA's warps are joined
  kMerged,     ///< the CTA came last, and has merged what others published
  kExit,       ///< last instruction
};

struct Stamp {
  Event event = Event::kStart;
  int launch = 0;  ///< of the step
  int cta = 0;
  int warp = 0;  ///< of the CTA
  int sm = 0;
  std::int64_t clock = 0;  ///< cycles
  int row = 0;             ///< this and what follows: of kSegment
  int kv_head = 0;
  int token_begin = 0;
  int token_end = 0;
};

struct ClockPair {
  int sm = 0;
  std::int64_t clock = 0;  ///< cycles
  std::int64_t ns = 0;     ///< the same instant, common to all SMs
};

struct StampedRun {
  int num_sms = 0;
  std::vector<Stamp> stamps;      ///< each warp's in their order
  std::vector<ClockPair> clocks;  ///< at least two of every SM that has stamps, from before and after the step
  std::int64_t dropped = 0;       ///< stamps for which there was no room
};

}  // namespace pkv::timeline
