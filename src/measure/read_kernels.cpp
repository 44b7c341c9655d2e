#include "read_kernels.hpp"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)  // vectors stand in arrays
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "read_kernels.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::ScalableTag<std::uint64_t>;
using WordVec = hn::Vec<Words>;

constexpr int kInFlight = 8;
constexpr std::int64_t kVectorBytes = HWY_MAX_BYTES;
/// docs/design/cpu-engine.md has the measurements behind these: one request for every 512 bytes, 8 KB ahead, sets off
/// the hardware's prefetcher of the next level, which has more requests in flight than a core can make itself.
constexpr std::int64_t kAheadBytes = 8192;
constexpr std::int64_t kRequestBytes = 512;

template <class Load>
HWY_INLINE std::uint64_t fold(const char* data, std::int64_t bytes, const Load& load) {
  const Words d;
  WordVec sums[kInFlight];
  for (WordVec& sum : sums) sum = hn::Zero(d);
  std::int64_t at = 0;
  for (; at + kInFlight * kVectorBytes <= bytes; at += kInFlight * kVectorBytes)
    for (int i = 0; i < kInFlight; ++i) sums[i] = hn::Xor(sums[i], load(data, at + i * kVectorBytes));
  for (; at + kVectorBytes <= bytes; at += kVectorBytes) sums[0] = hn::Xor(sums[0], load(data, at));
  for (int i = 1; i < kInFlight; ++i) sums[0] = hn::Xor(sums[0], sums[i]);
  HWY_ALIGN std::uint64_t lanes[HWY_MAX_BYTES / sizeof(std::uint64_t)];
  hn::Store(sums[0], d, lanes);
  std::uint64_t result = 0;
  for (const std::uint64_t lane : lanes) result ^= lane;
  for (; at < bytes; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + at, static_cast<std::size_t>(std::min<std::int64_t>(8, bytes - at)));
    result ^= word;
  }
  return result;
}

std::uint64_t read(const char* data, std::int64_t bytes, const char* next) {
  return fold(data, bytes, [=](const char* from, std::int64_t at) HWY_ATTR {
    if (at % kRequestBytes == 0) {
      const std::int64_t ahead = at + kAheadBytes;
      if (ahead < bytes)
        __builtin_prefetch(from + ahead, 0, 2);
      else if (next != nullptr)
        __builtin_prefetch(next + std::min(ahead - bytes, at), 0, 2);
    }
    return hn::LoadU(Words(), reinterpret_cast<const std::uint64_t*>(from + at));
  });
}

std::uint64_t read_non_temporal(const char* data, std::int64_t bytes) {
  return fold(data, bytes, [](const char* from, std::int64_t at) HWY_ATTR {
#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64
    return WordVec{_mm512_stream_load_si512(const_cast<char*>(from) + at)};
#elif HWY_ARCH_X86 && HWY_MAX_BYTES == 32
    return WordVec{_mm256_stream_load_si256(reinterpret_cast<const __m256i*>(from + at))};
#else
    __builtin_prefetch(from + at + 1024, 0, 0);
    return hn::LoadU(Words(), reinterpret_cast<const std::uint64_t*>(from + at));
#endif
  });
}

const ReadKernels* read_kernels_of_target() {
  constexpr bool kStreams = HWY_ARCH_X86 && (HWY_MAX_BYTES == 64 || HWY_MAX_BYTES == 32);
  static constexpr ReadKernels kKernels{read, read_non_temporal, kStreams ? "movntdqa" : "prefetchnta"};
  return &kKernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pkv::detail {

HWY_EXPORT(read_kernels_of_target);

const ReadKernels& read_kernels() { return *HWY_DYNAMIC_DISPATCH(read_kernels_of_target)(); }

}  // namespace pkv::detail
#endif
