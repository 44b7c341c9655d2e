#include "cuda_mlp/mlp_proxy.hpp"

#include "cuda_mlp/cublas.hpp"
#include "cuda_mlp/silu_mul.hpp"
#include "persistentkv/core/dtype.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace pkv::cuda_mlp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

bool has_cublas() {
  try {
    const CublasLibrary library;
    return true;
  } catch (const Unsupported&) {
    return false;
  }
}

#define PKV_NEEDS_GPU_AND_CUBLAS() \
  if (cuda_device_count() == 0 || !has_cublas()) GTEST_SKIP() << "needs a GPU and cuBLAS"

std::vector<double> download(const void* from, std::size_t elements) {
  std::vector<std::uint16_t> bits(elements);
  EXPECT_EQ(cudaMemcpy(bits.data(), from, elements * 2, cudaMemcpyDeviceToHost), cudaSuccess);
  std::vector<double> values;
  values.reserve(elements);
  for (const std::uint16_t x : bits) values.push_back(f16_to_f32(x));
  return values;
}

TEST(CublasLibrary, WhichIsNotThereSaysWhatToDo) {
  try {
    const CublasLibrary library("/nowhere/libcublas.so");
    FAIL() << "it was found";
  } catch (const Unsupported& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/libcublas.so"), HasSubstr("PKV_CUBLAS"), HasSubstr("PyPI")));
  }
}

TEST(CublasLibrary, TellsItsVersion) {
  if (!has_cublas()) GTEST_SKIP() << "needs cuBLAS";
  EXPECT_THAT(CublasLibrary().version(), MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THROW((void)CublasLibrary().symbol("cublasNoSuchThing"), Unsupported);
}

TEST(MlpProxy, RefusesSizesOutOfBounds) {
  EXPECT_THROW(MlpProxy(0), InvalidArgument);
  EXPECT_THROW(MlpProxy(1, {.hidden = 0, .intermediate = 8}), InvalidArgument);
  EXPECT_THROW(MlpProxy(1, {.hidden = 8, .intermediate = 7}), InvalidArgument);
  EXPECT_THROW(MlpProxy(1, {}, 0), InvalidArgument);
}

// With this name a run under compute-sanitizer finds it beside those of the other kernels.
TEST(EveryKernelOfTheMlp, MultipliesBySilu) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no CUDA device on this machine";
  constexpr std::size_t kRows = 3, kWidth = 514, kBeyond = 32;
  std::mt19937 random(std::random_device{}());
  std::normal_distribution<float> normal;
  std::vector<std::uint16_t> x(kRows * 2 * kWidth);
  for (std::uint16_t& bits : x) bits = f32_to_f16(normal(random));
  void* from = nullptr;
  void* to = nullptr;
  ASSERT_EQ(cudaMalloc(&from, x.size() * 2), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&to, (kRows * kWidth + kBeyond) * 2), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(from, x.data(), x.size() * 2, cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_EQ(cudaMemset(to, 0xff, (kRows * kWidth + kBeyond) * 2), cudaSuccess);
  silu_mul(from, to, kRows, kWidth, nullptr);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const std::vector<double> actual = download(to, kRows * kWidth + kBeyond);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      const double gate = f16_to_f32(x[row * 2 * kWidth + i]), up = f16_to_f32(x[row * 2 * kWidth + kWidth + i]);
      EXPECT_NEAR(actual[row * kWidth + i], gate / (1.0 + std::exp(-gate)) * up, 0.01) << row << ", " << i;
    }
  }
  EXPECT_TRUE(std::all_of(actual.end() - kBeyond, actual.end(), [](double value) { return std::isnan(value); }));
  EXPECT_EQ(cudaFree(from), cudaSuccess);
  EXPECT_EQ(cudaFree(to), cudaSuccess);
}

TEST(MlpProxy, ComputesAGatedMlp) {
  PKV_NEEDS_GPU_AND_CUBLAS();
  constexpr int kBatch = 3, kHidden = 64, kIntermediate = 96, kLayers = 2;
  MlpProxy mlp(4, {kHidden, kIntermediate}, kLayers);
  const std::vector<double> x = download(mlp.input(), kBatch * kHidden);
  for (int run = 0; run < 3; ++run) {  // layers in turn, and round again
    mlp.run(kBatch, nullptr);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    const std::vector<double> gate_up = download(mlp.gate_up(run % kLayers), 2 * kIntermediate * kHidden);
    const std::vector<double> down = download(mlp.down(run % kLayers), kHidden * kIntermediate);
    const std::vector<double> y = download(mlp.output(), kBatch * kHidden);
    for (int row = 0; row < kBatch; ++row) {
      const auto product = [&](int of) {
        double sum = 0.0;
        for (int i = 0; i < kHidden; ++i)
          sum += x[static_cast<std::size_t>(row * kHidden + i)] * gate_up[static_cast<std::size_t>(of * kHidden + i)];
        return sum * mlp.gate_up_scale();
      };
      std::vector<double> h;
      h.reserve(kIntermediate);
      for (int i = 0; i < kIntermediate; ++i) {
        const double gate = product(i);
        h.push_back(gate / (1.0 + std::exp(-gate)) * product(kIntermediate + i));
      }
      for (int out = 0; out < kHidden; ++out) {
        double sum = 0.0;
        for (int i = 0; i < kIntermediate; ++i)
          sum += h[static_cast<std::size_t>(i)] * down[static_cast<std::size_t>(out * kIntermediate + i)];
        EXPECT_NEAR(y[static_cast<std::size_t>(row * kHidden + out)], sum * mlp.down_scale(), 5e-3);
      }
    }
  }
}

TEST(MlpProxy, TimesARunAndRemembersIt) {
  PKV_NEEDS_GPU_AND_CUBLAS();
  MlpProxy mlp(8, {256, 512}, 2);
  const double us = mlp.time_us(8);
  EXPECT_GT(us, 0.0);
  EXPECT_EQ(mlp.time_us(8), us);
  EXPECT_THROW((void)mlp.time_us(9), InvalidArgument);
}

}  // namespace
}  // namespace pkv::cuda_mlp
