#include "persistentkv/cpu/cpu_backend.hpp"

#include "executor.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/engine/step_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pkv {

namespace {

constexpr int kMaxThreads = 4096;

Capabilities make_capabilities() {
  Capabilities capabilities;
  capabilities.schedules.assign(kAllSchedules.begin(), kAllSchedules.end());
  capabilities.dtypes = {DType::kF16, DType::kBF16, DType::kF32};
  capabilities.head_dim_multiple = 16;
  capabilities.max_head_dim = 512;
  capabilities.any_plan = true;
  return capabilities;
}

const detail::KernelTable& choose_kernels(const std::string& target) {
  const std::vector<const detail::KernelTable*> supported = detail::supported_kernels();
  if (target.empty()) return *supported.front();
  std::vector<std::string> names;
  for (const detail::KernelTable* kernels : supported) {
    names.push_back(detail::target_name(*kernels));
    if (names.back() == target) return *kernels;
  }
  throw InvalidArgument(fmt::format("simd_target is '{}', must be one of {}", target, fmt::join(names, ", ")));
}

void require_host(const char* name, const IndexView& view) {
  if (view && view.space != MemorySpace::kHost)
    throw Unsupported(fmt::format("{} are on a device, must be in host memory", name));
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(std::shared_ptr<detail::CpuContext> context)
      : context_(std::move(context)), capabilities_(make_capabilities()) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "cpu"; }
  [[nodiscard]] const Capabilities& capabilities() const noexcept override { return capabilities_; }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& step, Schedule schedule,
                                                      const PlanOptions& options) override {
    check(step);
    PlanOptions chosen = options;
    if (chosen.num_workers == 0) chosen.num_workers = context_->threads.num_threads();
    return std::make_unique<detail::CpuPreparedStep>(context_, step, make_step_plan(step, schedule, chosen));
  }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& step, WorkPlan plan) override {
    check(step);
    require_plan_of(step, plan);
    return std::make_unique<detail::CpuPreparedStep>(context_, step, std::move(plan));
  }

 private:
  void check(const Step& step) const {
    require_host("lengths", step.lengths.values);
    require_host("page_table.entries", step.table.entries);
    require_host("page_table.row_offsets", step.table.row_offsets);
    require_host("page_table.row_ids", step.table.row_ids);
    step.validate();
    if (const std::string why = capabilities_.why_not(step.shape, step.dtype, step.page_size); !why.empty())
      throw Unsupported(why);
  }

  std::shared_ptr<detail::CpuContext> context_;
  Capabilities capabilities_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const CpuBackendConfig& config) {
  if (config.num_threads < 0 || config.num_threads > kMaxThreads)
    throw InvalidArgument(fmt::format("num_threads is {}, must be in [0, {}]", config.num_threads, kMaxThreads));
  return std::make_unique<CpuBackend>(
      std::make_shared<detail::CpuContext>(config.num_threads, choose_kernels(config.simd_target)));
}

std::string cpu_simd_target() { return cpu_simd_targets().front(); }

std::vector<std::string> cpu_simd_targets() {
  std::vector<std::string> names;
  for (const detail::KernelTable* kernels : detail::supported_kernels()) names.push_back(detail::target_name(*kernels));
  return names;
}

}  // namespace pkv
