#include "cuda_reproduce/gather.hpp"

#include "cuda_support/memory.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace pkv::cuda_reproduce {
namespace {

// With this name a run under compute-sanitizer finds it beside those of the other kernels.
TEST(EveryKernelOfTheStudy, GathersAndScattersRows) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no CUDA device on this machine";
  std::mt19937 rng(std::random_device{}());
  constexpr int kRows = 13, kPool = 29, kWidth = 4096 + 16;  // bytes
  std::vector<unsigned char> pool(kPool * kWidth);
  for (unsigned char& x : pool) x = static_cast<unsigned char>(rng());
  std::vector<std::int32_t> all(kPool);
  for (int i = 0; i < kPool; ++i) all[static_cast<std::size_t>(i)] = i;
  std::shuffle(all.begin(), all.end(), rng);
  const std::vector<std::int32_t> rows(all.begin(), all.begin() + kRows);

  const auto from = cuda::DeviceArray<unsigned char>::of(pool);
  const auto ids = cuda::DeviceArray<std::int32_t>::of(rows);
  const cuda::DeviceArray<unsigned char> gathered(kRows * kWidth);
  gather_rows(from.get(), ids.get(), gathered.get(), kRows, kWidth, nullptr);
  std::vector<unsigned char> dense(kRows * kWidth);
  ASSERT_EQ(cudaMemcpy(dense.data(), gathered.get(), dense.size(), cudaMemcpyDeviceToHost), cudaSuccess);
  for (int r = 0; r < kRows; ++r)
    EXPECT_TRUE(std::equal(dense.begin() + r * kWidth, dense.begin() + (r + 1) * kWidth,
                           pool.begin() + rows[static_cast<std::size_t>(r)] * kWidth))
        << r;

  ASSERT_EQ(cudaMemset(from.get(), 0, pool.size()), cudaSuccess);
  scatter_rows(gathered.get(), ids.get(), from.get(), kRows, kWidth, nullptr);
  std::vector<unsigned char> back(pool.size());
  ASSERT_EQ(cudaMemcpy(back.data(), from.get(), back.size(), cudaMemcpyDeviceToHost), cudaSuccess);
  for (int row = 0; row < kPool; ++row) {
    const bool moved = std::find(rows.begin(), rows.end(), row) != rows.end();
    for (int i = 0; i < kWidth; ++i) {
      const auto at = static_cast<std::size_t>(row * kWidth + i);
      ASSERT_EQ(back[at], moved ? pool[at] : 0) << row;
    }
  }
}

}  // namespace
}  // namespace pkv::cuda_reproduce
