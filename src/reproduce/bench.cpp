#include "bench.hpp"

#include <fmt/format.h>

namespace pkv::reproduce {

std::string label(const RouteSpec& spec) {
  return spec.splits > 0 ? fmt::format("{} {}", to_string(spec.route), spec.splits)
                         : std::string(to_string(spec.route));
}

bool is_flashinfer(Route route) noexcept {
  return route == Route::kFlashInferCudaCore || route == Route::kFlashInferTensorCore;
}

Window as_the_paper_timed(Route route) noexcept {
  if (is_flashinfer(route)) return {.planned_inside = true, .rows = RowAccess::kGathered};
  return {.rows = RowAccess::kByIds};
}

}  // namespace pkv::reproduce
