#pragma once

// Random decode problems: a description that prints, and the memory that it stands for.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pkv::conformance {

enum class TableForm { kDense32, kDense64, kRowIds, kCsr32, kCsr64, kTokenSlots };
enum class LengthsForm { kI32, kI64, kCumulative32, kCumulative64, kDelta };

/// A token that outweighs others, so that its loss or its doubling shows wherever it stands.
struct Needle {
  std::int64_t row = 0;
  std::int64_t token = 0;
  double weight = 0.5;  ///< about what softmax gives it, in (0, 1)
};

/// All that decides a problem but its random numbers.
struct ProblemSpec {
  AttentionShape shape;
  DType dtype = DType::kF16;
  DType out_dtype = DType::kF16;
  int page_size = 16;
  KvLayout layout = KvLayout::kHND;
  std::vector<std::int64_t> lengths;  ///< may be negative
  TableForm table = TableForm::kDense32;
  LengthsForm lengths_form = LengthsForm::kI32;
  bool share_prefix = false;  ///< the first full pages of row 0 and of row 1 are the same
  bool padded = false;        ///< pages, q, out and LSE have gaps between them, and their first element stands apart
  bool row_ids = false;       ///< q and out are reached through row ids
  bool heads_first = false;   ///< q and out are [head, row, head_dim]
  std::optional<LseBase> lse = LseBase::kNatural;
  double score_scale = 1.0;  ///< scores of random tokens have about this standard deviation
  std::vector<Needle> needles;
  int pad_elements = 1;  ///< unit of every gap: what the backend needs to be aligned

  friend std::string to_string(const ProblemSpec& spec);
};

using Bytes = std::vector<std::byte>;

/// The step of a problem, in host memory.
class StepData {
 public:
  StepData(const ProblemSpec& spec, std::uint64_t seed);
  StepData(const StepData&) = delete;
  StepData& operator=(const StepData&) = delete;

  [[nodiscard]] const Step& step() const noexcept { return step_; }
  /// Everything the step points into.
  [[nodiscard]] std::vector<Bytes*> buffers() noexcept { return {&lengths_, &entries_, &offsets_, &ids_}; }

 private:
  void make_lengths(const ProblemSpec& spec);
  void make_table(const ProblemSpec& spec, std::uint64_t seed);

  Step step_;
  Bytes lengths_, entries_, offsets_, ids_;
};

/// The tensors of one layer over a step, in host memory. Elements that belong to no token are NaN, and so is every
/// element of out and LSE.
class LayerData {
 public:
  LayerData(const ProblemSpec& spec, const Step& step, std::uint64_t seed);
  LayerData(const LayerData&) = delete;
  LayerData& operator=(const LayerData&) = delete;

  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }
  /// Everything the layer points into.
  [[nodiscard]] std::vector<Bytes*> buffers() noexcept { return {&kv_, &q_, &q_ids_, &out_, &out_ids_, &lse_}; }
  [[nodiscard]] const Bytes& out_bytes() const noexcept { return out_; }
  [[nodiscard]] const Bytes& lse_bytes() const noexcept { return lse_; }
  /// out and LSE as they were at first.
  void poison_outputs();

 private:
  Layer layer_;
  Bytes kv_, q_, q_ids_, out_, out_ids_, lse_;
};

}  // namespace pkv::conformance
