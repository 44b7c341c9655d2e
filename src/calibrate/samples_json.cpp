#include "samples_json.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

namespace pkv::calibrate {

namespace {

using nlohmann::ordered_json;

fit::StepSample sample_from(const ordered_json& json) {
  fit::StepSample sample;
  sample.workload = json.at("workload").get<std::string>();
  sample.shape.num_q_heads = json.at("num_q_heads").get<int>();
  sample.shape.num_kv_heads = json.at("num_kv_heads").get<int>();
  sample.shape.head_dim = json.at("head_dim").get<int>();
  sample.shape.validate();
  sample.dtype = parse_dtype(json.at("dtype").get<std::string>());
  sample.page_size = json.at("page_size").get<int>();
  sample.lengths = json.at("lengths").get<std::vector<std::int32_t>>();
  for (const ordered_json& route : json.at("routes")) {
    fit::RouteTimes times{{parse_route(route.at("route").get<std::string>()), route.at("splits").get<int>()},
                          route.at("plan_us").get<double>(),
                          route.at("time_us").get<std::vector<double>>()};
    for (const double us : times.time_us)
      if (!(us > 0)) throw InvalidArgument(fmt::format("time_us has {}, must be above 0", us));
    sample.routes.push_back(std::move(times));
  }
  (void)summarize(sample.input(0));
  return sample;
}

}  // namespace

ordered_json samples_to_json(std::span<const fit::StepSample> samples) {
  ordered_json all = ordered_json::array();
  for (const fit::StepSample& sample : samples) {
    ordered_json routes = ordered_json::array();
    for (const fit::RouteTimes& times : sample.routes) {
      routes.push_back({{"route", to_string(times.choice.route)},
                        {"splits", times.choice.splits},
                        {"plan_us", times.plan_us},
                        {"time_us", times.time_us}});
    }
    all.push_back({{"workload", sample.workload},
                   {"num_q_heads", sample.shape.num_q_heads},
                   {"num_kv_heads", sample.shape.num_kv_heads},
                   {"head_dim", sample.shape.head_dim},
                   {"dtype", to_string(sample.dtype)},
                   {"page_size", sample.page_size},
                   {"lengths", sample.lengths},
                   {"routes", std::move(routes)}});
  }
  return all;
}

std::vector<fit::StepSample> samples_from_json(const ordered_json& json, const std::string& source) {
  std::vector<fit::StepSample> samples;
  if (!json.is_array()) throw IoError(fmt::format("{}: samples is {}, must be an array", source, json.type_name()));
  samples.reserve(json.size());
  for (const ordered_json& sample : json) {
    const auto fail = [&](const char* why) {
      throw IoError(fmt::format("{}: samples[{}]: {}", source, samples.size(), why));
    };
    try {
      samples.push_back(sample_from(sample));
    } catch (const ordered_json::exception& error) {
      fail(error.what());
    } catch (const InvalidArgument& error) {
      fail(error.what());
    }
  }
  return samples;
}

}  // namespace pkv::calibrate
