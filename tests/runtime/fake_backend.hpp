#pragma once

// A backend that does nothing but remember what it was asked, and steps to ask it with.

#include "persistentkv/core/error.hpp"
#include "persistentkv/engine/backend.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pkv::testing_support {

class FakeBackend : public Backend {
 public:
  explicit FakeBackend(std::string name, std::vector<Schedule> schedules, std::vector<Schedule> device_lengths = {},
                       std::string device = {})
      : name_(std::move(name)), device_(std::move(device)) {
    can.schedules = std::move(schedules);
    can.device_lengths = std::move(device_lengths);
    can.dtypes = {DType::kF16, DType::kBF16, DType::kF32};
    can.max_head_dim = 512;
  }

  struct Asked {
    Schedule schedule;
    PlanOptions options;
    Step step;
  };
  struct AskedRoute {
    Route route;
    PlanOptions options;
    Step step;
  };

  Capabilities can;
  std::vector<Asked> asked;
  std::vector<AskedRoute> asked_routes;  ///< of can.own_routes
  std::atomic<int> runs = 0;
  bool broken = false;  ///< prepare and run throw

  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] const Capabilities& capabilities() const noexcept override { return can; }
  [[nodiscard]] std::string_view device_name() const noexcept override { return device_; }
  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& step, Schedule schedule,
                                                      const PlanOptions& o) override {
    if (broken) throw Unsupported("broken");
    asked.push_back({schedule, o, step});
    return std::make_unique<Prepared>(*this);
  }
  [[nodiscard]] std::unique_ptr<PreparedStep> prepare_route(const Step& step, Route route,
                                                            const PlanOptions& o) override {
    if (schedule_of(route) || !can.has_route(route)) return Backend::prepare_route(step, route, o);
    asked_routes.push_back({route, o, step});
    return std::make_unique<Prepared>(*this);
  }
  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step&, WorkPlan) override { throw Unsupported("plan"); }

 private:
  struct Prepared : PreparedStep {
    explicit Prepared(FakeBackend& backend) : owner(backend) {}
    void run(const Layer&, StreamHandle) override {
      if (owner.broken) throw InvalidArgument("broken");
      ++owner.runs;
    }
    [[nodiscard]] ExecutedCounters executed() const override { return {.launches = 7}; }
    FakeBackend& owner;
  };

  std::string name_;
  std::string device_;
};

inline std::vector<Schedule> all_schedules() { return {kAllSchedules.begin(), kAllSchedules.end()}; }

inline std::shared_ptr<FakeBackend> fake(std::string name = "fake", std::vector<Schedule> schedules = all_schedules(),
                                         std::vector<Schedule> device_lengths = {}, std::string device = {}) {
  return std::make_shared<FakeBackend>(std::move(name), std::move(schedules), std::move(device_lengths),
                                       std::move(device));
}

/// Lengths and a table of `max_pages` entries a row, whose ids nobody reads. 32 query heads over 8, d = 128, fp16,
/// pages of 16: what the paper's profiles are calibrated for.
struct FakeStep {
  explicit FakeStep(std::vector<std::int32_t> row_lengths, std::int64_t max_pages = 1 << 13)
      : lengths(std::move(row_lengths)) {
    step.batch = static_cast<std::int64_t>(lengths.size());
    step.num_pages = 1 << 16;
    step.lengths.values = IndexView::host(lengths.data(), step.batch);
    table.resize(lengths.size() * static_cast<std::size_t>(max_pages));
    step.table = PageTableView::dense(table.data(), step.batch, max_pages);
  }
  FakeStep(const FakeStep&) = delete;
  FakeStep& operator=(const FakeStep&) = delete;

  std::vector<std::int32_t> lengths;
  std::vector<std::int32_t> table;
  Step step;
};

}  // namespace pkv::testing_support
