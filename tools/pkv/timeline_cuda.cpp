#include "cuda_bench/stamped_step.hpp"
#include "cuda_device.hpp"
#include "persistentkv/core/error.hpp"
#include "report/json_file.hpp"
#include "report/table.hpp"
#include "report/timeline_json.hpp"
#include "report/timeline_svg.hpp"
#include "timeline.hpp"
#include "timeline/phases.hpp"
#include "workload_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace pkv::cli {

namespace {

struct StampedRoute {
  Schedule schedule = Schedule::kStream;
  PlanOptions options;
};

std::vector<StampedRoute> chosen_routes(const TimelineOptions& options) {
  std::vector<StampedRoute> routes;
  routes.reserve(options.routes.size());
  for (const std::string& name : options.routes) {
    const Schedule schedule = parse_schedule(name);
    StampedRoute route{schedule, options.cut.resolve(schedule, std::nullopt)};
    if (schedule == Schedule::kStream && !options.cut.tile_given()) route.options.tile_tokens = kCudaStreamTileTokens;
    routes.push_back(route);
  }
  return routes;
}

std::string phase_table(const timeline::StepTimeline& t) {
  report::Table table({"phase", "CTAs", "min", "median", "max", "last on"}, {"", "", "us", "us", "us", ""});
  for (const timeline::Phase& p : timeline::phases(t)) {
    const std::string name = t.launches > 1 ? fmt::format("{}: {}", p.launch, p.name) : std::string(p.name);
    table.add({name, fmt::to_string(p.ctas), fmt::format("{:.2f}", p.min_us), fmt::format("{:.2f}", p.median_us),
               fmt::format("{:.2f}", p.max_us), fmt::format("SM {}, CTA {}", p.last_sm, p.last_cta)});
  }
  return table.text();
}

/// Who the step waits for at last.
std::string last_task(const timeline::StepTimeline& t) {
  if (t.tasks.empty()) return "";
  const auto last = std::max_element(t.tasks.begin(), t.tasks.end(),
                                     [](const auto& a, const auto& b) { return a.end_us < b.end_us; });
  return fmt::format("last read: row {}, KV head {}, tokens [{}, {}) by SM {}, CTA {}, warp {}, {:.2f} to {:.2f} us\n",
                     last->row, last->kv_head, last->token_begin, last->token_end, last->sm, last->cta, last->warp,
                     last->begin_us, last->end_us);
}

std::string summary(const std::string& title, const cuda_bench::StampedStep& step, double limit_us, bool chained) {
  const timeline::StepTimeline& t = step.timeline;
  const timeline::SmShares s = timeline::sm_shares(t);
  std::string text = fmt::format("{}: {:.2f} us from the first start to the last exit (rounds {:.2f} to {:.2f})", title,
                                 t.duration_us, step.durations_us.front(), step.durations_us.back());
  if (!chained)
    text += fmt::format("; between events {:.2f} stamped, {:.2f} as it is, {:.2f} the fastest reader",
                        step.stamped_time_us, step.time_us, limit_us);
  text += fmt::format("\nclocks of SMs agree within {:.3f} us", t.clock_error_us);
  if (t.dropped > 0) text += fmt::format("; {} stamps had no room", t.dropped);
  return text + "\n" + phase_table(t) +
         fmt::format(
             "SM time: {:.1f}% before plans are made, {:.1f}% with KV in flight, {:.1f}% between, {:.1f}% after, "
             "{:.1f}% on SMs that read nothing\n{}\n",
             100 * s.before, 100 * s.in_flight, 100 * s.between, 100 * s.after, 100 * s.unused, last_task(t));
}

}  // namespace

void timeline_cuda(const TimelineOptions& options) {
  const std::vector<Workload> workloads = choose_workloads(options.lengths, options.suite, options.only);
  const std::vector<StampedRoute> routes = chosen_routes(options);
  require_cuda_device();
  std::vector<int> kv_heads = options.kv_heads;
  if (kv_heads.empty()) kv_heads.push_back(options.shape.shape.num_kv_heads);
  nlohmann::ordered_json results = report::make_results("timeline");
  results["backend"] = "cuda";
  results["method"] =
      fmt::format("cold L2, {}; of {} rounds the one of median duration",
                  options.chained ? "behind another step by programmatic dependent launch" : "alone", options.rounds);
  std::deque<timeline::StepTimeline> timelines;  // stays where it is while it grows
  std::vector<report::TitledTimeline> drawn;
  for (const Workload& workload : workloads) {
    for (const int heads : kv_heads) {
      cuda_bench::StampedStepConfig config;
      config.shape = options.shape.shape;
      config.shape.num_kv_heads = heads;
      config.shape.validate();
      config.dtype = options.shape.parsed_dtype();
      config.page_size = options.shape.page_size;
      config.rounds = options.rounds;
      config.chained = options.chained;
      config.backend.max_ctas = options.max_ctas;
      cuda_bench::StampedSteps steps(config, workload.lengths);
      const double limit_us = steps.limit_us();
      for (const StampedRoute& route : routes) {
        const cuda_bench::StampedStep step = steps.run(route.schedule, route.options);
        const std::string title = fmt::format("{}, {}, {} KV heads", to_string(route.schedule), workload.name, heads);
        fmt::print("{}", summary(title, step, limit_us, options.chained));
        nlohmann::ordered_json row = {{"workload", workload.name},
                                      {"route", to_string(route.schedule)},
                                      {"pdl", options.chained},
                                      {"num_q_heads", config.shape.num_q_heads},
                                      {"num_kv_heads", heads},
                                      {"head_dim", config.shape.head_dim},
                                      {"dtype", options.shape.dtype},
                                      {"page_size", config.page_size},
                                      {"batch", workload.lengths.size()},
                                      {"kv_bytes", steps.kv_bytes()},
                                      {"plan_us", step.plan_us},
                                      {"limit_us", limit_us}};
        // Behind another step no event tells where this one begins.
        row["time_us"] = options.chained ? step.timeline.duration_us : step.time_us;
        if (!options.chained) row["stamped_time_us"] = step.stamped_time_us;
        row["timeline"] = report::timeline_json(step.timeline);
        results["rows"].push_back(row);
        timelines.push_back(step.timeline);
        drawn.push_back({title, &timelines.back()});
      }
    }
  }
  if (!options.json.empty()) report::write_file(options.json, results.dump() + "\n");
  if (!options.svg.empty()) {
    report::write_file(options.svg, report::step_timeline_svg(drawn));
    fmt::print("timelines drawn in {}\n", options.svg);
  }
}

}  // namespace pkv::cli
