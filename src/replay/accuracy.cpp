#include "accuracy.hpp"

#include "persistentkv/parallel/thread_team.hpp"
#include "persistentkv/reference/reference_decode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pkv::replay {

AccuracyBounds accuracy_bounds(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF16:
      return {2e-3, 3e-4, 1e-3};
    case DType::kBF16:
      return {1.6e-2, 2.4e-3, 8e-3};
    case DType::kF32:
      break;
  }
  return {2e-5, 3e-6, 1e-5};
}

std::string why_inaccurate(const Accuracy& accuracy, const AccuracyBounds& bounds) {
  // Written so that NaN fails.
  if (!(accuracy.max_abs <= bounds.max_abs))
    return fmt::format("max |error| is {:.3g}, must be at most {:.3g}", accuracy.max_abs, bounds.max_abs);
  if (!(accuracy.mean_abs() <= bounds.mean_abs))
    return fmt::format("mean |error| is {:.3g}, must be at most {:.3g}", accuracy.mean_abs(), bounds.mean_abs);
  if (!(accuracy.max_relative_l2 <= bounds.relative_l2))
    return fmt::format("relative error of a row and head is {:.3g}, must be at most {:.3g}", accuracy.max_relative_l2,
                       bounds.relative_l2);
  return {};
}

StepOracle::StepOracle(const Step& step, const Layer& layer)
    : batch_(step.batch), num_q_heads_(step.shape.num_q_heads), head_dim_(step.shape.head_dim) {
  const std::int64_t results = batch_ * num_q_heads_;
  out_.resize(static_cast<std::size_t>(results * head_dim_));
  lse_.resize(static_cast<std::size_t>(results));
  const int kv_heads = step.shape.num_kv_heads;
  const int group = step.shape.group_size();
  ThreadTeam().for_each(batch_ * kv_heads, ThreadTeam::Items::kLong, [&](std::int64_t unit, int /*thread*/) {
    const std::vector<ReferenceResult> results =
        reference_decode_group(step, layer, unit / kv_heads, static_cast<int>(unit % kv_heads));
    for (int g = 0; g < group; ++g) {
      const ReferenceResult& result = results[static_cast<std::size_t>(g)];
      const std::int64_t at = unit * group + g;
      std::copy(result.out.begin(), result.out.end(), out_.begin() + at * head_dim_);
      lse_[static_cast<std::size_t>(at)] = result.lse;
    }
  });
}

void StepOracle::compare(const Layer& layer, Accuracy& accuracy) const {
  // std::max would drop a NaN on its right-hand side.
  const auto raise = [](double& worst, double value) {
    if (!(value <= worst)) worst = value;
  };
  for (std::int64_t row = 0; row < batch_; ++row) {
    for (std::int64_t head = 0; head < num_q_heads_; ++head) {
      const std::int64_t result = row * num_q_heads_ + head;
      double error = 0.0;
      double norm = 0.0;
      for (std::int64_t i = 0; i < head_dim_; ++i) {
        const std::int64_t at = row * layer.out.row_stride + head * layer.out.head_stride + i;
        const double expected = out_[static_cast<std::size_t>(result * head_dim_ + i)];
        const double difference = std::abs(load_element(layer.out.data, layer.out.dtype, at) - expected);
        raise(accuracy.max_abs, difference);
        accuracy.sum_abs += difference;
        error += difference * difference;
        norm += expected * expected;
      }
      raise(accuracy.max_relative_l2, std::sqrt(error / norm));
      if (layer.lse) {
        const float lse = layer.lse->data[row * layer.lse->row_stride + head * layer.lse->head_stride];
        raise(accuracy.max_lse, std::abs(lse - lse_[static_cast<std::size_t>(result)]));
      }
    }
  }
  accuracy.outputs += batch_ * num_q_heads_;
  accuracy.elements += batch_ * num_q_heads_ * head_dim_;
}

}  // namespace pkv::replay
