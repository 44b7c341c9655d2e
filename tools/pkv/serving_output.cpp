#include "serving_output.hpp"

#include "report/json_file.hpp"
#include "report/table.hpp"

#include <fmt/format.h>

#include <cmath>

namespace pkv::cli {

namespace {

using serving::Distribution;
using serving::ServingResult;

std::string ms(double us) {
  const double value = us / 1e3;
  return fmt::format("{:.{}f}", value, value < 10.0 ? 2 : value < 1000.0 ? 1 : 0);
}

std::string percent(double share) { return fmt::format("{:.1f}%", 100.0 * share); }

/// Who ran the policy's steps: "stream 812, flashinfer-tensor-core 40".
std::string steps_by_route(const ServingResult& result) {
  std::string text;
  for (const Route route : kRunnableRoutes) {
    const std::int64_t steps = result.steps_by_route[static_cast<std::size_t>(route)];
    if (steps > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", to_string(route), steps);
  }
  return text;
}

std::vector<double> all_errors(const std::vector<ServingResult>& results, std::vector<double> ServingResult::*errors) {
  std::vector<double> all;
  for (const ServingResult& result : results) all.insert(all.end(), (result.*errors).begin(), (result.*errors).end());
  return all;
}

std::string head_text(const ServingResult& result, const ServingContext& context, const std::string& clock) {
  const BatchingCounters& c = result.counts;
  const serving::ServingOptions& options = context.options;
  const double layer_gib = static_cast<double>(KvCacheView::num_elements(options.shape, options.batching.page_size,
                                                                         options.batching.num_pages) *
                                               size_bytes(options.dtype)) /
                           (1 << 30);
  std::string text =
      fmt::format("workload   {}: {} requests admitted, {} rejected; {} rows with nothing to decode skipped\n",
                  result.workload, c.admitted, c.rejected, result.skipped_rows);
  if (!result.first_rejection.empty()) text += fmt::format("           first rejection, {}\n", result.first_rejection);
  text += fmt::format("           conservation holds: each token of every finished request was decoded once\n");
  text += fmt::format("KV cache   {} pages of {} tokens; {:.2f} GiB a layer, {:.1f} for {}; at most {} rows a step\n",
                      options.batching.num_pages, options.batching.page_size, layer_gib, layer_gib * options.layers,
                      options.layers, options.batching.max_active);
  if (options.batching.share_prefixes)
    text += fmt::format("           equal prefix blocks share pages: {} prompt tokens found there, {} processed\n",
                        c.shared_tokens, result.prefilled_tokens);
  text += fmt::format("shape      {} query heads, {} KV heads (G = {}), head_dim {}, {}\n", options.shape.num_q_heads,
                      options.shape.num_kv_heads, options.shape.group_size(), options.shape.head_dim,
                      to_string(options.dtype));
  text += fmt::format("backend    {}; {}\n", context.backend, context.cache_state);
  if (!context.sampling.empty()) text += fmt::format("           {}\n", context.sampling);
  text += fmt::format("clock      {}\n", clock);
  text += fmt::format("MLP        {}\n", options.mlp.source());
  return text;
}

void add_row(report::Table& table, const ServingResult& r) {
  const auto& token = r.time_per_output_token_us.statistics;
  const auto& first = r.time_to_first_token_us.statistics;
  const double steps = static_cast<double>(r.counts.steps);
  const std::string limit = r.limit_us > 0.0 ? fmt::format("{:.0f}%", 100.0 * r.limit_us / r.limit_attention_us) : "-";
  table.add({std::string(to_string(r.route)), fmt::format("{:.0f}", r.tokens_per_s()),
             fmt::format("{:.0f}", r.tokens_per_busy_s()), ms(token.p50), ms(token.p95), ms(token.p99), ms(first.p50),
             ms(first.p99), ms(r.queue_wait_us.statistics.p99), fmt::to_string(r.counts.finished),
             fmt::to_string(r.counts.steps),
             fmt::format("{:.1f}", static_cast<double>(r.counts.decoded_tokens) / steps),
             fmt::format("{:.1f}", r.attention_us), limit, fmt::format("{:.1f}", r.mlp_us),
             fmt::format("{:.1f}", r.plan_us), percent(r.kv.used), percent(r.kv.filled)});
}

report::Table new_table() {
  return report::Table({"route", "tokens/s", "busy", "token p50", "p95", "p99", "first p50", "p99", "wait p99",
                        "requests", "steps", "rows", "attention", "of", "MLP", "plan", "KV used", "filled"},
                       {"", "", "tokens/s", "ms", "ms", "ms", "ms", "ms", "ms", "done", "", "a step", "us", "limit",
                        "us", "us", "of pool", "of used"});
}

/// Below the table of one workload.
std::string notes_text(const ServingResult& r) {
  std::string text;
  if (r.route == Route::kPolicy) text += fmt::format("policy ran {}\n", steps_by_route(r));
  if (!r.model_attention_errors.empty())
    text += fmt::format("{}: profile against measured, median error of attention {}, of steps {}\n", to_string(r.route),
                        percent(serving::median_of(r.model_attention_errors)),
                        percent(serving::median_of(r.model_step_errors)));
  if (r.checked_steps > 0)
    text += fmt::format("{}: {} steps checked, worst relative L2 error {:.1e}\n", to_string(r.route), r.checked_steps,
                        r.relative_error);
  return text;
}

/// Whole tenths of a microsecond are enough for a curve.
std::vector<double> rounded(const std::vector<double>& values_us) {
  std::vector<double> result;
  result.reserve(values_us.size());
  for (const double us : values_us) result.push_back(std::round(us * 10.0) / 10.0);
  return result;
}

nlohmann::ordered_json distribution_json(const Distribution& d) {
  return {{"count", d.count},           {"mean", d.statistics.mean}, {"p50", d.statistics.p50},
          {"p95", d.statistics.p95},    {"p99", d.statistics.p99},   {"max", d.statistics.max},
          {"cdf", rounded(d.quantiles)}};
}

nlohmann::ordered_json median_json(const std::vector<double>& errors) {
  return errors.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(serving::median_of(errors));
}

nlohmann::ordered_json row_json(const ServingResult& r, const ServingContext& context, const std::string& clock) {
  const serving::ServingOptions& options = context.options;
  const BatchingCounters& c = r.counts;
  nlohmann::ordered_json routes = nlohmann::ordered_json::object();
  for (const Route route : kRunnableRoutes)
    if (const std::int64_t steps = r.steps_by_route[static_cast<std::size_t>(route)]; steps > 0)
      routes[std::string(to_string(route))] = steps;
  nlohmann::ordered_json row = {
      {"workload", r.workload},
      {"route", to_string(r.route)},
      {"clock", clock},
      {"num_q_heads", options.shape.num_q_heads},
      {"num_kv_heads", options.shape.num_kv_heads},
      {"head_dim", options.shape.head_dim},
      {"dtype", to_string(options.dtype)},
      {"page_size", options.batching.page_size},
      {"layers", options.layers},
      {"physical_pages", options.batching.num_pages},
      {"max_active", options.batching.max_active},
      {"share_prefixes", options.batching.share_prefixes},
      {"requests", c.admitted},
      {"finished", c.finished},
      {"rejected", c.rejected},
      {"tokens", c.decoded_tokens},
      {"shared_prompt_tokens", c.shared_tokens},
      {"steps", c.steps},
      {"executed_steps", r.executed_steps},
      {"mean_active_rows", static_cast<double>(c.decoded_tokens) / static_cast<double>(c.steps)},
      {"kv_bytes", r.kv_bytes},
      {"time_us", r.attention_us},
      {"plan_us", r.plan_us},
      {"mlp_us", r.mlp_us},
      {"limit_us", r.limit_us},
      {"limit_time_us", r.limit_attention_us},
      {"duration_s", r.duration_us / 1e6},
      {"busy_s", r.busy_us / 1e6},
      {"tokens_per_s", r.tokens_per_s()},
      {"tokens_per_busy_s", r.tokens_per_busy_s()},
      {"kv_pages_used", r.kv.used},
      {"kv_pages_promised", r.kv.promised},
      {"kv_slots_filled", r.kv.filled},
      {"step_us", distribution_json(r.step_us)},
      {"time_to_first_token_us", distribution_json(r.time_to_first_token_us)},
      {"time_per_output_token_us", distribution_json(r.time_per_output_token_us)},
      {"queue_wait_us", distribution_json(r.queue_wait_us)},
      {"route_steps", routes},
      {"checked_steps", r.checked_steps},
      {"max_relative_l2_error", r.relative_error},
      {"model_error_median", median_json(r.model_attention_errors)},
      {"model_step_error_median", median_json(r.model_step_errors)},
  };
  return row;
}

}  // namespace

std::string serving_text(const std::vector<ServingResult>& results, const ServingContext& context) {
  std::string text;
  for (std::size_t i = 0; i < results.size();) {
    std::size_t end = i;
    report::Table table = new_table();
    std::string notes;
    const auto same_load = [&](std::size_t other) {
      return results[other].workload == results[i].workload && context.clocks[other] == context.clocks[i];
    };
    for (; end < results.size() && same_load(end); ++end) {
      add_row(table, results[end]);
      notes += notes_text(results[end]);
    }
    if (i > 0) text += '\n';
    text += head_text(results[i], context, context.clocks[i]);
    text += '\n';
    text += table.text();
    if (!notes.empty()) text += '\n';
    text += notes;
    i = end;
  }
  text +=
      "\nEach route served the same requests in a run of its own. Tokens/s are over all of its time and over the time "
      "in "
      "steps;\ntimes per output token are those of requests, from the first token to the last. Attention, MLP and the "
      "limit are one\nlayer's. The limit counts a page that rows share once for each of them, as they read it; KV used "
      "counts it once.\n";
  return text;
}

nlohmann::ordered_json serving_json(const std::vector<ServingResult>& results, const ServingContext& context) {
  nlohmann::ordered_json json = report::make_results("serving");
  json["backend"] = context.backend;
  json["cache_state"] = context.cache_state;
  json["sampling"] = context.sampling;
  json["mlp"] = context.options.mlp.source();
  json["prefill"] = context.options.traffic.prefill.describe();
  json["cdf_shares"] = std::vector<double>(serving::cdf_shares().begin(), serving::cdf_shares().end());
  json["model_error_median"] = median_json(all_errors(results, &ServingResult::model_attention_errors));
  json["model_step_error_median"] = median_json(all_errors(results, &ServingResult::model_step_errors));
  for (std::size_t i = 0; i < results.size(); ++i)
    json["rows"].push_back(row_json(results[i], context, context.clocks[i]));
  return json;
}

}  // namespace pkv::cli
