#include "replay_output.hpp"

#include "report/json_file.hpp"
#include "report/machine.hpp"
#include "report/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pkv::cli {

namespace {

constexpr double kMiB = 1 << 20;

/// Means over the steps.
struct PerStep {
  explicit PerStep(const replay::ReplayResult& result)
      : steps(result.steps > 0 ? static_cast<double>(result.steps) : 1.0) {}
  [[nodiscard]] double operator()(std::int64_t sum) const { return static_cast<double>(sum) / steps; }
  double steps;
};

/// Times of steps: milliseconds of a CPU, microseconds of a GPU.
struct StepTime {
  explicit StepTime(bool on_gpu) : unit(on_gpu ? "us" : "ms"), in_us(on_gpu) {}
  [[nodiscard]] std::string operator()(double us) const {
    return in_us ? fmt::format("{:.1f}", us) : fmt::format("{:.2f}", us / 1e3);
  }
  const char* unit;
  bool in_us;
};

double gb_per_s(double bytes, double us) { return us > 0.0 ? bytes / us / 1e3 : 0.0; }

std::string check_text(const replay::ReplayResult& result, const ReplayContext& context) {
  if (result.checked_steps.empty()) return "checked    nothing (--check 0)\n";
  const replay::AccuracyBounds bounds = replay::accuracy_bounds(context.dtype);
  return fmt::format(
      "checked    steps {} of 0..{}: every row and query head ({} outputs a route) against FP64;\n"
      "           bounds: max |e| {:.1e}, mean |e| {:.1e}, relative L2 of each row and head {:.1e}\n",
      fmt::join(result.checked_steps, ", "), result.steps - 1, result.routes.front().accuracy.outputs, bounds.max_abs,
      bounds.mean_abs, bounds.relative_l2);
}

/// Of the routes that round page reservations up, what they reserve; empty where none does.
std::string reserved_text(const replay::ReplayResult& result) {
  const PerStep mean(result);
  std::int64_t least = 0;  // a route that does not count has none
  for (const replay::RouteResult& r : result.routes)
    if (const std::int64_t pages = r.executed.reserved_pages; pages > 0 && (least == 0 || pages < least)) least = pages;
  std::string text;
  for (const replay::RouteResult& r : result.routes) {
    if (r.executed.reserved_pages > least)
      text += fmt::format("{}{} {:.0f}", text.empty() ? "" : ", ", r.name, mean(r.executed.reserved_pages));
  }
  if (text.empty()) return text;
  return fmt::format("Pages reserved a step: {}; the others {:.0f}.\n", text, mean(least));
}

}  // namespace

