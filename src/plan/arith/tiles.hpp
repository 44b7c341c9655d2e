#pragma once

// Tiles and splits of one row.

#include "host_device.hpp"

#include <cstdint>

namespace pkv::arith {

PKV_HOST_DEVICE constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

PKV_HOST_DEVICE constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

/// Tiles of a row of `tokens`, the last one possibly short.
PKV_HOST_DEVICE constexpr std::int32_t num_tiles(std::int64_t tokens, std::int64_t tile_tokens) {
  return static_cast<std::int32_t>(ceil_div(tokens, tile_tokens));
}

/// First tile of split s: split s owns [split_begin(s), split_begin(s + 1)).
PKV_HOST_DEVICE constexpr std::int32_t split_begin(std::int64_t tiles, std::int64_t s, std::int64_t splits) {
  return static_cast<std::int32_t>(tiles * s / splits);
}

}  // namespace pkv::arith
