#pragma once

// One function a section, each in a file of its own.

#include "measure_trace.hpp"
#include "reproduce.hpp"

namespace pkv::reproduce {

/// What `quick` makes of the options.
struct Effort {
  std::vector<std::uint32_t> seeds;
  std::int64_t divide_steps = 1;
  int repeats = 7;

  [[nodiscard]] std::int64_t steps(const PaperRun& run) const noexcept;
};

/// The shape of all runs but those of the GQA sweep.
inline constexpr AttentionShape kPaperShape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128};

void main_table(Bench& bench, const Effort& effort, Output& output);
void counters(Bench& bench, const Effort& effort, Output& output);
void split_sensitivity(Bench& bench, const Effort& effort, Output& output);
void gqa_sweep(Bench& bench, const Effort& effort, Output& output);
void isolated(Bench& bench, const Effort& effort, Output& output);
void ablations(Bench& bench, const Effort& effort, Output& output);
void mlp_share(Bench& bench, const Effort& effort, Output& output);

// Bytes of pages that each needs at once.
[[nodiscard]] std::int64_t main_table_bytes(const Effort& effort);
[[nodiscard]] std::int64_t counters_bytes();
[[nodiscard]] std::int64_t gqa_sweep_bytes();
[[nodiscard]] std::int64_t isolated_bytes();
[[nodiscard]] std::int64_t ablations_bytes();

/// The paper's route of a row of its main table.
struct MainRow {
  std::string_view run;
  RouteSpec paper_route;
};
[[nodiscard]] std::span<const MainRow> main_rows() noexcept;
/// That route, `stream`, the policy and FlashInfer's paths, each once.
[[nodiscard]] std::vector<RouteSpec> main_routes(const MainRow& row);

}  // namespace pkv::reproduce