std::string replay_text(const replay::ReplayResult& result, const ReplayContext& context) {
  const PerStep mean(result);
  const StepTime time(context.on_gpu);
  const double kv_bytes = mean(result.useful_kv_bytes);
  std::string text;
  text +=
      fmt::format("workload   {}: {} steps, {:.2f} active rows and {:.2f} distinct lengths a step, {} tokens decoded\n",
                  result.workload, result.steps, mean(result.rows), mean(result.distinct_lengths), result.rows);
  text += fmt::format("KV cache   {} physical pages of {} tokens; useful KV {:.1f} MiB a step\n", result.num_pages,
                      result.page_size, kv_bytes / kMiB);
  text += fmt::format("shape      {} query heads, {} KV heads (G = {}), head_dim {}, {}\n", context.shape.num_q_heads,
                      context.shape.num_kv_heads, context.shape.group_size(), context.shape.head_dim,
                      to_string(context.dtype));
  text += fmt::format("backend    {}; {}\n", context.backend, context.cache_state);
  text += fmt::format("clock      {}\n", result.clock);
  for (const std::string& line : result.account) text += fmt::format("           {}\n", line);
  const double limit_us = result.routes.front().limit_us;
  if (limit_us > 0.0) {
    text += fmt::format(
        "limit      {:.1f} GB/s: {} {} a step to read its pages through the block table and do "
        "nothing else, timed at each step\n",
        gb_per_s(mean(result.page_bytes), limit_us), time(limit_us), time.unit);
  }
  text += check_text(result, context) + '\n';

  report::Table table({"route", "tokens/s", "step mean", "p50", "p95", "p99", "plan", "KV", "of", "launches", "merge",
                       fmt::format("CTAs/{}", context.num_sms), "max |e|", "mean |e|", "rel. L2"},
                      {"", "", time.unit, time.unit, time.unit, time.unit, "us", "GB/s", "limit", "a step", "MiB",
                       "SMs", "", "", "worst"});
  for (const replay::RouteResult& r : result.routes) {
    table.add({r.name, fmt::format("{:.1f}", r.tokens_per_s), time(r.time_us.mean), time(r.time_us.p50),
               time(r.time_us.p95), time(r.time_us.p99), fmt::format("{:.{}f}", r.plan_us.mean, context.on_gpu ? 1 : 0),
               fmt::format("{:.1f}", gb_per_s(kv_bytes, r.time_us.mean)),
               limit_us > 0.0 ? fmt::format("{:.0f}%", 100.0 * limit_us / r.time_us.mean) : "-",
               fmt::format("{:.2f}", mean(r.executed.launches)),
               fmt::format("{:.2f}", mean(r.executed.merge_bytes) / kMiB),
               fmt::format("{:.1f}", mean(r.executed.decode_ctas) / context.num_sms),
               fmt::format("{:.1e}", r.accuracy.max_abs), fmt::format("{:.1e}", r.accuracy.mean_abs()),
               fmt::format("{:.1e}", r.accuracy.max_relative_l2)});
  }
  text += table.text();
  text +=
      "\nA step is one layer's attention, planning apart; tokens/s counts both. Launches, merge traffic and CTAs are ";
  text += context.on_gpu ? "what\nran; times are the GPU's. " : "what\nran, and what a GPU would be given. ";
  text += "KV GB/s counts tokens, the limit whole pages.\n";
  text += reserved_text(result);
  return text;
}

nlohmann::ordered_json replay_json(const replay::ReplayResult& result, const ReplayContext& context) {
  const PerStep mean(result);
  nlohmann::ordered_json json = report::make_results("replay");
  json["backend"] = context.backend;
  json["clock"] = result.clock;
  json["cache_state"] = context.cache_state;
  json["account"] = result.account;
  json["checked_steps"] = result.checked_steps;
  for (const replay::RouteResult& r : result.routes) {
    json["rows"].push_back({{"workload", result.workload},
                            {"route", r.name},
                            {"num_q_heads", context.shape.num_q_heads},
                            {"num_kv_heads", context.shape.num_kv_heads},
                            {"head_dim", context.shape.head_dim},
                            {"dtype", to_string(context.dtype)},
                            {"page_size", result.page_size},
                            {"steps", result.steps},
                            {"mean_active_rows", mean(result.rows)},
                            {"distinct_lengths", mean(result.distinct_lengths)},
                            {"physical_pages", result.num_pages},
                            {"kv_bytes", mean(result.useful_kv_bytes)},
                            {"time_us", r.time_us.mean},
                            {"time_p50_us", r.time_us.p50},
                            {"time_p95_us", r.time_us.p95},
                            {"time_p99_us", r.time_us.p99},
                            {"plan_us", r.plan_us.mean},
                            {"limit_us", r.limit_us},
                            {"tokens_per_s", r.tokens_per_s},
                            {"launches", mean(r.executed.launches)},
                            {"merge_launches", mean(r.executed.merge_launches)},
                            {"decode_ctas", mean(r.executed.decode_ctas)},
                            {"merge_mib", mean(r.executed.merge_bytes) / kMiB},
                            {"reserved_pages", mean(r.executed.reserved_pages)},
                            {"outputs_checked", r.accuracy.outputs},
                            {"max_abs_error", r.accuracy.max_abs},
                            {"mean_abs_error", r.accuracy.mean_abs()},
                            {"max_relative_l2_error", r.accuracy.max_relative_l2},
                            {"max_lse_error", r.accuracy.max_lse}});
  }
  return json;
}

}  // namespace pkv::cli
