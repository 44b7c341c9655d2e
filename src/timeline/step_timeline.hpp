#pragma once

// One step in time: which CTA was on which SM when, and what its warps read.

#include "stamps.hpp"

#include <optional>
#include <vector>

namespace pkv::timeline {

/// A warp's work on one segment, or its share of one: from the arrival of its first tile, or the end of the segment
/// before it, to its last product.
struct Task {
  int launch = 0;
  int cta = 0;
  int warp = 0;
  int sm = 0;
  int row = 0;
  int kv_head = 0;
  int token_begin = 0;
  int token_end = 0;
  double begin_us = 0.0;
  double end_us = 0.0;
};

/// A CTA's milestones. Each is when its last warp got there, but for start and first_data: there its first. Absent: no
/// warp did, such as those of a launch that only merges.
struct CtaTimes {
  int launch = 0;
  int cta = 0;
  int sm = 0;
  double start_us = 0.0;
  std::optional<double> planned_us;
  std::optional<double> first_data_us;
  std::optional<double> all_data_us;  ///< every warp that reads has had its first tile
  std::optional<double> last_segment_us;
  std::optional<double> arrived_us;
  std::optional<double> joined_us;
  std::optional<double> merged_us;
  double exit_us = 0.0;
};

struct StepTimeline {
  int num_sms = 0;
  int launches = 0;
  double duration_us = 0.0;     ///< from the first start to the last exit
  double clock_error_us = 0.0;  ///< what times of different SMs may be off
  std::int64_t dropped = 0;     ///< stamps that are missing
  std::vector<CtaTimes> ctas;   ///< by launch and number
  std::vector<Task> tasks;      ///< by launch, CTA, warp and time
};

/// Times are since the first start. Throws InvalidArgument where there are no stamps, or none of a warp's start or
/// exit, and as SmClocks does.
[[nodiscard]] StepTimeline make_timeline(const StampedRun& run);

}  // namespace pkv::timeline
