#pragma once

/// The run settings of the PersistentKV study, by name.

#include "persistentkv/trace/families.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace pkv {

/// The study's cost model was fitted on this seed ...
inline constexpr std::uint32_t kCalibrationSeed = 20260622;
/// ... and judged on these.
inline constexpr std::array<std::uint32_t, 5> kHeldOutSeeds = {20260623, 20260624, 20260625, 20260626, 20260627};

struct PaperRun {
  std::string_view name;
  TraceFamily family = TraceFamily::kBimodal;
  std::int64_t max_active = 0;
  std::int64_t num_requests = 0;
  std::int64_t num_steps = 0;  ///< measured steps

  [[nodiscard]] FamilyOptions options(std::uint32_t seed) const noexcept {
    return {family, seed, num_requests, max_active};
  }
};

/// bucketed-b1, bimodal-b8, uniform-b8, zipf-b8, homogeneous-b8, bimodal-b4 and gqa-sweep.
[[nodiscard]] std::span<const PaperRun> paper_runs() noexcept;

/// Throws InvalidArgument, listing the names there are.
[[nodiscard]] const PaperRun& find_paper_run(std::string_view name);

}  // namespace pkv
