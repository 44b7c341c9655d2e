#pragma once

// Results of the larger commands, as small as they can be.

#include "results_samples.hpp"

namespace pkv::report::testing {

inline nlohmann::json distribution_sample(double p50) {
  return {{"count", 9},
          {"mean", p50},
          {"p50", p50},
          {"p95", 2 * p50},
          {"p99", 3 * p50},
          {"max", 4 * p50},
          {"cdf", {p50 / 2, p50, 4 * p50}}};
}

inline nlohmann::json serving_sample() {
  nlohmann::json json = sample("serving", {{"clock", "virtual"},
                                           {"kv_bytes", 40e6},
                                           {"time_us", 50.0},
                                           {"limit_us", 40.0},
                                           {"limit_time_us", 50.0},
                                           {"mlp_us", 0.0},
                                           {"tokens_per_s", 900.0},
                                           {"tokens_per_busy_s", 1000.0},
                                           {"finished", 9},
                                           {"steps", 77},
                                           {"mean_active_rows", 3.5},
                                           {"kv_pages_used", 0.5},
                                           {"kv_slots_filled", 0.9},
                                           {"route_steps", {{"stream", 77}}},
                                           {"time_per_output_token_us", distribution_sample(2000.0)},
                                           {"time_to_first_token_us", distribution_sample(3e5)},
                                           {"queue_wait_us", distribution_sample(10.0)}});
  json["cdf_shares"] = {0.0, 0.5, 1.0};
  return json;
}

inline nlohmann::json timeline_sample() {
  nlohmann::json row = {{"pdl", false}, {"kv_bytes", 40e6}, {"time_us", 12.0}, {"limit_us", 8.0}};
  row["timeline"] = {{"num_sms", 3},
                     {"duration_us", 10.0},
                     {"clock_error_us", 0.03},
                     {"dropped_stamps", 0},
                     {"ctas",
                      {{0, 0, 2, 0.0, 1.0, 2.0, 2.5, 7.0, 7.5, 8.0, nullptr, 9.0},
                       {1, 0, 1, 9.5, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 10.0}}},
                     {"tasks", {{0, 0, 0, 2, 5, 3, 0, 64, 2.0, 6.0}, {0, 0, 1, 2, 6, 0, 64, 128, 2.5, 7.0}}}};
  return sample("timeline", row);
}

inline nlohmann::json ratios_sample() {
  nlohmann::json ratios;
  for (const char* clock : {"fair_event", "fair_wall", "paper_event", "paper_wall"})
    for (const char* base : {"cuda_core", "tensor_core", "better", "best_single"})
      ratios[clock][base] = {{"mean", 1.25}, {"std", 0.05}};
  return ratios;
}

inline nlohmann::json regret_of_sample(const char* name, double mean) {
  return {{"name", name},   {"steps", 30},   {"mean_ratio", mean}, {"max_ratio", 1.5},
          {"mean_us", 0.1}, {"max_us", 2.0}, {"steps_over", 1},    {"max_step", "zipf-b8/8"}};
}

inline nlohmann::json regrets_sample() {
  return {{"policy", regret_of_sample("policy", 1.01)}, {"constants", {regret_of_sample("stream", 1.02)}}};
}

inline nlohmann::json reproduce_sample() {
  nlohmann::json json = sample("reproduce", {{"section", "main"},
                                             {"splits", 0},
                                             {"seed", 20260623},
                                             {"fair_event_us", 20.0},
                                             {"fair_wall_us", 25.0},
                                             {"paper_event_us", 19.0},
                                             {"paper_wall_us", 24.0},
                                             {"error_vs_flashinfer", {{"max", 2e-4}, {"mean", 1e-6}}},
                                             {"error_vs_fp64", nullptr}});
  json["summary"] = {
      {{"section", "main"},
       {"workload", "zipf-b8"},
       {"route", "workqueue"},
       {"splits", 28},
       {"seeds", 5},
       {"ratios", ratios_sample()},
       {"published", {{"event", {{"mean", 1.1}, {"std", 0.01}}}, {"wall", {{"mean", 1.2}, {"std", 0.01}}}}}}};
  json["regret"]["all"] = regrets_sample();
  json["regret"]["workloads"] = {{{"workload", "trace-x"},
                                  {"group_size", 4},
                                  {"policy", regret_of_sample("policy", 1.01)},
                                  {"best_constant", regret_of_sample("stream", 1.02)}}};
  json["problems"] = {"something was odd"};
  return json;
}

inline nlohmann::json regret_sample() {
  nlohmann::json json = sample("regret", {{"group_size", 4},
                                          {"policy", regret_of_sample("policy", 1.01)},
                                          {"best_constant", regret_of_sample("stream", 1.02)}});
  json["all"] = regrets_sample();
  return json;
}

inline nlohmann::json calibrate_sample() {
  return sample("calibrate", {{"splits", 24},
                              {"group_size", 4},
                              {"steps", 80},
                              {"error_mean", 0.02},
                              {"error_median", 0.01},
                              {"error_max", 0.1}});
}

}  // namespace pkv::report::testing
