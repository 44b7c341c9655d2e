#include "mlp_times.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace pkv::serving {

MlpTimes::MlpTimes(std::vector<MlpPoint> points, std::string source)
    : points_(std::move(points)), source_(std::move(source)) {
  std::int64_t before = 0;
  for (const MlpPoint& point : points_) {
    if (point.batch <= before)
      throw InvalidArgument(fmt::format("mlp batch is {}, must be above {}", point.batch, before));
    if (!std::isfinite(point.us) || point.us < 0.0)
      throw InvalidArgument(fmt::format("mlp us is {}, must be finite and >= 0", point.us));
    before = point.batch;
  }
}

double MlpTimes::us(std::int64_t batch) const noexcept {
  if (points_.empty()) return 0.0;
  const auto above = std::lower_bound(points_.begin(), points_.end(), batch,
                                      [](const MlpPoint& point, std::int64_t rows) { return point.batch < rows; });
  if (above == points_.begin()) return above->us;
  if (above == points_.end()) return points_.back().us;
  const MlpPoint& below = *(above - 1);
  const double share = static_cast<double>(batch - below.batch) / static_cast<double>(above->batch - below.batch);
  return below.us + share * (above->us - below.us);
}

}  // namespace pkv::serving
