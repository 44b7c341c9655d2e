#pragma once

// Which backend runs which route.

#include "persistentkv/engine/backend.hpp"
#include "persistentkv/plan/route.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace pkv::detail {

using Backends = std::span<const std::shared_ptr<Backend>>;

/// What an offer depends on.
struct OfferQuery {
  const AttentionShape& shape;  // valid
  DType dtype;
  int page_size;
  bool on_device;  // lengths or block table are
};

struct Offers {
  RouteSet routes;
  std::array<Backend*, kRunnableRoutes.size()> backends{};  // by route; null: nobody

  [[nodiscard]] Backend* backend(Route route) const noexcept { return backends[static_cast<std::size_t>(route)]; }
};

/// The first backend in the list that offers a route has it. Allocates only for backends that cannot serve the shape.
[[nodiscard]] Offers offers_of(Backends backends, const OfferQuery& query);

/// Offers of shapes that were asked for before: steps of one model all have the same, and to ask backends takes longer
/// than to choose. Any number of threads may ask at once; those that find theirs take no lock.
class KnownOffers {
 public:
  /// offers_of(backends, query), for the same backends in every call.
  [[nodiscard]] Offers of(Backends backends, const OfferQuery& query);

 private:
  /// As many are kept; what comes later is asked anew every time.
  static constexpr std::size_t kMost = 64;

  struct Known {
    AttentionShape shape;
    DType dtype = DType::kF16;
    int page_size = 0;
    bool on_device = false;
    Offers offers;
    const Known* older = nullptr;
  };

  std::atomic<const Known*> newest_{nullptr};  // what can be reached from it never changes
  std::mutex adding_;
  std::vector<std::unique_ptr<const Known>> known_;  // owns them
};

/// Why nobody offers `route`: each backend's reason, in the order of the list.
[[nodiscard]] std::string why_nobody(Backends backends, Route route, const OfferQuery& query);

/// Why nobody offers any route.
[[nodiscard]] std::string why_nobody(Backends backends, const OfferQuery& query);

}  // namespace pkv::detail
