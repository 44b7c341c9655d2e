// Each of the benchmark's kernels, and the twins of the decode kernels that stamp their time: what a run under
// compute-sanitizer should see.

#include "cuda_bench/bench_kernels.hpp"
#include "cuda_bench/clock_pairs.hpp"
#include "cuda_bench/readers.hpp"
#include "cuda_bench/stamped_step.hpp"
#include "cuda_support/memory.hpp"
#include "persistentkv/core/dtype.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace pkv::cuda_bench {
namespace {

using cuda::DeviceArray;

constexpr DType kDtypes[] = {DType::kF16, DType::kBF16};

template <class T>
std::vector<T> download(const DeviceArray<T>& from, std::size_t count) {
  std::vector<T> to(count);
  EXPECT_EQ(cudaMemcpy(to.data(), from.get(), count * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
  return to;
}

double widen(DType dtype, std::uint16_t bits) { return dtype == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits); }

class EveryKernelOfTheBenchmark : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "no CUDA device on this machine";
    num_sms_ = cuda_device_info(0).num_sms;
  }
  static void wait() {
    ASSERT_EQ(cudaGetLastError(), cudaSuccess);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
  /// Normal deviates, on the device and here.
  std::vector<double> normal(const DeviceArray<std::uint16_t>& to, DType dtype, std::size_t count) {
    fill_normal(to.get(), dtype, static_cast<std::int64_t>(count), random_(), nullptr);
    wait();
    std::vector<double> values;
    values.reserve(count);
    for (const std::uint16_t bits : download(to, count)) values.push_back(widen(dtype, bits));
    return values;
  }

  int num_sms_ = 0;
  std::mt19937 random_{std::random_device{}()};
};

TEST_F(EveryKernelOfTheBenchmark, FillsWithNormalDeviates) {
  constexpr std::size_t kCount = 65521, kBeyond = 64;
  for (const DType dtype : kDtypes) {
    const DeviceArray<std::uint16_t> data(kCount + kBeyond);
    ASSERT_EQ(cudaMemset(data.get(), 0xff, (kCount + kBeyond) * 2), cudaSuccess);
    double sum = 0, squares = 0;
    for (const double x : normal(data, dtype, kCount)) {
      sum += x;
      squares += x * x;
    }
    EXPECT_NEAR(sum / kCount, 0, 0.05);
    EXPECT_NEAR(squares / kCount, 1, 0.1);
    const std::vector<std::uint16_t> all = download(data, kCount + kBeyond);
    EXPECT_TRUE(std::all_of(all.begin() + kCount, all.end(), [](std::uint16_t x) { return x == 0xffff; }));
  }
}

/// Nothing that they write can be looked at: that they read what there is, and no more, is for the sanitizer to say.
TEST_F(EveryKernelOfTheBenchmark, ReadsPages) {
  constexpr std::int32_t kPages = 37;
  std::vector<std::int32_t> order(kPages);
  for (std::int32_t i = 0; i < kPages; ++i) order[static_cast<std::size_t>(i)] = i;
  std::shuffle(order.begin(), order.end(), random_);
  const auto pages = DeviceArray<std::int32_t>::of(order);
  for (const std::int64_t page_bytes : {4096, 32768, 176}) {
    const auto bytes = static_cast<std::size_t>(kPages * page_bytes);
    const DeviceArray<unsigned char> k(bytes), v(bytes);
    ASSERT_EQ(cudaMemset(k.get(), 1, bytes), cudaSuccess);
    ASSERT_EQ(cudaMemset(v.get(), 2, bytes), cudaSuccess);
    const PageList list{k.get(), v.get(), pages.get(), kPages, page_bytes};
    read_by_pages(list, num_sms_, nullptr);
    read_by_vectors(list, num_sms_, nullptr);
    if (page_bytes % 4096 == 0) read_by_rings(list, num_sms_, nullptr);
    read_through_l2(k.get(), static_cast<std::int64_t>(bytes), num_sms_, nullptr);
    do_nothing(nullptr);
    wait();
  }
}

TEST_F(EveryKernelOfTheBenchmark, AttendsPlainly) {
  constexpr std::size_t kHeads = 6, kKvHeads = 2, kPageSize = 16, kPages = 7, kStride = 3;
  const std::vector<std::int32_t> lengths = {37, 0, 5}, table = {4, 1, 6, -1, -1, -1, 2, -1, -1};
  const auto device_lengths = DeviceArray<std::int32_t>::of(lengths);
  const auto device_table = DeviceArray<std::int32_t>::of(table);
  for (const DType dtype : kDtypes) {
    for (const int d : {80, 128}) {
      const auto width = static_cast<std::size_t>(d);
      const std::size_t q_count = 3 * kHeads * width, kv_count = kPages * kKvHeads * kPageSize * width;
      const DeviceArray<std::uint16_t> q(q_count), k(kv_count), v(kv_count);
      const DeviceArray<float> out(q_count);
      const std::vector<double> qs = normal(q, dtype, q_count), ks = normal(k, dtype, kv_count),
                                vs = normal(v, dtype, kv_count);
      const auto scale = static_cast<float>(1 / std::sqrt(d));
      attend_plainly({q.get(), k.get(), v.get(), device_lengths.get(), device_table.get(), kStride, 3, kHeads, kKvHeads,
                      d, kPageSize, scale, dtype},
                     out.get(), nullptr);
      wait();
      const std::vector<float> actual = download(out, q_count);
      for (std::size_t row = 0; row < 3; ++row) {
        for (std::size_t head = 0; head < kHeads; ++head) {
          std::vector<double> value(width, 0.0);
          double sum = 0;
          for (std::int32_t token = 0; token < lengths[row]; ++token) {
            const auto page =
                static_cast<std::size_t>(table[row * kStride + static_cast<std::size_t>(token) / kPageSize]);
            const std::size_t at =
                ((page * kKvHeads + head / 3) * kPageSize + static_cast<std::size_t>(token) % kPageSize) * width;
            double score = 0;
            for (std::size_t i = 0; i < width; ++i) score += qs[(row * kHeads + head) * width + i] * ks[at + i];
            const double weight = std::exp(score * scale);
            sum += weight;
            for (std::size_t i = 0; i < width; ++i) value[i] += weight * vs[at + i];
          }
          for (std::size_t i = 0; i < width; ++i) {
            ASSERT_NEAR(actual[(row * kHeads + head) * width + i], sum > 0 ? value[i] / sum : 0.0, 1e-4)
                << to_string(dtype) << ", d = " << d << ", row " << row << ", head " << head << ", " << i;
          }
        }
      }
    }
  }
}

TEST_F(EveryKernelOfTheBenchmark, ComparesSquares) {
  constexpr std::size_t kCount = 3001;
  for (const DType dtype : kDtypes) {
    const DeviceArray<std::uint16_t> actual(kCount);
    const std::vector<double> values = normal(actual, dtype, kCount);
    std::vector<float> expected(kCount);
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      expected[i] = static_cast<float>(values[i] + (i % 7 == 0 ? 0.5 : 0.0));
      difference += std::pow(values[i] - expected[i], 2);
      size += std::pow(expected[i], 2);
    }
    const auto device_expected = DeviceArray<float>::of(expected);
    const DeviceArray<float> sums(2);
    ASSERT_EQ(cudaMemset(sums.get(), 0, 8), cudaSuccess);
    compare(actual.get(), dtype, device_expected.get(), kCount, sums.get(), nullptr);
    wait();
    std::vector<float> found = download(sums, 2);
    EXPECT_NEAR(found[0], difference, 1e-3 * difference);
    EXPECT_NEAR(found[1], size, 1e-3 * size);

    const std::uint16_t nan = 0x7fff;
    ASSERT_EQ(cudaMemcpy(actual.get(), &nan, 2, cudaMemcpyHostToDevice), cudaSuccess);
    compare(actual.get(), dtype, device_expected.get(), kCount, sums.get(), nullptr);
    wait();
    found = download(sums, 2);
    EXPECT_GE(found[0], 0.9e18F);
  }
}

