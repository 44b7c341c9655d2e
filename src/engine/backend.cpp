#include "persistentkv/engine/backend.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

namespace pkv {

std::unique_ptr<PreparedStep> Backend::prepare_route(const Step& step, Route route, const PlanOptions& options) {
  const auto schedule = schedule_of(route);
  if (!schedule)
    throw Unsupported(fmt::format("route is {}, which backend {} does not have", to_string(route), name()));
  return prepare(step, *schedule, options);
}

}  // namespace pkv
