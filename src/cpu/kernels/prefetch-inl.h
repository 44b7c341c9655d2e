// Asks for the vectors of a later block, a few cache lines at a time, so that requests leave at the pace of the work.

#if defined(PKV_CPU_KERNELS_PREFETCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_PREFETCH_INL_H_
#undef PKV_CPU_KERNELS_PREFETCH_INL_H_
#else
#define PKV_CPU_KERNELS_PREFETCH_INL_H_
#endif

#include "kernels/block_cursor.hpp"

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// Everything here is inlined by force: GCC takes a function that only prefetches for one without effect, and deletes
/// the calls to it.
class Prefetcher {
 public:
  /// All of `block`, K and V alternately. vector_bytes is the size of one token's K or V.
  HWY_INLINE Prefetcher(const TokenBlock& block, int vector_bytes)
      : block_(block), end_(block.tokens), vector_bytes_(vector_bytes) {}

  /// Pairs of cache lines, one of K and one of V, that the block has.
  [[nodiscard]] HWY_INLINE int pairs() const { return end_ * ((vector_bytes_ + kLineBytes - 1) / kLineBytes); }

  /// The next `count` pairs.
  HWY_INLINE void issue(int count) {
    for (; count > 0 && token_ < end_; --count) {
      __builtin_prefetch(block_.k[token_] + at_, 0, kLocality);
      __builtin_prefetch(block_.v[token_] + at_, 0, kLocality);
      at_ += kLineBytes;
      if (at_ >= vector_bytes_) {
        at_ = 0;
        ++token_;
      }
    }
  }

 private:
  static constexpr int kLineBytes = 64;
  static constexpr int kLocality = 3;

  const TokenBlock& block_;
  int end_;
  int vector_bytes_;
  int token_ = 0;
  int at_ = 0;
};

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_PREFETCH_INL_H_
