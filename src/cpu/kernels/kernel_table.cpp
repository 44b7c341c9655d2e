#include "kernels/kernel_table.hpp"

// Vectors stand in arrays here, which only targets with vectors of a fixed size allow.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
// Highway falls back to single lanes where GCC miscompiles the emulated vectors' high-part multiplication (GCC bug
// 106322): we need vectors of four, and multiply no integers.
#define HWY_BROKEN_EMU128 0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernel_table.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/decode-inl.h"
#include "kernels/merge-inl.h"

#include <hwy/highway.h>

#include <algorithm>
#include <iterator>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

const KernelTable* kernels_of_target() {
  static constexpr KernelTable kTable{
      .target = HWY_TARGET,
      .decode_f16 = decode_worker<hwy::float16_t>,
      .decode_bf16 = decode_worker<hwy::bfloat16_t>,
      .decode_f32 = decode_worker<float>,
      .merge = merge_partials,
  };
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pkv::detail {

HWY_EXPORT(kernels_of_target);

std::vector<const KernelTable*> supported_kernels() {
  const auto& compiled = HWY_DISPATCH_TABLE(kernels_of_target);
  const std::int64_t here = hwy::SupportedTargets();
  std::vector<const KernelTable*> found;
  // The first entry chooses, the last is the target that every machine has, those between are null or of one target.
  for (std::size_t i = 1; i + 1 < std::size(compiled); ++i)
    if (compiled[i] != nullptr && (compiled[i]()->target & here) != 0) found.push_back(compiled[i]());
  const KernelTable* fallback = compiled[std::size(compiled) - 1]();
  if (std::find(found.begin(), found.end(), fallback) == found.end()) found.push_back(fallback);
  return found;
}

std::string target_name(const KernelTable& kernels) { return hwy::TargetName(kernels.target); }

}  // namespace pkv::detail
#endif
