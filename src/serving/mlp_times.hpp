#pragma once

// What of a layer is not attention.

#include <cstdint>
#include <string>
#include <vector>

namespace pkv::serving {

/// Microseconds that a layer's MLP takes for `batch` rows.
struct MlpPoint {
  std::int64_t batch = 0;
  double us = 0.0;
};

/// Straight lines between measured points; before the first and past the last, what these say. No points: no time.
class MlpTimes {
 public:
  MlpTimes() = default;
  /// `source` is for people. Throws InvalidArgument unless batches are >= 1 and ascend, and times are finite and >= 0.
  MlpTimes(std::vector<MlpPoint> points, std::string source);

  [[nodiscard]] double us(std::int64_t batch) const noexcept;
  [[nodiscard]] const std::vector<MlpPoint>& points() const noexcept { return points_; }
  [[nodiscard]] const std::string& source() const noexcept { return source_; }

 private:
  std::vector<MlpPoint> points_;
  std::string source_ = "takes no time: none was measured or given";
};

}  // namespace pkv::serving
