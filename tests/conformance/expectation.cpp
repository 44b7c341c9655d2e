#include "conformance/expectation.hpp"

#include "conformance/one_pass.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pkv::conformance {

namespace {

double l2_limit(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 1e-3;
    case DType::kBF16:
      return 8e-3;
    case DType::kF32:
      return 1e-5;
  }
  return 0.0;
}

template <class Actual>
double relative_l2(const std::vector<double>& expected, Actual actual) {
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error += (actual(i) - expected[i]) * (actual(i) - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(error / norm);
}

double rounded(float value, DType dtype) {
  float storage = 0.0f;
  store_element(&storage, dtype, 0, value);
  return load_element(&storage, dtype, 0);
}

std::int64_t out_row(const Layer& layer, std::int64_t row) {
  return layer.out.row_ids ? layer.out.row_ids.at(row) : row;
}

std::int64_t out_offset(const Layer& layer, std::int64_t row, int head) {
  return out_row(layer, row) * layer.out.row_stride + head * layer.out.head_stride;
}

std::int64_t lse_offset(const Layer& layer, std::int64_t row, int head) {
  return out_row(layer, row) * layer.lse->row_stride + head * layer.lse->head_stride;
}

/// The index of the first byte of `bytes` that is not poison, of those not `owned`; -1 if there is none.
std::int64_t first_touched(const Bytes& bytes, const std::vector<bool>& owned) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (!owned[i] && bytes[i] != std::byte{0xff}) return static_cast<std::int64_t>(i);
  return -1;
}

void own(std::vector<bool>& owned, const void* begin, const Bytes& bytes, std::int64_t offset, std::int64_t count) {
  const auto first = static_cast<const std::byte*>(begin) - bytes.data() + offset;
  std::fill_n(owned.begin() + first, count, true);
}

}  // namespace

Expectation::Expectation(const Step& step, const LayerData& data) : step_(step), data_(data) {
  for (std::int64_t row = 0; row < step.batch; ++row) {
    for (int kv_head = 0; kv_head < step.shape.num_kv_heads; ++kv_head)
      for (ReferenceResult& result : reference_decode_group(step, data.layer(), row, kv_head))
        results_.push_back(std::move(result));
  }
}

const ReferenceResult& Expectation::at(std::int64_t row, int head) const {
  return results_[static_cast<std::size_t>(row * step_.shape.num_q_heads + head)];
}

std::string Expectation::disagreement(double lse_limit) const {
  for (std::int64_t row = 0; row < step_.batch; ++row) {
    for (int head = 0; head < step_.shape.num_q_heads; ++head) {
      std::string wrong = wrong_out(row, head);
      if (wrong.empty() && data_.layer().lse) wrong = wrong_lse(row, head, lse_limit);
      if (!wrong.empty())
        return fmt::format("row {} of {} tokens, query head {}: {}", row, step_.lengths.at(row), head, wrong);
    }
  }
  return touched_outside();
}

std::string Expectation::wrong_out(std::int64_t row, int head) const {
  const Layer& layer = data_.layer();
  const ReferenceResult& expected = at(row, head);
  const std::int64_t offset = out_offset(layer, row, head);
  const auto actual = [&](std::size_t i) -> double {
    return load_element(layer.out.data, layer.out.dtype, offset + static_cast<std::int64_t>(i));
  };
  for (std::size_t i = 0; i < expected.out.size(); ++i) {
    if (!std::isfinite(actual(i))) return fmt::format("out[{}] is {}, expected {}", i, actual(i), expected.out[i]);
    if (step_.lengths.at(row) == 0 && actual(i) != 0.0) return fmt::format("out[{}] is {}, expected 0", i, actual(i));
  }
  if (step_.lengths.at(row) == 0) return {};

  const double error = relative_l2(expected.out, actual);
  const double limit = l2_limit(step_.dtype);
  if (error <= limit) return {};
  const OnePass one_pass = one_pass_decode(step_, layer, row, head);
  const double one_pass_error =
      relative_l2(expected.out, [&](std::size_t i) { return rounded(one_pass.out[i], layer.out.dtype); });
  const double allowed = std::max(limit, 1.5 * one_pass_error) + 2.0 * one_pass.score_noise;
  if (error <= allowed) return {};
  return fmt::format("relative L2 error of out is {:.3g}, must be at most {:.3g} (one pass of FP32: {:.3g})", error,
                     allowed, one_pass_error);
}

std::string Expectation::wrong_lse(std::int64_t row, int head, double lse_limit) const {
  const Layer& layer = data_.layer();
  const bool natural = layer.lse->base == LseBase::kNatural;
  const double unit = natural ? 1.0 : std::numbers::ln2;  // one unit of LSE as it is written, in natural logarithms
  const double expected = at(row, head).lse / unit;
  const double actual = layer.lse->data[lse_offset(layer, row, head)];
  if (step_.lengths.at(row) == 0)
    return actual == expected ? "" : fmt::format("LSE is {}, expected {}", actual, expected);
  const double error = std::abs(actual - expected) * unit;
  if (error <= lse_limit) return {};
  const double allowed = lse_limit + one_pass_decode(step_, layer, row, head).score_noise;
  if (error <= allowed) return {};
  return fmt::format("LSE (base {}) is {}, expected {} within {:.3g}", natural ? "e" : "2", actual, expected,
                     allowed / unit);
}

std::string Expectation::touched_outside() const {
  const Layer& layer = data_.layer();
  std::vector<bool> out_owned(data_.out_bytes().size());
  std::vector<bool> lse_owned(data_.lse_bytes().size());
  const std::int64_t size = size_bytes(layer.out.dtype);
  for (std::int64_t row = 0; row < step_.batch; ++row) {
    for (int head = 0; head < step_.shape.num_q_heads; ++head) {
      own(out_owned, layer.out.data, data_.out_bytes(), out_offset(layer, row, head) * size,
          step_.shape.head_dim * size);
      if (layer.lse) own(lse_owned, layer.lse->data, data_.lse_bytes(), lse_offset(layer, row, head) * 4, 4);
    }
  }
  if (const std::int64_t byte = first_touched(data_.out_bytes(), out_owned); byte >= 0)
    return fmt::format("byte {} of out's buffer belongs to no row of the step, and was written", byte);
  if (const std::int64_t byte = first_touched(data_.lse_bytes(), lse_owned); byte >= 0)
    return fmt::format("byte {} of the LSE's buffer belongs to no row of the step, and was written", byte);
  return {};
}

Expectation::AbsoluteError Expectation::absolute_error() const {
  const Layer& layer = data_.layer();
  AbsoluteError error;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < step_.batch; ++row) {
    for (int head = 0; head < step_.shape.num_q_heads; ++head) {
      const std::int64_t offset = out_offset(layer, row, head);
      for (std::int64_t i = 0; i < step_.shape.head_dim; ++i, ++count) {
        const double actual = load_element(layer.out.data, layer.out.dtype, offset + i);
        const double e = std::abs(actual - at(row, head).out[static_cast<std::size_t>(i)]);
        error.max = std::max(error.max, e);
        error.mean += e;
      }
    }
  }
  error.mean /= static_cast<double>(std::max<std::int64_t>(count, 1));
  return error;
}

}  // namespace pkv::conformance
