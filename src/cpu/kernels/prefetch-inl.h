// The vectors of a block in the order of reading, and requests for those that are read later, a line or two at a time,
// so that requests leave at the pace of the work.

#if defined(PKV_CPU_KERNELS_PREFETCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_PREFETCH_INL_H_
#undef PKV_CPU_KERNELS_PREFETCH_INL_H_
#else
#define PKV_CPU_KERNELS_PREFETCH_INL_H_
#endif

#include "kernels/block_cursor.hpp"
#include "kernels/load-inl.h"

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

inline constexpr int kLineBytes = 64;

/// Everything that prefetches is inlined by force: GCC takes a function that only prefetches for one without effect,
/// and deletes the calls to it.
HWY_INLINE void ask_into_l1(const char* line) { __builtin_prefetch(line, 0, 3); }

/// Vectors of one KV head.
struct VectorList {
  const char* const* at = nullptr;  ///< filled up to kMaxBlockTokens behind `known`
  std::ptrdiff_t offset = 0;        ///< to be added to each
  int tokens = 0;
  int known = 0;  ///< of `at`, what is read in a row: the tokens, then what is read after them

  [[nodiscard]] HWY_INLINE const char* operator[](std::ptrdiff_t i) const { return at[i] + offset; }
  [[nodiscard]] HWY_INLINE VectorList from(int first) const {
    return {at + first, offset, tokens - first, known - first};
  }
};

/// A piece of a block: what is read, and as many vectors that are asked for meanwhile.
struct Stretch {
  VectorList here;
  VectorList near;
  VectorList far;
  int begin = 0;  ///< of the piece within its block
};

/// Asks for the vectors ahead of a stretch in their order.
class Asker {
 public:
  HWY_INLINE Asker(const Stretch& stretch, const DecodeArgs& args, int vector_bytes)
      : near_(stretch.near.at),
        far_(stretch.far.at),
        near_offset_(stretch.near.offset),
        far_offset_(stretch.far.offset),
        vector_bytes_(vector_bytes),
        twice_(args.ask_far > 0) {}

  /// The lines of the next kBytes.
  template <int kBytes>
  HWY_INLINE void ask() {
    if (kBytes >= kLineBytes || at_ % kLineBytes == 0) {
      const char* const near = *near_ + (near_offset_ + at_);
      for (int line = 0; line < kBytes; line += kLineBytes) ask_into_l1(near + line);
      if (twice_) {
        const char* const far = *far_ + (far_offset_ + at_);
        for (int line = 0; line < kBytes; line += kLineBytes) ask_into_l1(far + line);
      }
    }
    at_ += kBytes;
    if (at_ < vector_bytes_) return;
    at_ = 0;
    ++near_;
    ++far_;
  }

 private:
  const char* const* near_;
  const char* const* far_;
  const std::ptrdiff_t near_offset_;
  const std::ptrdiff_t far_offset_;
  const int vector_bytes_;
  const bool twice_;  // some cores drop requests that find their buffers full
  int at_ = 0;        // in the vectors that near_ and far_ are at
};

/// Reads `here`, and then `next` will be read: calls work(stretch) for pieces of it. All that is nearer than
/// args.ask_near has been asked for before, and afterwards too.
template <class Work>
HWY_INLINE void read_ahead(const DecodeArgs& args, const VectorList& here, const VectorList& next, int vector_bytes,
                           const Work& work) {
  const int places = TokenBlock::places_for(here.tokens);
  // After a short block there is more that is near.
  for (int i = 0; i < std::min(args.ask_near - places, next.tokens); ++i)
    for (int at = 0; at < vector_bytes; at += kLineBytes) ask_into_l1(next[i] + at);
  for (int begin = 0, end = 0; begin < here.tokens; begin = end) {
    end = here.tokens;
    const auto ahead = [&](int distance) {
      if (begin + distance >= here.known) return next.from(begin + distance - places);
      end = std::min(end, here.known - distance);
      return here.from(begin + distance);
    };
    const VectorList near = ahead(args.ask_near);
    const VectorList far = ahead(args.ask_far);
    VectorList piece = here.from(begin);
    piece.tokens = end - begin;
    work(Stretch{piece, near, far, begin});
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_PREFETCH_INL_H_
