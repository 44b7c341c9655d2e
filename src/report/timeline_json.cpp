#include "timeline_json.hpp"

#include "persistentkv/core/error.hpp"
#include "timeline/phases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace pkv::report {

namespace {

using timeline::CtaTimes;
using timeline::StepTimeline;
using timeline::Task;

constexpr std::array kTaskColumns = {"launch",  "cta",         "warp",      "sm",       "row",
                                     "kv_head", "token_begin", "token_end", "begin_us", "end_us"};
constexpr std::array kCtaColumns = {"launch",     "cta",           "sm",          "start_us",
                                    "planned_us", "first_data_us", "all_data_us", "last_segment_us",
                                    "arrived_us", "joined_us",     "merged_us",   "exit_us"};
constexpr int kMostSms = 4096;
constexpr int kMostLaunches = 1024;
constexpr std::int64_t kMostItems = 1 << 30;

/// Nanoseconds are what the clocks tell.
double rounded(double us) { return std::round(us * 1e3) / 1e3; }

nlohmann::ordered_json or_null(const std::optional<double>& us) {
  return us ? nlohmann::ordered_json(rounded(*us)) : nlohmann::ordered_json();
}

[[noreturn]] void refuse(const std::string& name, const nlohmann::json& found, const char* must) {
  std::string text = found.dump();
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  throw InvalidArgument(fmt::format("{} is {}, must be {}", name, text, must));
}

double number(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end())
    throw InvalidArgument(fmt::format("timeline.{} is missing, must be a number >= 0", member));
  if (!found->is_number() || !(found->get<double>() >= 0.0))
    refuse(fmt::format("timeline.{}", member), *found, "a number >= 0");
  return found->get<double>();
}

/// The rows of one of the two lists.
class List {
 public:
  template <std::size_t kColumns>
  List(const nlohmann::json& object, const char* member, const std::array<const char*, kColumns>& /*columns*/)
      : name_(fmt::format("timeline.{}", member)), columns_(kColumns) {
    const auto found = object.find(member);
    if (found == object.end()) throw InvalidArgument(fmt::format("{} is missing, must be a list of lists", name_));
    if (!found->is_array()) refuse(name_, *found, "a list of lists");
    list_ = &*found;
  }
  [[nodiscard]] std::size_t size() const { return list_->size(); }
  void begin_row(std::size_t row) {
    at_ = fmt::format("{}[{}]", name_, row);
    row_ = &(*list_)[row];
    column_ = 0;
    if (!row_->is_array() || row_->size() != columns_)
      refuse(at_, *row_, fmt::format("a list of {} numbers", columns_).c_str());
  }
  [[nodiscard]] int next_int() {
    const nlohmann::json& value = next();
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > kMostItems)
      refuse(fmt::format("{}[{}]", at_, column_ - 1), value, "an integer in [0, 2^30]");
    return value.get<int>();
  }
  [[nodiscard]] double next_us() {
    const nlohmann::json& value = next();
    if (!value.is_number()) refuse(fmt::format("{}[{}]", at_, column_ - 1), value, "a number");
    return value.get<double>();
  }
  [[nodiscard]] std::optional<double> next_optional_us() {
    if ((*row_)[column_].is_null()) {
      ++column_;
      return std::nullopt;
    }
    return next_us();
  }

 private:
  const nlohmann::json& next() { return (*row_)[column_++]; }

  std::string name_;
  std::size_t columns_;
  const nlohmann::json* list_ = nullptr;
  const nlohmann::json* row_ = nullptr;
  std::string at_;
  std::size_t column_ = 0;
};

}  // namespace

nlohmann::ordered_json timeline_json(const StepTimeline& timeline) {
  nlohmann::ordered_json json = {{"num_sms", timeline.num_sms},
                                 {"launches", timeline.launches},
                                 {"duration_us", rounded(timeline.duration_us)},
                                 {"clock_error_us", rounded(timeline.clock_error_us)},
                                 {"dropped_stamps", timeline.dropped}};
  nlohmann::ordered_json phases = nlohmann::ordered_json::array();
  for (const timeline::Phase& p : timeline::phases(timeline)) {
    phases.push_back({{"launch", p.launch},
                      {"phase", p.name},
                      {"ctas", p.ctas},
                      {"min_us", rounded(p.min_us)},
                      {"median_us", rounded(p.median_us)},
                      {"max_us", rounded(p.max_us)},
                      {"last_sm", p.last_sm}});
  }
  json["phases"] = phases;
  const timeline::SmShares s = timeline::sm_shares(timeline);
  json["sm_shares"] = {{"before", s.before},
                       {"in_flight", s.in_flight},
                       {"between", s.between},
                       {"after", s.after},
                       {"unused", s.unused}};
  json["cta_columns"] = kCtaColumns;
  json["ctas"] = nlohmann::ordered_json::array();
  for (const CtaTimes& c : timeline.ctas) {
    json["ctas"].push_back({c.launch, c.cta, c.sm, rounded(c.start_us), or_null(c.planned_us), or_null(c.first_data_us),
                            or_null(c.all_data_us), or_null(c.last_segment_us), or_null(c.arrived_us),
                            or_null(c.joined_us), or_null(c.merged_us), rounded(c.exit_us)});
  }
  json["task_columns"] = kTaskColumns;
  json["tasks"] = nlohmann::ordered_json::array();
  for (const Task& t : timeline.tasks) {
    json["tasks"].push_back({t.launch, t.cta, t.warp, t.sm, t.row, t.kv_head, t.token_begin, t.token_end,
                             rounded(t.begin_us), rounded(t.end_us)});
  }
  return json;
}

StepTimeline timeline_from_json(const nlohmann::json& json) {
  if (!json.is_object()) refuse("timeline", json, "an object");
  StepTimeline timeline;
  const double num_sms = number(json, "num_sms");
  if (!(num_sms >= 1.0 && num_sms <= kMostSms)) refuse("timeline.num_sms", json["num_sms"], "in [1, 4096]");
  timeline.num_sms = static_cast<int>(num_sms);
  timeline.duration_us = number(json, "duration_us");
  timeline.clock_error_us = number(json, "clock_error_us");
  timeline.dropped = static_cast<std::int64_t>(number(json, "dropped_stamps"));
  List ctas(json, "ctas", kCtaColumns);
  for (std::size_t i = 0; i < ctas.size(); ++i) {
    ctas.begin_row(i);
    CtaTimes c;
    c.launch = ctas.next_int();
    if (c.launch >= kMostLaunches) refuse(fmt::format("timeline.ctas[{}][0]", i), c.launch, "below 1024");
    c.cta = ctas.next_int();
    c.sm = ctas.next_int();
    c.start_us = ctas.next_us();
    for (std::optional<double>* us : {&c.planned_us, &c.first_data_us, &c.all_data_us, &c.last_segment_us,
                                      &c.arrived_us, &c.joined_us, &c.merged_us})
      *us = ctas.next_optional_us();
    c.exit_us = ctas.next_us();
    timeline.launches = std::max(timeline.launches, c.launch + 1);
    timeline.ctas.push_back(c);
  }
  List tasks(json, "tasks", kTaskColumns);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    tasks.begin_row(i);
    Task t;
    for (int* value : {&t.launch, &t.cta, &t.warp, &t.sm, &t.row, &t.kv_head, &t.token_begin, &t.token_end})
      *value = tasks.next_int();
    t.begin_us = tasks.next_us();
    t.end_us = tasks.next_us();
    timeline.tasks.push_back(t);
  }
  return timeline;
}

}  // namespace pkv::report
