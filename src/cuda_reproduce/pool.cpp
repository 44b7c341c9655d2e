#include "pool.hpp"

#include "cuda_bench/bench_kernels.hpp"
#include "cuda_support/check.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

namespace pkv::cuda_reproduce {

namespace {

using cuda::check;

constexpr std::int64_t kQueryBytes = 4ll << 20;  // of each of q and out: 512 rows of the paper's shape

void download_to(void* to, const void* from, std::int64_t bytes) {
  check(cudaMemcpy(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost), "cudaMemcpy");
}

}  // namespace

Pool::Pool(std::int64_t kv_bytes)
    : half_bytes_((kv_bytes / 2 + 15) / 16 * 16),
      k_(half_bytes_),
      v_(half_bytes_),
      q_(kQueryBytes),
      out_(kQueryBytes),
      gathered_q_(kQueryBytes),
      gathered_out_(kQueryBytes) {
  cuda_bench::fill_normal(k_.get(), DType::kF16, half_bytes_ / 2, 1, nullptr);
  cuda_bench::fill_normal(v_.get(), DType::kF16, half_bytes_ / 2, 2, nullptr);
  cuda_bench::fill_normal(q_.get(), DType::kF16, kQueryBytes / 2, 3, nullptr);
  check(cudaDeviceSynchronize(), "filling the pool");
}

KvCacheView Pool::kv(const Step& step) const {
  const std::int64_t half = KvCacheView::num_elements(step.shape, step.page_size, step.num_pages);  // of 2 bytes each
  if (half > half_bytes_) {
    throw InvalidArgument(
        fmt::format("{} pages take {} MiB, must fit in the pool's {}", step.num_pages, half >> 19, half_bytes_ >> 19));
  }
  return KvCacheView::dense(KvLayout::kHND, step.shape, step.dtype, step.page_size, step.num_pages, k_.get(), v_.get());
}

void Pool::require_rows(const reproduce::BenchStep& step) const {
  const std::int64_t most = kQueryBytes / row_bytes(step.step.shape);
  if (step.num_q_rows > most || step.step.batch > most)
    throw InvalidArgument(fmt::format("num_q_rows is {}, must be at most {}", step.num_q_rows, most));
}

reproduce::RowOnHost Pool::download(const Step& step, std::int64_t row) const {
  const std::int64_t pages = (step.lengths.at(row) + step.page_size - 1) / step.page_size;
  const std::int64_t elements = KvCacheView::num_elements(step.shape, step.page_size, 1) / 2;  // of a page's K
  reproduce::RowOnHost data;
  data.k.resize(static_cast<std::size_t>(pages * elements));
  data.v.resize(data.k.size());
  for (std::int64_t j = 0; j < pages; ++j) {
    const std::int64_t at = step.table.page(step.table.base(row), j) * elements * 2;
    download_to(data.k.data() + j * elements, k_.get() + at, elements * 2);
    download_to(data.v.data() + j * elements, v_.get() + at, elements * 2);
  }
  data.q.resize(static_cast<std::size_t>(row_bytes(step.shape) / 2));
  download_to(data.q.data(), q_.get() + row * row_bytes(step.shape), row_bytes(step.shape));
  return data;
}

}  // namespace pkv::cuda_reproduce
