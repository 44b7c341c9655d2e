// The outputs of a PagedProblem next to the oracle's.

#include "conformance/one_pass.hpp"
#include "cuda/paged_problem.hpp"
#include "persistentkv/reference/reference_decode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pkv::testing {

void PagedProblem::poison_outputs(cudaStream_t stream) {
  device_out_.poison(stream);
  device_lse_.poison(stream);
}

std::string PagedProblem::download() {
  device_out_.download(out_.data());
  device_lse_.download(lse_.data());
  return device_out_.guards_intact() && device_lse_.guards_intact() ? "" : "memory beside out or LSE was written";
}

bool PagedProblem::row_is_poison(std::int64_t row) const {
  const auto is_poison = [](std::byte byte) { return byte == std::byte{0xff}; };
  const auto bytes = std::ssize(out_) / dimensions_.batch;
  const auto heads = dimensions_.shape.num_q_heads;
  const auto* lse = reinterpret_cast<const std::byte*>(lse_.data() + row * heads);
  return std::all_of(out_.begin() + row * bytes, out_.begin() + (row + 1) * bytes, is_poison) &&
         std::all_of(lse, lse + heads * sizeof(float), is_poison);
}

std::string PagedProblem::wrong_head(const std::vector<double>& expected, double lse, std::int64_t row,
                                     int head) const {
  const Dimensions& d = dimensions_;
  const std::int64_t at = row * d.shape.num_q_heads + head;
  const bool empty = lengths_[static_cast<std::size_t>(row)] <= 0;
  double error = 0.0, norm = 0.0;
  for (std::int64_t i = 0; i < d.shape.head_dim; ++i) {
    const double actual = load_element(out_.data(), d.out_dtype, at * d.shape.head_dim + i);
    const double want = expected[static_cast<std::size_t>(i)];
    if (!std::isfinite(actual) || (empty && actual != 0.0))
      return fmt::format("out[{}] is {}, expected {}", i, actual, want);
    error += (actual - want) * (actual - want);
    norm += want * want;
  }
  const double actual_lse = lse_[static_cast<std::size_t>(at)];
  if (empty) return actual_lse == lse ? "" : fmt::format("LSE is {}, expected {}", actual_lse, lse);
  double limit = d.dtype == DType::kF16 ? 1e-3 : 8e-3;
  double lse_limit = d.lse_limit;
  error = std::sqrt(error / norm);
  if (error > limit || !(std::abs(actual_lse - lse) <= lse_limit)) {
    const double noise = conformance::one_pass_decode(host_step(), host_layer(), row, head).score_noise;
    limit += 2.0 * noise;
    lse_limit += noise;
  }
  if (error > limit) return fmt::format("relative L2 error of out is {:.3g}, must be at most {:.3g}", error, limit);
  if (!(std::abs(actual_lse - lse) <= lse_limit))
    return fmt::format("LSE is {}, expected {} within {:.3g}", actual_lse, lse, lse_limit);
  return {};
}

std::string PagedProblem::wrong_group(std::int64_t row, int kv_head) const {
  const int group_size = dimensions_.shape.group_size();
  const std::vector<ReferenceResult> expected = reference_decode_group(host_step(), host_layer(), row, kv_head);
  for (int g = 0; g < group_size; ++g) {
    const ReferenceResult& head = expected[static_cast<std::size_t>(g)];
    const std::string wrong = wrong_head(head.out, head.lse, row, kv_head * group_size + g);
    if (!wrong.empty())
      return fmt::format("row {} of {} tokens, query head {}: {}", row, lengths_[static_cast<std::size_t>(row)],
                         kv_head * group_size + g, wrong);
  }
  return {};
}

std::string PagedProblem::wrong_row(std::int64_t row) const {
  std::string wrong;
  for (int kv_head = 0; kv_head < dimensions_.shape.num_kv_heads && wrong.empty(); ++kv_head)
    wrong = wrong_group(row, kv_head);
  return wrong;
}

std::string PagedProblem::disagreement() {
  std::string wrong = download();
  for (std::int64_t row = 0; row < dimensions_.batch && wrong.empty(); ++row) wrong = wrong_row(row);
  return wrong;
}

}  // namespace pkv::testing
