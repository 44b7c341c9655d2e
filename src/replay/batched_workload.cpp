#include "workload.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::replay {

namespace {

class BatchedWorkload final : public Workload {
 public:
  BatchedWorkload(std::unique_ptr<RequestSource> source, const BatchingOptions& options)
      : options_(options), source_(std::move(source)), batcher_(*source_, options) {}

  std::string name() const override { return source_->name(); }
  int page_size() const noexcept override { return options_.page_size; }
  std::int64_t num_pages() const noexcept override { return options_.num_pages; }
  ArrivalUnit arrival_unit() const noexcept override { return source_->arrival_unit(); }

  bool next(WorkloadStep& step) override {
    if (!batcher_.next_step(view_)) return false;
    step = {view_.lengths, view_.capacity_tokens, view_.table};
    return true;
  }

  void finish(double step_us) override { (void)batcher_.finish_step(step_us); }

  std::vector<std::string> account() const override {
    batcher_.check_conservation();
    const BatchingCounters& c = batcher_.counters();
    const double mean_wait_us = c.admitted > 0 ? c.queue_wait_us_sum / static_cast<double>(c.admitted) : 0.0;
    std::vector<std::string> lines{
        fmt::format(
            "requests: {} admitted, {} finished, {} active, {} rejected; {} rows with nothing to decode skipped",
            c.admitted, c.finished, batcher_.active(), c.rejected, source_->skipped_rows()),
        fmt::format("conservation holds: {} tokens decoded, each of every finished request exactly once",
                    c.decoded_tokens),
        fmt::format("at most {} active and {} of {} pages in use; waited for admission {:.1f} ms on average, {:.1f} at "
                    "most",
                    c.peak_active, c.peak_pages, options_.num_pages, mean_wait_us / 1e3, c.queue_wait_us_max / 1e3)};
    if (options_.share_prefixes)
      lines.push_back(fmt::format("{} prompt tokens found in shared pages", c.shared_tokens));
    if (!batcher_.rejections().empty()) {
      const Rejection& first = batcher_.rejections().front();
      lines.push_back(fmt::format("first rejection, request {}: {}", first.request_id, first.reason));
    }
    return lines;
  }

 private:
  BatchingOptions options_;
  std::unique_ptr<RequestSource> source_;
  ContinuousBatcher batcher_;
  StepView view_;
};

}  // namespace

std::unique_ptr<Workload> make_batched_workload(std::unique_ptr<RequestSource> source, const BatchingOptions& options) {
  return std::make_unique<BatchedWorkload>(std::move(source), options);
}

}  // namespace pkv::replay