TEST_F(EveryKernelOfTheBenchmark, ReadsTheClocksOfTheSms) {
  const auto count = static_cast<std::size_t>(clock_pairs_count(num_sms_));
  const DeviceArray<DeviceClockPair> pairs(count);
  read_clock_pairs(pairs.get(), num_sms_, nullptr);
  wait();
  std::set<std::int32_t> sms;
  for (const DeviceClockPair& pair : download(pairs, count)) {
    sms.insert(pair.sm);
    EXPECT_GT(pair.ns, 0);
  }
  EXPECT_EQ(sms.size(), static_cast<std::size_t>(num_sms_));
}

/// Of `stream`, of listed segments, and of merges, for one block of heads and for two.
TEST_F(EveryKernelOfTheBenchmark, StampsItsTime) {
  for (const int group_size : {4, 13}) {
    StampedStepConfig config;
    config.shape = {.num_q_heads = 2 * group_size, .num_kv_heads = 2, .head_dim = 128, .softmax_scale = 0.0};
    config.rounds = 1;
    StampedSteps steps(config, {1600, 50, 700});
    for (const Schedule schedule : {Schedule::kStream, Schedule::kWorkqueueFused, Schedule::kWorkqueue}) {
      SCOPED_TRACE(::testing::Message() << "G = " << group_size << ", " << to_string(schedule));
      PlanOptions options;
      options.tile_tokens = 16;
      options.splits = schedule == Schedule::kStream ? 0 : 4;
      const StampedStep stamped = steps.run(schedule, options);
      ASSERT_EQ(stamped.durations_us.size(), 1u);
      EXPECT_GT(stamped.durations_us.front(), 0);
    }
    EXPECT_GT(steps.limit_us(), 0);
  }
}

}  // namespace
}  // namespace pkv::cuda_bench
