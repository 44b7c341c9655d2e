#pragma once

// A trace as the decoding GPU sees it: faster or slower than it was recorded, cut off, and each request once its prompt
// has been processed.

#include "persistentkv/trace/request.hpp"
#include "prefill.hpp"

#include <cstdint>
#include <limits>
#include <queue>
#include <string>
#include <vector>

namespace pkv::serving {

struct TrafficOptions {
  double speed = 1.0;                                        ///< arrivals come so many times as fast
  double seconds = std::numeric_limits<double>::infinity();  ///< of arrivals, after `speed`; later requests are dropped
  std::int64_t requests = std::numeric_limits<std::int64_t>::max();  ///< the first so many
  Prefill prefill;
};

/// Hands out requests in the order in which they can be decoded; their `arrival` is then that time. With
/// PrefillRule::kSeparate a short prompt may overtake a long one; memory is that of the requests whose prompts are
/// being processed, and 8 bytes for every request.
class Traffic final : public RequestSource {
 public:
  /// Keeps a reference to `source`. Throws InvalidArgument for an option out of its bounds; for a speed, seconds or
  /// separate prefill where the source's arrivals count steps.
  Traffic(RequestSource& source, const TrafficOptions& options);

  [[nodiscard]] bool next(Request& request) override;
  [[nodiscard]] ArrivalUnit arrival_unit() const noexcept override { return source_.arrival_unit(); }
  [[nodiscard]] std::string name() const override { return source_.name(); }
  [[nodiscard]] std::int64_t skipped_rows() const noexcept override { return source_.skipped_rows(); }

  /// When a request really arrived, in microseconds of this traffic, by its number in the order of next(); only for
  /// arrivals in microseconds.
  [[nodiscard]] double arrived_us(std::int64_t request) const {
    return arrived_us_.at(static_cast<std::size_t>(request));
  }

 private:
  struct Waiting {
    double ready_us = 0.0;
    double arrived_us = 0.0;
    std::int64_t order = 0;
    Request request;

    /// The queue's top is the one that is ready first.
    friend bool operator<(const Waiting& a, const Waiting& b) {
      return a.ready_us != b.ready_us ? a.ready_us > b.ready_us : a.order > b.order;
    }
  };

  [[nodiscard]] bool pull(Waiting& waiting);

  RequestSource& source_;
  TrafficOptions options_;
  std::priority_queue<Waiting> waiting_;
  std::vector<double> arrived_us_;
  double last_arrival_us_ = 0.0;
  std::int64_t pulled_ = 0;
  bool ended_ = false;
};

}  // namespace pkv::serving
