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
  /// All of `block`, K and V of a token together, spread over `calls` calls of step(). vector_bytes is the size of one
  /// token's K or V.
  HWY_INLINE Prefetcher(const TokenBlock& block, int vector_bytes, int calls)
      : block_(block), vector_bytes_(vector_bytes), calls_(calls) {}

  HWY_INLINE void step() {
    for (due_ += block_.tokens; due_ >= calls_; due_ -= calls_) ask(token_++);
  }
  /// What step() has not asked for yet.
  HWY_INLINE void finish() {
    while (token_ < block_.tokens) ask(token_++);
  }

 private:
  HWY_INLINE void ask(int token) const {
    const char* k = block_.k[token];
    const char* v = block_.v[token];
    for (int at = 0; at < vector_bytes_; at += kUnrolledBytes) {
      for (int i = 0; i < kUnrolledBytes; i += kLineBytes) __builtin_prefetch(k + at + i, 0, kLocality);
      for (int i = 0; i < kUnrolledBytes; i += kLineBytes) __builtin_prefetch(v + at + i, 0, kLocality);
    }
  }

  static constexpr int kLineBytes = 64;
  static constexpr int kUnrolledBytes = 128;
  static constexpr int kLocality = 2;  // into L2

  const TokenBlock& block_;
  int vector_bytes_;
  int calls_;
  int due_ = 0;
  int token_ = 0;
};

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_PREFETCH_INL_H_
