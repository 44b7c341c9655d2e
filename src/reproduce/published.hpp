#pragma once

// What the paper reports (arXiv 2606.26666, RTX 3060, FlashInfer 0.2.5): numbers to be put beside ours, none of them
// measured by this project.

#include "bench.hpp"

#include <optional>
#include <span>
#include <string_view>

namespace pkv::reproduce {

/// Over FlashInfer's tensor-core path, as the paper timed. std is 0 where one seed was run.
struct PublishedRatio {
  std::string_view section;
  std::string_view workload;
  RouteSpec route;
  double event = 0.0, event_std = 0.0;
  double wall = 0.0, wall_std = 0.0;
};

[[nodiscard]] std::span<const PublishedRatio> published_ratios() noexcept;
[[nodiscard]] const PublishedRatio* find_published(std::string_view section, std::string_view workload,
                                                   const RouteSpec& route) noexcept;

/// The isolated table: one row on pages half of which are holes, microseconds of a layer.
struct PublishedIsolated {
  std::int32_t tokens = 0;
  double flashinfer_us = 0.0, vllm_us = 0.0, persistentkv_us = 0.0, tensorrt_llm_us = 0.0, repack_sdpa_us = 0.0;
};
[[nodiscard]] std::span<const PublishedIsolated> published_isolated() noexcept;

/// One sentence: what is not the same here as there.
inline constexpr const char* kPublishedSetup =
    "the paper: RTX 3060, FlashInfer 0.2.5 on its tensor-core path with NHD pages, called from Python; here: the GPU "
    "named above, FlashInfer 0.7.2 on HND pages, called from C++";

}  // namespace pkv::reproduce
