#pragma once

// Readers of pages of any size, and of everything.

#include "bench_kernels.hpp"
#include "reader_times.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>

namespace pkv::cuda_bench {

/// Reads `bytes` (a multiple of 16) from one end to the other with plain loads, so that L2 holds nothing else
/// afterwards. The readers of the benchmark would not do: some of their loads ask to be evicted first, and then they
/// evict one another.
void read_through_l2(const void* data, std::int64_t bytes, int num_sms, cudaStream_t stream);

/// Reads pages of any size, however small: each thread takes 16 bytes of K and of V, wherever they are.
void read_by_vectors(const PageList& list, int num_sms, cudaStream_t stream);

using Reader = void (*)(const PageList& list, int num_sms, cudaStream_t stream);

/// `time_us` runs a reader over lists of pages of `page_bytes`, in whatever way its caller times things.
[[nodiscard]] ReaderTimes time_readers(std::int64_t page_bytes, const std::function<double(Reader)>& time_us);

}  // namespace pkv::cuda_bench
