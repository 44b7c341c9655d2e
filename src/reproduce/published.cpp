#include "published.hpp"

#include <algorithm>
#include <array>

namespace pkv::reproduce {

namespace {

constexpr Route kSplit = Route::kSequenceSplit;
constexpr Route kQueue = Route::kWorkqueue;
constexpr Route kFlashInfer = Route::kFlashInferTensorCore;

constexpr std::array kRatios = {
    PublishedRatio{"main", "bucketed-b1", {kSplit, 32}, 1.471, 0.037, 1.403, 0.065},
    PublishedRatio{"main", "bimodal-b8", {kQueue, 20}, 1.106, 0.042, 1.080, 0.050},
    PublishedRatio{"main", "uniform-b8", {kQueue, 24}, 1.076, 0.029, 1.044, 0.022},
    PublishedRatio{"main", "zipf-b8", {kQueue, 28}, 1.105, 0.026, 1.068, 0.028},
    PublishedRatio{"main", "bimodal-b4", {kFlashInfer, 0}, 1.000, 0.0, 1.000, 0.0},
    PublishedRatio{"splits", "bucketed-b1", {kSplit, 28}, 1.606, 0.0, 1.379, 0.0},
    PublishedRatio{"splits", "bucketed-b1", {kSplit, 32}, 1.477, 0.0, 1.516, 0.0},
    PublishedRatio{"splits", "bucketed-b1", {kSplit, 36}, 1.375, 0.0, 1.282, 0.0},
    PublishedRatio{"splits", "bimodal-b8", {kQueue, 16}, 1.182, 0.0, 1.128, 0.0},
    PublishedRatio{"splits", "bimodal-b8", {kQueue, 20}, 1.181, 0.0, 1.136, 0.0},
    PublishedRatio{"splits", "bimodal-b8", {kQueue, 24}, 1.129, 0.0, 1.168, 0.0},
    PublishedRatio{"gqa", "gqa-sweep G=1", {kFlashInfer, 0}, 1.000, 0.0, 1.000, 0.0},
    PublishedRatio{"gqa", "gqa-sweep G=4", {kQueue, 20}, 1.257, 0.0, 1.256, 0.0},
    PublishedRatio{"gqa", "gqa-sweep G=8", {kFlashInfer, 0}, 1.000, 0.0, 1.000, 0.0},
};

constexpr std::array kIsolated = {
    PublishedIsolated{8192, 119.4, 149.7, 160.0, 797.9, 647.3},
    PublishedIsolated{32768, 438.8, 586.8, 616.9, 892.0, 2419.7},
    PublishedIsolated{65536, 888.9, 1151.2, 1217.5, 1590.1, 4984.0},
};

}  // namespace

std::span<const PublishedRatio> published_ratios() noexcept { return kRatios; }

const PublishedRatio* find_published(std::string_view section, std::string_view workload,
                                     const RouteSpec& route) noexcept {
  const auto* found = std::find_if(kRatios.begin(), kRatios.end(), [&](const PublishedRatio& r) {
    return r.section == section && r.workload == workload && r.route == route;
  });
  return found == kRatios.end() ? nullptr : found;
}

std::span<const PublishedIsolated> published_isolated() noexcept { return kIsolated; }

}  // namespace pkv::reproduce
