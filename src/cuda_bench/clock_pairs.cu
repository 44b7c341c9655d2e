#include "clock_pairs.hpp"

namespace pkv::cuda_bench {

namespace {

constexpr int kThreads = 1024;  // so that an SM holds two CTAs at most, and no SM is left out
constexpr int kEdges = 4;

__device__ std::int64_t common_ns() {
  std::int64_t ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
  return ns;
}

/// The common clock may tick in steps as long as a microsecond: pairs are taken where it does.
__global__ void __launch_bounds__(kThreads) clock_pairs_kernel(DeviceClockPair* pairs) {
  if (threadIdx.x != 0) return;
  int sm;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  for (int edge = 0; edge < kEdges; ++edge) {
    const std::int64_t before = common_ns();
    std::int64_t ns = before;
    std::int64_t clock = 0;
    while (ns == before) {
      ns = common_ns();
      clock = clock64();
    }
    pairs[blockIdx.x * kEdges + edge] = {clock, ns, sm};
  }
}

int ctas(int num_sms) { return 2 * num_sms; }

}  // namespace

std::int64_t clock_pairs_count(int num_sms) { return std::int64_t{ctas(num_sms)} * kEdges; }

void read_clock_pairs(DeviceClockPair* pairs, int num_sms, cudaStream_t stream) {
  clock_pairs_kernel<<<ctas(num_sms), kThreads, 0, stream>>>(pairs);
}

}  // namespace pkv::cuda_bench
