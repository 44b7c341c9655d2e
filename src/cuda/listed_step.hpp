#pragma once

#include "launch_params.hpp"

namespace pkv::cuda {

/// A plan that the host has made.
class ListedStep final : public CudaPreparedStep {
 public:
  /// `plan` must be the step's.
  ListedStep(std::shared_ptr<CudaContext> context, const Step& step, const WorkPlan& plan,
             const DecodeKernels& kernels);

  void run(const Layer& layer, StreamHandle stream, const CudaRunOptions& options) override;
  [[nodiscard]] ExecutedCounters executed() const override { return executed_; }
  [[nodiscard]] bool replays_with_other_lengths() const noexcept override { return false; }
  [[nodiscard]] CudaDeviceErrors take_errors(StreamHandle stream) override;

 private:
  void upload(const WorkPlan& plan);
  /// Returns the warps of the launch.
  int launch(const Launch& launch, const DecodeParams& p, StreamHandle stream, const TimelineParams& timeline);

  std::shared_ptr<CudaContext> context_;
  Step step_;
  GroupCut group_;
  KernelLaunch decode_;
  cudaFunction_t merge_;
  StepOnDevice on_device_;
  Leased plan_memory_;
  std::vector<Launch> launches_;
  ListParams list_;
  PartialsParams partials_;
  unsigned* errors_ = nullptr;
  ExecutedCounters planned_;
  ExecutedCounters executed_;
};

}  // namespace pkv::cuda
