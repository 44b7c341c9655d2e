#pragma once

// The language of kernels, for a C++ compiler: included ahead of each file of kernels.

#include "simt.hpp"

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <bit>
#include <cmath>

#undef __shared__
#define __shared__ static  // CTAs run one after the other
#undef __noinline__
#define __noinline__ __attribute__((noinline))
#undef __grid_constant__
#define __grid_constant__
#undef __launch_bounds__
#define __launch_bounds__(...)

#define threadIdx ::pkv::emulation::thread_index
#define blockIdx ::pkv::emulation::block_index
#define blockDim ::pkv::emulation::block_size
#define gridDim ::pkv::emulation::grid_size

template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  return b < a ? b : a;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  return a < b ? b : a;
}

inline void __syncthreads() { pkv::emulation::wait_for_cta(); }
inline void __syncwarp() {
  (void)pkv::emulation::in_warp<int>(0, [](const std::array<int, 32>&, std::size_t) { return 0; });
}

namespace pkv::emulation {

template <class T>
T from_lane(const T& x, int lane) {
  struct Asked {
    T x;
    int lane;
  };
  return in_warp<T>(Asked{x, lane}, [](const std::array<Asked, 32>& all, std::size_t i) {
    return all[static_cast<std::size_t>(all[i].lane & 31)].x;
  });
}

inline int own_lane() { return static_cast<int>(thread_index.x & 31); }

template <class T, class Reduce>
T reduce(const T& x, Reduce reduce) {
  return in_warp<T>(x, [reduce](const std::array<T, 32>& all, std::size_t) {
    T sum = all[0];
    for (std::size_t i = 1; i < 32; ++i) sum = reduce(sum, all[i]);
    return sum;
  });
}

}  // namespace pkv::emulation

template <class T>
T __shfl_sync(unsigned, const T& x, int lane) {
  return pkv::emulation::from_lane(x, lane);
}
template <class T>
T __shfl_xor_sync(unsigned, const T& x, int mask) {
  return pkv::emulation::from_lane(x, pkv::emulation::own_lane() ^ mask);
}
template <class T>
T __shfl_up_sync(unsigned, const T& x, int distance) {
  const int lane = pkv::emulation::own_lane();
  return pkv::emulation::from_lane(x, lane >= distance ? lane - distance : lane);
}
inline unsigned __ballot_sync(unsigned, bool x) {
  return pkv::emulation::in_warp<unsigned>(x, [](const std::array<bool, 32>& all, std::size_t) {
    unsigned bits = 0;
    for (std::size_t i = 0; i < 32; ++i) bits |= all[i] ? 1U << i : 0U;
    return bits;
  });
}
inline bool __any_sync(unsigned mask, bool x) { return __ballot_sync(mask, x) != 0; }
inline bool __all_sync(unsigned mask, bool x) { return __ballot_sync(mask, x) == mask; }
template <class T>
T __reduce_add_sync(unsigned, T x) {
  return pkv::emulation::reduce(x, [](T a, T b) { return static_cast<T>(a + b); });
}
template <class T>
T __reduce_min_sync(unsigned, T x) {
  return pkv::emulation::reduce(x, [](T a, T b) { return b < a ? b : a; });
}
template <class T>
T __reduce_max_sync(unsigned, T x) {
  return pkv::emulation::reduce(x, [](T a, T b) { return a < b ? b : a; });
}

inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline int __popc(unsigned x) { return std::popcount(x); }
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
void __stcg(T* p, const T& x) {
  *p = x;
}
