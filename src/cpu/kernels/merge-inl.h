// The exact combination of partial softmaxes: m = max m_s, l = sum exp(m_s - m) l_s, a = sum exp(m_s - m) a_s.

#if defined(PKV_CPU_KERNELS_MERGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_MERGE_INL_H_
#undef PKV_CPU_KERNELS_MERGE_INL_H_
#else
#define PKV_CPU_KERNELS_MERGE_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/output-inl.h"
#include "kernels/scratch.hpp"

#include <algorithm>
#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

inline void merge_partials(const DecodeArgs& args, const Merge& merge, Scratch& scratch) {
  const Floats df;
  const int d = args.head_dim;
  const int group = args.group_size;
  const std::span<const std::int32_t> slots = args.plan->slots(merge);
  for (int g = 0; g < group; ++g) {
    float max = -std::numeric_limits<float>::infinity();
    for (const std::int32_t slot : slots) max = std::max(max, args.slot(slot)[group * d + g]);
    float sum = 0.0f;
    float* HWY_RESTRICT acc = scratch.states.front().acc;
    for (int at = 0; at < d; at += kLanes) hn::Store(hn::Zero(df), df, acc + at);
    for (const std::int32_t slot : slots) {
      const float* HWY_RESTRICT partial = args.slot(slot);
      const float partial_sum = partial[group * (d + 1) + g];
      if (partial_sum == 0.0f) continue;  // the neutral state, whose maximum is -inf
      const float weight = std::exp2(partial[group * d + g] - max);
      sum += weight * partial_sum;
      const FloatVec weights = hn::Set(df, weight);
      for (int at = 0; at < d; at += kLanes)
        hn::Store(hn::MulAdd(weights, hn::LoadU(df, partial + g * d + at), hn::Load(df, acc + at)), df, acc + at);
    }
    write_output(args, merge.row, std::int64_t{merge.kv_head} * group + g, acc, max, sum);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_MERGE_INL_H_
