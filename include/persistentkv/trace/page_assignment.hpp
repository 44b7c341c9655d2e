#pragma once

/// The fixed page assignment of the PersistentKV study: every request owns its pages from the start to the end.

#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace pkv {

struct PageAssignmentOptions {
  int page_size = 16;          ///< tokens, in [1, 2^20]
  double hole_fraction = 0.0;  ///< share of physical pages that nobody owns, in [0, 0.95]
  std::uint32_t seed = 20260623;
};

/// Request i owns ceil((prompt + decode) / page_size) pages: the next slice of a seeded permutation of
/// ceil(pages / (1 - hole_fraction)) physical ids. The same permutation on every platform (Fisher-Yates from the end,
/// each draw a value of std::mt19937{seed} modulo the ids left).
class PageAssignment {
 public:
  /// Throws InvalidArgument: options or a request (validate_requests) out of bounds, or 2^31 physical pages and more.
  PageAssignment(std::span<const Request> requests, const PageAssignmentOptions& options);

  [[nodiscard]] std::int64_t num_physical_pages() const noexcept { return static_cast<std::int64_t>(ids_.size()); }
  [[nodiscard]] std::int64_t num_requests() const noexcept { return static_cast<std::int64_t>(begin_.size()) - 1; }

  /// Physical page ids of a request in the order of its tokens; `request` must lie in [0, num_requests()).
  [[nodiscard]] std::span<const std::int32_t> pages(std::int64_t request) const noexcept;

 private:
  std::vector<std::int32_t> ids_;    // [num_physical_pages]
  std::vector<std::int64_t> begin_;  // [requests + 1] into ids_
};

}  // namespace pkv
