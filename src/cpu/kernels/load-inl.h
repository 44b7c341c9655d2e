// Widening loads of K, V and q.

#if defined(PKV_CPU_KERNELS_LOAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_LOAD_INL_H_
#undef PKV_CPU_KERNELS_LOAD_INL_H_
#else
#define PKV_CPU_KERNELS_LOAD_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;

/// Lanes(Floats()), as a constant: vectors of a fixed size may stand in arrays.
inline constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
static_assert(kLanes <= 16, "head_dim is a multiple of 16 lanes");

/// kLanes elements from `data` on.
template <class T>
HWY_INLINE FloatVec load_wide(const T* HWY_RESTRICT data) {
  const Floats df;
  if constexpr (std::is_same_v<T, float>)
    return hn::LoadU(df, data);
  else
    return hn::PromoteTo(df, hn::LoadU(hn::Rebind<T, Floats>(), data));
}

/// `v` as something that is in a register: GCC would fold a load into each of its uses, and loads are what is scarce.
HWY_INLINE FloatVec keep(FloatVec v) {
#if HWY_ARCH_X86 && HWY_COMPILER_GCC_ACTUAL && HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
  asm("" : "+v"(v.raw));  // NOLINT(hicpp-no-assembler): there are no instructions in it
#endif
  return v;
}

/// `pointer`, of which nothing is known: GCC would work out parts of addresses ahead of a loop, more than there are
/// registers for, and keep them in vector registers.
template <class T>
HWY_INLINE T* opaque(T* pointer) {
#if HWY_COMPILER_GCC_ACTUAL
  asm volatile("" : "+r"(pointer));  // NOLINT(hicpp-no-assembler): there are no instructions in it
#endif
  return pointer;
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_LOAD_INL_H_
