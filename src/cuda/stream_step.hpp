#pragma once

#include "launch_params.hpp"
#include "persistentkv/plan/schedule.hpp"

namespace pkv::cuda {

/// Where in a workspace of `stream` what stands.
struct StreamWorkspace {
  std::size_t errors = 0;
  std::size_t arrivals = 0;
  std::size_t max_sum = 0;
  std::size_t acc = 0;
  std::size_t size_bytes = 0;

  [[nodiscard]] static StreamWorkspace of(int num_workers, int blocks, int head_dim) noexcept;
};

/// `stream`: planned by the kernel itself.
class StreamStep final : public CudaPreparedStep {
 public:
  StreamStep(std::shared_ptr<CudaContext> context, const Step& step, const PlanOptions& options,
             const DecodeKernels& kernels, const CudaWorkspace& workspace);
  ~StreamStep() override;
  StreamStep(const StreamStep&) = delete;
  StreamStep& operator=(const StreamStep&) = delete;

  void run(const Layer& layer, StreamHandle stream, const CudaRunOptions& options) override;
  [[nodiscard]] ExecutedCounters executed() const override;
  [[nodiscard]] ExecutedCounters executed_for(std::span<const std::int32_t> lengths) const override;
  [[nodiscard]] bool replays_with_other_lengths() const noexcept override;
  [[nodiscard]] CudaDeviceErrors take_errors(StreamHandle stream) override;

 private:
  /// What executed() can tell without lengths.
  [[nodiscard]] ExecutedCounters launched() const noexcept;
  struct Cut {
    StreamParams stream;
    RareCuts rare;
    int ctas = 0;
    /// `tokens`: of all units.
    [[nodiscard]] bool is_long(std::int64_t tokens) const noexcept {
      return tokens >> 10 >= stream.long_step_kilotokens;
    }
    [[nodiscard]] bool is_halved(std::int64_t tokens) const noexcept {
      return stream.may_halve && arith::halves_units<std::int64_t>(tokens, stream.workers, arith::kHalvedRun);
    }
  };
  [[nodiscard]] Cut cut_for(int workers, int ahead_tokens, int whole_unit_tokens) const;
  /// Where a step turns out to be long, the other cut, of more CTAs.
  void let_long_steps_have(Cut& cut, const Cut& more) const;
  /// Whether as many CTAs run at once if they are launched by twos. Without clusters that makes no difference.
  [[nodiscard]] bool runs_by_twos(int workers) const noexcept;
  [[nodiscard]] std::int64_t tokens_of_units(std::span<const std::int32_t> lengths) const;

  std::shared_ptr<CudaContext> context_;
  Step step_;
  PlanOptions options_;
  GroupCut group_;
  KernelLaunch kernel_;  ///< of any form
  StepForm form_ = StepForm::kAny;
  cudaFunction_t form_kernel_ = nullptr;  ///< for layers that are usual; launched as kernel_ is
  Leased own_workspace_;
  StepOnDevice on_device_;
  bool chooses_cut_;  ///< not the caller, who then gets the planner's cut exactly
  Cut alone_;
  Cut chained_;  ///< by programmatic dependent launch
  PartialsParams partials_;
  unsigned* errors_ = nullptr;
  const Cut* ran_ = nullptr;  ///< the last run's
};

/// Of any workspace's error word.
[[nodiscard]] CudaDeviceErrors take_error_word(unsigned* errors, StreamHandle stream);

}  // namespace pkv::cuda
