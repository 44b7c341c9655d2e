// Host and device cut a step alike: the closed form of `stream`, evaluated on both, for the same random steps.

#include "arith/stream.hpp"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace {

using pkv::arith::place_in_row;
using pkv::arith::run_begin;
using pkv::arith::UnitPlace;

struct Case {
  std::int64_t rest, tokens, segment_cost, tile_tokens;  // place_in_row
  std::int64_t total, workers, worker;                   // run_begin
};

struct Answer {
  UnitPlace place;
  std::int64_t begin;
};

__host__ __device__ Answer answer(const Case& c) {
  return {place_in_row(c.rest, c.tokens, c.segment_cost, c.tile_tokens), run_begin(c.total, c.workers, c.worker)};
}

__global__ void answer_all(const Case* cases, Answer* answers, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) answers[i] = answer(cases[i]);
}

std::vector<Case> random_cases(std::uint32_t seed, int count) {
  std::mt19937_64 rng(seed);
  std::vector<Case> cases(static_cast<std::size_t>(count));
  for (Case& c : cases) {
    c.tokens = static_cast<std::int64_t>(rng() % (1 << 20)) + 1;
    c.segment_cost = static_cast<std::int64_t>(rng() % 100);
    c.tile_tokens = static_cast<std::int64_t>(rng() % 256) + 1;
    c.rest = static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>((c.tokens + c.segment_cost) * 8));
    c.total = static_cast<std::int64_t>(rng() % (std::uint64_t{1} << 45));
    c.workers = static_cast<std::int64_t>(rng() % 1000) + 1;
    c.worker = static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(c.workers + 1));
  }
  return cases;
}

#define EXPECT_CUDA_OK(call) EXPECT_EQ(call, cudaSuccess) << #call

TEST(Arith, HostAndDeviceAgree) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device on this machine";
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  constexpr int kCount = 1 << 16;
  const std::vector<Case> cases = random_cases(seed, kCount);
  std::vector<Answer> answers(kCount);
  Case* device_cases = nullptr;
  Answer* device_answers = nullptr;
  EXPECT_CUDA_OK(cudaMalloc(&device_cases, kCount * sizeof(Case)));
  EXPECT_CUDA_OK(cudaMalloc(&device_answers, kCount * sizeof(Answer)));
  EXPECT_CUDA_OK(cudaMemset(device_answers, 0xff, kCount * sizeof(Answer)));
  EXPECT_CUDA_OK(cudaMemcpy(device_cases, cases.data(), kCount * sizeof(Case), cudaMemcpyHostToDevice));
  answer_all<<<kCount / 256, 256>>>(device_cases, device_answers, kCount);
  EXPECT_CUDA_OK(cudaGetLastError());
  EXPECT_CUDA_OK(cudaMemcpy(answers.data(), device_answers, kCount * sizeof(Answer), cudaMemcpyDeviceToHost));
  for (int i = 0; i < kCount; ++i) {
    const Answer expected = answer(cases[static_cast<std::size_t>(i)]);
    const Answer& actual = answers[static_cast<std::size_t>(i)];
    ASSERT_EQ(actual.place.head, expected.place.head) << i;
    ASSERT_EQ(actual.place.tile, expected.place.tile) << i;
    ASSERT_EQ(actual.begin, expected.begin) << i;
  }
  EXPECT_CUDA_OK(cudaFree(device_cases));
  EXPECT_CUDA_OK(cudaFree(device_answers));
}

}  // namespace
