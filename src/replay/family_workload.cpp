#include "persistentkv/trace/step_sequence.hpp"
#include "workload.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::replay {

namespace {

class FamilyWorkload final : public Workload {
 public:
  FamilyWorkload(const FamilyOptions& family, const PageAssignmentOptions& pages)
      : family_(family),
        page_size_(pages.page_size),
        requests_(generate_requests(family)),
        pages_(requests_, pages),
        sequence_(requests_, family.max_active) {}

  std::string name() const override {
    return fmt::format("{} B{} seed {}", to_string(family_.family), family_.max_active, family_.seed);
  }
  int page_size() const noexcept override { return page_size_; }
  std::int64_t num_pages() const noexcept override { return pages_.num_physical_pages(); }
  ArrivalUnit arrival_unit() const noexcept override { return ArrivalUnit::kSteps; }

  bool next(WorkloadStep& step) override {
    if (!sequence_.next(rows_)) return false;
    const std::size_t batch = rows_.rows.size();
    lengths_.resize(batch);
    capacity_tokens_.resize(batch);
    std::size_t width = 0;
    for (const StepRow& row : rows_.rows) width = std::max(width, pages_.pages(row.request).size());
    table_.assign(batch * width, -1);
    for (std::size_t r = 0; r < batch; ++r) {
      const std::span<const std::int32_t> pages = pages_.pages(rows_.rows[r].request);
      lengths_[r] = static_cast<std::int32_t>(rows_.rows[r].length_tokens);
      capacity_tokens_[r] = static_cast<std::int32_t>(pages.size()) * page_size_;
      std::copy(pages.begin(), pages.end(), table_.begin() + static_cast<std::ptrdiff_t>(r * width));
    }
    step = {lengths_, capacity_tokens_,
            PageTableView::dense(table_.data(), static_cast<std::int64_t>(batch), static_cast<std::int64_t>(width))};
    return true;
  }

  void finish(double /*step_us*/) override {}

  std::vector<std::string> account() const override {
    return {fmt::format("{} requests, each with its own pages from the start to the end", requests_.size())};
  }

 private:
  FamilyOptions family_;
  int page_size_;
  std::vector<Request> requests_;
  PageAssignment pages_;
  StepSequence sequence_;
  StepRows rows_;
  std::vector<std::int32_t> lengths_;
  std::vector<std::int32_t> capacity_tokens_;
  std::vector<std::int32_t> table_;  // [batch, most pages of a row]
};

}  // namespace

std::unique_ptr<Workload> make_family_workload(const FamilyOptions& family, const PageAssignmentOptions& pages) {
  return std::make_unique<FamilyWorkload>(family, pages);
}

}  // namespace pkv::replay
