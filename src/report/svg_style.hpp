#pragma once

// What the timelines have in common.

#include <string>

namespace pkv::report {

/// Distinct hues for neighbouring rows, lightness by KV head.
[[nodiscard]] std::string row_colour(int row, int kv_head);

/// 1, 2 or 5 times a power of ten, so that an axis has at most ten ticks after 0.
[[nodiscard]] double tick_step(double range);

}  // namespace pkv::report
