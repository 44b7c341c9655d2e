#include "conformance/execute.hpp"

#include "conformance/resident.hpp"
#include "persistentkv/engine/step_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pkv::conformance {

namespace {

void check_counter(const char* name, std::int64_t actual, std::int64_t expected, const std::string& how) {
  if (actual != expected)
    throw Failure(fmt::format("{}: executed().{} is {}, the plan's {}", how, name, actual, expected));
}

void check_counters(const ExecutedCounters& actual, const WorkPlan& plan, int page_size, const std::string& how) {
  const PlanCounters& expected = plan.counters();
  check_counter("launches", actual.launches, expected.launches, how);
  check_counter("merge_launches", actual.merge_launches, expected.merge_launches, how);
  check_counter("decode_ctas", actual.decode_ctas, expected.decode_ctas, how);
  check_counter("segments", actual.segments, expected.segments, how);
  check_counter("partials", actual.partials, expected.partials, how);
  check_counter("merge_bytes", actual.merge_bytes, expected.merge_bytes, how);
  check_counter("kv_tokens", actual.kv_tokens, expected.kv_tokens * plan.num_kv_heads(), how);
  check_counter("reserved_pages", actual.reserved_pages, plan.reserved_pages(page_size), how);
}

}  // namespace

std::string to_string(const ProblemSpec& spec) {
  return fmt::format(
      "Hq {} Hkv {} d {} scale {:.4g} {} -> {}, page {}, layout {}, table {}, lengths form {} {}{}{}{}, lse {}, score "
      "scale {}, {} needles, lengths [{}]",
      spec.shape.num_q_heads, spec.shape.num_kv_heads, spec.shape.head_dim, spec.shape.scale(), to_string(spec.dtype),
      to_string(spec.out_dtype), spec.page_size, static_cast<int>(spec.layout), static_cast<int>(spec.table),
      static_cast<int>(spec.lengths_form), spec.share_prefix ? "shared-prefix " : "", spec.padded ? "padded " : "",
      spec.row_ids ? "row-ids " : "", spec.heads_first ? "heads-first " : "",
      spec.lse ? (*spec.lse == LseBase::kTwo ? "base 2" : "base e") : "none", spec.score_scale, spec.needles.size(),
      fmt::join(spec.lengths, " "));
}

std::string to_string(const Cut& cut) {
  return fmt::format(
      "{}, tile {}, splits {}, bucket {}, workers {}, segment cost {}, uncut {}, whole unit {}, ahead {}",
      to_string(cut.route), cut.options.tile_tokens, cut.options.splits, cut.options.bucket_tokens,
      cut.options.num_workers, cut.options.segment_cost_tokens, cut.options.uncut_tokens, cut.options.whole_unit_tokens,
      cut.options.ahead_tokens);
}

std::string why_not(const Context& context, const ProblemSpec& spec) {
  const Capabilities& can = context.backend->capabilities();
  const bool separate_strides = spec.padded && (spec.layout == KvLayout::kHND || spec.layout == KvLayout::kNHD);
  if (separate_strides && !can.separate_kv_strides) return "capabilities().separate_kv_strides is false";
  return can.why_not(spec.shape, spec.dtype, spec.page_size);
}

Cut random_cut(Route route, int tile_tokens, Random& random) {
  Cut cut{route, {}};
  cut.options.tile_tokens = tile_tokens;
  cut.options.splits = random.chance(0.5) ? 0 : static_cast<int>(random.in(1, 9));
  cut.options.bucket_tokens = static_cast<int>(random.in(1, 300));
  cut.options.num_workers = static_cast<int>(random.in(1, 24));
  cut.options.segment_cost_tokens = static_cast<int>(random.in(0, 64));
  cut.options.uncut_tokens = static_cast<int>(random.in(0, 200));
  cut.options.whole_unit_tokens = static_cast<int>(random.in(0, 200));
  cut.options.ahead_tokens = random.chance(0.5) ? 0 : static_cast<int>(random.in(1, 600));
  return cut;
}

std::optional<WorkPlan> plan_of(const Step& step, const Cut& cut) {
  const auto schedule = schedule_of(cut.route);
  if (!schedule) return std::nullopt;
  return make_step_plan(step, *schedule, cut.options);
}

void run_layer(Context& context, PreparedStep& prepared, LayerData& data) {
  data.poison_outputs();
  ResidentLayer resident(*context.subject.memory, data);
  prepared.run(resident.layer());
  resident.download();
}

void check_run(Context& context, PreparedStep& prepared, Problem& problem, const WorkPlan* plan,
               const std::string& how) {
  const std::string what = how + "; " + to_string(problem.spec);
  try {
    run_layer(context, prepared, problem.layer_data);
  } catch (const std::exception& error) {
    throw Failure(fmt::format("{}: run threw: {}", what, error.what()));
  }
  ++context.ran;
  const std::string wrong = problem.expectation.disagreement(context.subject.lse_limit);
  if (!wrong.empty()) throw Failure(fmt::format("{}: {}", what, wrong));
  if (plan != nullptr) check_counters(prepared.executed(), *plan, problem.spec.page_size, what);
}

void check_cut(Context& context, Problem& problem, const Cut& cut) {
  std::unique_ptr<PreparedStep> prepared;
  try {
    prepared = context.backend->prepare_route(problem.step(), cut.route, cut.options);
  } catch (const std::exception& error) {
    throw Failure(fmt::format("{}; {}: prepare threw: {}", to_string(cut), to_string(problem.spec), error.what()));
  }
  const std::optional<WorkPlan> plan = plan_of(problem.step(), cut);
  check_run(context, *prepared, problem, plan ? &*plan : nullptr, to_string(cut));
}

}  // namespace pkv::conformance
