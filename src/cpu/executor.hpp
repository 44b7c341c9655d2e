#pragma once

// One prepared step: the plan, the workspace it needs, and the pool's threads that carry it out.

#include "kernels/kernel_table.hpp"
#include "persistentkv/engine/backend.hpp"
#include "persistentkv/parallel/thread_team.hpp"

#include <hwy/aligned_allocator.h>

#include <atomic>
#include <memory>
#include <vector>

namespace pkv::detail {

/// What a backend shares with the steps it has prepared, which may outlive it.
struct CpuContext {
  CpuContext(int num_threads, const KernelTable& table) : kernels(table), threads(num_threads) {}

  const KernelTable& kernels;
  ThreadTeam threads;
};

class CpuPreparedStep final : public PreparedStep {
 public:
  /// `plan` must be the step's.
  CpuPreparedStep(std::shared_ptr<CpuContext> context, const Step& step, WorkPlan plan);

  void run(const Layer& layer, StreamHandle stream) override;
  [[nodiscard]] ExecutedCounters executed() const override { return executed_; }

 private:
  void bind(const Layer& layer);
  void write_empty_rows();
  void execute(const Launch& launch);
  void run_worker(int worker, bool merge, Scratch& scratch);
  void run_merge(const Merge& merge, Scratch& scratch);

  std::shared_ptr<CpuContext> context_;
  Step step_;
  WorkPlan plan_;
  DecodeArgs args_;
  std::vector<std::int32_t> empty_rows_;
  std::vector<std::int32_t> merge_of_slot_;             // [num_slots]
  std::unique_ptr<std::atomic<std::int32_t>[]> waits_;  // [merges] partials that are still to come
  hwy::AlignedFreeUniquePtr<float[]> floats_;           // the slots, then every thread's scratch
  std::vector<Scratch> scratch_;                        // [num_threads]
  std::int64_t reserved_pages_ = 0;
  ExecutedCounters executed_;
};

}  // namespace pkv::detail
