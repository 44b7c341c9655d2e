#include "persistentkv/plan/schedule.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

namespace pkv {

std::string_view to_string(Schedule schedule) noexcept {
  switch (schedule) {
    case Schedule::kExactBuckets:
      return "exact-buckets";
    case Schedule::kCoarseBuckets:
      return "coarse-buckets";
    case Schedule::kPaddedBucket:
      return "padded-bucket";
    case Schedule::kSequenceSplit:
      return "sequence-split";
    case Schedule::kWorkqueue:
      return "workqueue";
    case Schedule::kWorkqueueFused:
      return "workqueue-fused";
    case Schedule::kStream:
      return "stream";
  }
  return "?";
}

Schedule parse_schedule(std::string_view text) {
  std::string known;
  for (const Schedule schedule : kAllSchedules) {
    if (text == to_string(schedule)) return schedule;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", to_string(schedule));
  }
  throw InvalidArgument(fmt::format("schedule is '{}', must be one of {}", text, known));
}

}  // namespace pkv
