// How far results are from FP64, next to what one pass of FP32 arithmetic, rounded to the type of out, would give.

#include "conformance/one_pass.hpp"
#include "cuda/paged_problem.hpp"
#include "persistentkv/reference/reference_decode.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <thread>

namespace pkv::testing {

namespace {

struct Error {
  double max = 0.0;
  double squares = 0.0;
  double count = 0.0;

  void add(double actual, double expected) {
    max = std::max(max, std::abs(actual - expected));
    squares += (actual - expected) * (actual - expected);
    count += 1.0;
  }
  void add(const Error& other) {
    max = std::max(max, other.max);
    squares += other.squares;
    count += other.count;
  }
  [[nodiscard]] double rms() const { return std::sqrt(squares / count); }
};

struct Errors {
  Error engine, one_pass;
  Error size;  // of out itself

  void add(const Errors& other) {
    engine.add(other.engine);
    one_pass.add(other.one_pass);
    size.add(other.size);
  }
};

/// Of one row and query head.
Errors errors_of(const Step& step, const Layer& layer, std::int64_t row, int head) {
  const ReferenceResult expected = reference_decode(step, layer, row, head);
  const conformance::OnePass one_pass = conformance::one_pass_decode(step, layer, row, head);
  Errors errors;
  for (std::size_t i = 0; i < expected.out.size(); ++i) {
    const auto at = row * layer.out.row_stride + head * layer.out.head_stride + static_cast<std::int64_t>(i);
    float rounded = 0.0f;
    store_element(&rounded, layer.out.dtype, 0, one_pass.out[i]);
    errors.engine.add(load_element(layer.out.data, layer.out.dtype, at), expected.out[i]);
    errors.size.add(0.0, expected.out[i]);
    errors.one_pass.add(load_element(&rounded, layer.out.dtype, 0), expected.out[i]);
  }
  return errors;
}

class CudaAccuracy : public EngineTest {
 protected:
  // Next to one pass. P enters the second product as two 16-bit halves, so that what is left is the rounding of out.
  static constexpr double kMostRms = 1.1, kMostMax = 1.5;
  static constexpr double kMostSinkNats = 16.0;  // beyond, weights of fp16 lose bits

  /// Errors of each row.
  static std::vector<Errors> measure(const PagedProblem& problem) {
    const Step step = problem.host_step();
    const Layer layer = problem.host_layer();
    const auto heads = static_cast<std::size_t>(step.shape.num_q_heads);
    std::vector<Errors> all(static_cast<std::size_t>(step.batch) * heads);
    std::vector<std::thread> threads;
    for (std::size_t head = 0; head < heads; ++head) {
      threads.emplace_back([&, head] {
        for (std::int64_t row = 0; row < step.batch; ++row)
          all[static_cast<std::size_t>(row) * heads + head] = errors_of(step, layer, row, static_cast<int>(head));
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::vector<Errors> rows(static_cast<std::size_t>(step.batch));
    for (std::size_t i = 0; i < all.size(); ++i) rows[i / heads].add(all[i]);
    return rows;
  }

  static void report(DType dtype, int group_size, std::int64_t length, const Errors& e) {
    const double rms = e.engine.rms() / e.one_pass.rms(), max = e.engine.max / e.one_pass.max;
    std::printf("%s G %2d, %5lld tokens: rms %.3g (%.2f of one pass), max %.3g (%.2f)\n",
                std::string(to_string(dtype)).c_str(), group_size, static_cast<long long>(length), e.engine.rms(), rms,
                e.engine.max, max);
    EXPECT_LE(rms, kMostRms);
    EXPECT_LE(max, kMostMax);
  }

  void compare(DType dtype, int group_size) {
    SCOPED_TRACE(::testing::Message() << to_string(dtype) << ", G = " << group_size);
    const std::vector<std::int32_t> lengths = {64, 1000, 8192, 32768};
    Dimensions d;
    d.shape = {.num_q_heads = 16, .num_kv_heads = 16 / group_size, .head_dim = 128};
    d.dtype = d.out_dtype = dtype;
    d.batch = std::ssize(lengths);
    d.page_size = 64;
    d.pages_per_row = lengths.back() / d.page_size;
    d.num_pages = d.pages_per_row * 3 / 2;
    PagedProblem problem(d, random_);
    problem.draw(lengths);
    const auto prepared = prepare(problem.device_step());
    prepared->run(problem.device_layer(), nullptr);
    ASSERT_EQ(problem.download(), "");
    const std::vector<Errors> rows = measure(problem);
    for (std::size_t row = 0; row < rows.size(); ++row) report(dtype, group_size, lengths[row], rows[row]);
  }
};

TEST_F(CudaAccuracy, Fp16NearOnePass) {
  for (const int group_size : {1, 4, 8, 16}) compare(DType::kF16, group_size);
}

TEST_F(CudaAccuracy, Bf16NearOnePass) {
  for (const int group_size : {1, 4, 8, 16}) compare(DType::kBF16, group_size);
}

/// Where a token of no value takes nearly all the weight, out is what the many small weights say.
TEST_F(CudaAccuracy, BesideAnAttentionSink) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const std::vector<double> nats = {4.0, 8.0, 12.0, 16.0};
    Dimensions d;
    d.shape = {.num_q_heads = 8, .num_kv_heads = 8, .head_dim = 128};
    d.dtype = dtype;
    d.out_dtype = DType::kF32;  // elements of out are small
    d.batch = std::ssize(nats);
    d.pages_per_row = 4096 / d.page_size;
    PagedProblem problem(d, random_);
    problem.draw(std::vector<std::int32_t>(nats.size(), d.capacity_tokens()));
    for (std::size_t row = 0; row < nats.size(); ++row) problem.place_sink(static_cast<std::int64_t>(row), nats[row]);
    const auto prepared = prepare(problem.device_step());
    prepared->run(problem.device_layer(), nullptr);
    ASSERT_EQ(problem.download(), "");
    const std::vector<Errors> rows = measure(problem);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const double relative = rows[row].engine.rms() / rows[row].size.rms();
      std::printf("%s, sink of exp(%g): rms error %.3g of out's rms\n", std::string(to_string(dtype)).c_str(),
                  nats[row], relative);
      if (nats[row] <= kMostSinkNats) {
        EXPECT_LE(relative, dtype == DType::kF16 ? 1e-3 : 8e-3);
      }
    }
  }
}

}  // namespace

}  // namespace pkv::testing
