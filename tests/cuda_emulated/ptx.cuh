#pragma once

// What src/cuda/kernels/ptx.cuh says in PTX, said in C++, by the fragments' layouts in the PTX ISA.

#include "device.hpp"
#include "persistentkv/core/dtype.hpp"

#include <array>
#include <cstdint>

struct __half {};
struct __nv_bfloat16 {};

namespace pkv::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

inline int lane_id() { return emulation::own_lane(); }

/// Only of dynamic shared memory.
inline std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(static_cast<const unsigned char*>(p) - emulation::shared_memory);
}

inline std::uint64_t read_once_policy() { return 0; }

inline void copy_async_16(std::uint32_t to, const void* from, bool fetch, std::uint64_t) {
  emulation::copy_async(emulation::shared_memory + to, fetch ? from : nullptr, 16);
}
inline void copy_async_commit() { emulation::commit_copies(); }
template <int kPending>
void copy_async_wait() {
  emulation::wait_for_copies(kPending);
}

inline void prefetch_l2(const void*) {}
template <class T>
void not_before(T&) {}

/// Four 8x8 matrices; `row` of lane 8m + i names row i of matrix m. A lane holds two neighbours of row lane / 4, or, of
/// the transposed matrix, of column lane / 4.
inline void load_matrices_any(std::uint32_t (&r)[4], std::uint32_t row, bool transposed) {
  using Four = std::array<std::uint32_t, 4>;
  const Four got =
      emulation::in_warp<Four>(row, [transposed](const std::array<std::uint32_t, 32>& rows, std::size_t lane) {
        Four out{};
        const auto element = [&](std::size_t matrix, std::size_t i, std::size_t j) {
          std::uint16_t x = 0;
          std::memcpy(&x, emulation::shared_memory + rows[8 * matrix + i] + 2 * j, 2);
          return std::uint32_t{x};
        };
        for (std::size_t m = 0; m < 4; ++m) {
          const std::size_t i = lane / 4, j = 2 * (lane % 4);
          out[m] = transposed ? element(m, j, i) | element(m, j + 1, i) << 16
                              : element(m, i, j) | element(m, i, j + 1) << 16;
        }
        return out;
      });
  std::copy(got.begin(), got.end(), r);
}
inline void load_matrices(std::uint32_t (&r)[4], std::uint32_t row) { load_matrices_any(r, row, false); }
inline void load_matrices_transposed(std::uint32_t (&r)[4], std::uint32_t row) { load_matrices_any(r, row, true); }

inline std::uint32_t transpose_matrix(std::uint32_t x) {
  return emulation::in_warp<std::uint32_t>(x, [](const std::array<std::uint32_t, 32>& all, std::size_t lane) {
    const auto element = [&](std::size_t i, std::size_t j) { return all[4 * i + j / 2] >> (16 * (j % 2)) & 0xffffu; };
    return element(2 * (lane % 4), lane / 4) | element(2 * (lane % 4) + 1, lane / 4) << 16;
  });
}

inline float fast_exp2(float x) { return std::exp2(x); }
inline float fast_reciprocal(float x) { return 1.0f / x; }
inline float fast_log2(float x) { return std::log2(x); }
inline void set_bits(unsigned* to, unsigned bits) { *to |= bits; }

template <DType kDType>
struct PackedAs {
  static float element(std::uint32_t pair, int which) {
    const auto bits = static_cast<std::uint16_t>(pair >> (16 * which));
    return load_element(&bits, kDType, 0);
  }
  static std::uint32_t pack(float low, float high) {
    std::uint16_t bits[2];
    store_element(bits, kDType, 0, low);
    store_element(bits, kDType, 1, high);
    return bits[0] | std::uint32_t{bits[1]} << 16;
  }
  static float2 unpack(std::uint32_t x) { return make_float2(element(x, 0), element(x, 1)); }

  struct Operands {
    std::array<float, 4> c;
    std::array<float, 8> a;
    std::array<float, 4> b;
  };
  /// c += a b, with a 16x16, b 16x8 and c 16x8 in FP32.
  static void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    Operands own{{c[0], c[1], c[2], c[3]}, {}, {element(b0, 0), element(b0, 1), element(b1, 0), element(b1, 1)}};
    for (std::size_t i = 0; i < 8; ++i) own.a[i] = element(a[i / 2], static_cast<int>(i % 2));
    const auto got =
        emulation::in_warp<std::array<float, 4>>(own, [](const std::array<Operands, 32>& all, std::size_t lane) {
          std::array<float, 4> out = all[lane].c;
          for (std::size_t x = 0; x < 4; ++x) {
            const std::size_t row = lane / 4 + 8 * (x / 2), column = 2 * (lane % 4) + x % 2;
            for (std::size_t k = 0; k < 16; ++k) {
              const std::size_t pair = k % 8 / 2;
              out[x] += all[4 * (row % 8) + pair].a[2 * (row / 8 + 2 * (k / 8)) + k % 2] *
                        all[4 * column + pair].b[2 * (k / 8) + k % 2];
            }
          }
          return out;
        });
    std::copy(got.begin(), got.end(), c);
  }
};

template <class T>
struct Packed;
template <>
struct Packed<__half> : PackedAs<DType::kF16> {};
template <>
struct Packed<__nv_bfloat16> : PackedAs<DType::kBF16> {};

inline void wait_for_kernel_ahead() {}

}  // namespace pkv::cuda
