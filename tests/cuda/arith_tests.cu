// Host and device cut a step alike: the closed form of `stream`, evaluated on both, for the same random steps.

#include "arith/stream.hpp"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace {

using namespace pkv::arith;

struct Case {
  std::int64_t rest, tokens, segment_cost, tile_tokens, uncut;  // of a place
  std::int64_t total, workers, worker, least, at;               // of a run
  std::int64_t units;                                           // all alike
  std::int64_t dividend, divisor;
  bool narrow;  // costs stay below 2^31
};

struct Answer {
  UnitPlace place;
  std::int64_t last_cost, begin, owner, quotient, small, cut_cost, cut_begin;
};

template <class Int>
__host__ __device__ Answer answer_in(const Case& c) {
  const Runs<Int> runs(static_cast<Int>(c.total), Divisor(c.workers), static_cast<Int>(c.least));
  const Divisor tile(c.tile_tokens);
  const auto tokens = static_cast<Int>(c.tokens), segment_cost = static_cast<Int>(c.segment_cost);
  const WholeUnits whole(c.units, c.workers, c.uncut % 65536);
  const LeastRun<Int> least{static_cast<Int>(c.tile_tokens), static_cast<Int>(c.uncut % 2 == 0 ? 0 : c.uncut % 1024)};
  const StepCut<Int> cut =
      cut_step<Int>(static_cast<Int>(c.units) * (tokens + segment_cost), whole.tokens_if_whole(tokens),
                    static_cast<Int>(c.units), whole, segment_cost, Divisor(c.workers), least);
  return {place_in_row<Int>(static_cast<Int>(c.rest), tokens, segment_cost, tile, static_cast<Int>(c.uncut)),
          last_cost_of_tile<Int>(static_cast<Int>(c.rest % num_tiles(c.tokens, c.tile_tokens)), tokens, segment_cost,
                                 static_cast<Int>(c.tile_tokens)),
          runs.begin(static_cast<Int>(c.worker)),
          runs.owner(static_cast<Int>(c.at)),
          Divisor(c.divisor).divide(static_cast<Int>(c.dividend)),
          small_quotient<Int>(static_cast<Int>(c.dividend % (c.divisor << 20)), static_cast<Int>(c.divisor)),
          cut.segment_cost,
          cut.runs.begin(static_cast<Int>(c.worker))};
}

/// In 32 bits where the case allows, as the kernels do.
__host__ __device__ Answer answer(const Case& c) {
  return c.narrow ? answer_in<std::int32_t>(c) : answer_in<std::int64_t>(c);
}

/// What can be said of an answer without its arithmetic.
void expect_right(const Case& c, const Answer& a) {
  EXPECT_EQ(a.quotient, c.dividend / c.divisor);
  EXPECT_EQ(a.small, c.dividend % (c.divisor << 20) / c.divisor);
  const Runs<std::int64_t> runs(c.total, Divisor(c.workers), c.least);
  EXPECT_LE(runs.begin(a.owner), c.at);
  EXPECT_GT(runs.begin(a.owner + 1), c.at);
}

__global__ void answer_all(const Case* cases, Answer* answers, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) answers[i] = answer(cases[i]);
}

std::vector<Case> random_cases(std::uint32_t seed, int count) {
  std::mt19937_64 rng(seed);
  std::vector<Case> cases(static_cast<std::size_t>(count));
  for (Case& c : cases) {
    const auto pick = [&](std::int64_t low, std::int64_t high) {
      return low + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(high - low + 1));
    };
    c.narrow = pick(0, 1) == 1;
    c.tokens = pick(1, 1 << pick(0, c.narrow ? 26 : 30));
    c.segment_cost = pick(0, 100);
    c.tile_tokens = pick(1, 256);
    c.uncut = pick(0, 1) == 0 ? 64 : pick(0, 1 << 20);
    c.rest = pick(0, (c.tokens + c.segment_cost) * 8 - 1);
    c.total = pick(1, (std::int64_t{1} << pick(0, c.narrow ? 30 : 52)));
    c.workers = pick(1, 1 << pick(0, 20));
    c.worker = pick(0, c.workers);
    c.least = pick(1, 256);
    c.units = pick(1, 16);
    c.at = pick(0, c.total - 1);
    c.dividend = pick(0, (std::int64_t{1} << pick(0, c.narrow ? 31 : 52)) - 1);
    c.divisor = pick(1, std::int64_t{1} << pick(0, 30));
  }
  return cases;
}

#define EXPECT_CUDA_OK(call) EXPECT_EQ(call, cudaSuccess) << #call

TEST(Arith, DividesExactly) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  for (const Case& c : random_cases(seed, 1 << 14)) {
    expect_right(c, answer(c));
    if (HasFailure()) return;
  }
}

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
    ASSERT_EQ(actual.last_cost, expected.last_cost) << i;
    ASSERT_EQ(actual.begin, expected.begin) << i;
    ASSERT_EQ(actual.owner, expected.owner) << i;
    ASSERT_EQ(actual.quotient, expected.quotient) << i;
    ASSERT_EQ(actual.small, expected.small) << i;
    ASSERT_EQ(actual.cut_cost, expected.cut_cost) << i;
    ASSERT_EQ(actual.cut_begin, expected.cut_begin) << i;
  }
  EXPECT_CUDA_OK(cudaFree(device_cases));
  EXPECT_CUDA_OK(cudaFree(device_answers));
}

}  // namespace
