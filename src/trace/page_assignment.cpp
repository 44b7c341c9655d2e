#include "persistentkv/trace/page_assignment.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace pkv {

namespace {

constexpr int kMaxPageSize = 1 << 20;
constexpr double kMaxHoleFraction = 0.95;

}  // namespace

PageAssignment::PageAssignment(std::span<const Request> requests, const PageAssignmentOptions& options) {
  if (options.page_size < 1 || options.page_size > kMaxPageSize)
    throw InvalidArgument(fmt::format("page_size is {}, must be in [1, {}]", options.page_size, kMaxPageSize));
  if (!(options.hole_fraction >= 0.0 && options.hole_fraction <= kMaxHoleFraction)) {
    throw InvalidArgument(
        fmt::format("hole_fraction is {}, must be in [0, {}]", options.hole_fraction, kMaxHoleFraction));
  }
  validate_requests(requests);

  begin_.reserve(requests.size() + 1);
  begin_.push_back(0);
  for (const Request& request : requests) {
    const std::int64_t tokens = request.prompt_tokens + request.decode_tokens;
    begin_.push_back(begin_.back() + (tokens + options.page_size - 1) / options.page_size);
  }
  const double physical = std::ceil(static_cast<double>(begin_.back()) / (1.0 - options.hole_fraction));
  constexpr std::int32_t kMaxPages = std::numeric_limits<std::int32_t>::max();
  if (physical > kMaxPages) {
    throw InvalidArgument(
        fmt::format("the requests own {} pages, which with holes takes {:.0f} physical ones, must be "
                    "at most {}",
                    begin_.back(), physical, kMaxPages));
  }

  ids_.resize(static_cast<std::size_t>(physical));
  std::iota(ids_.begin(), ids_.end(), 0);
  std::mt19937 random(options.seed);
  for (std::size_t left = ids_.size(); left > 1; --left) std::swap(ids_[left - 1], ids_[random() % left]);
}

std::span<const std::int32_t> PageAssignment::pages(std::int64_t request) const noexcept {
  const auto index = static_cast<std::size_t>(request);
  return std::span(ids_).subspan(static_cast<std::size_t>(begin_[index]),
                                 static_cast<std::size_t>(begin_[index + 1] - begin_[index]));
}

}  // namespace pkv
