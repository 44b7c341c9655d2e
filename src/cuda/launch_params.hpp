#pragma once

// From the API's views to what the kernels take.

#include "context.hpp"
#include "kernels/params.hpp"
#include "persistentkv/plan/work_plan.hpp"

#include <cstddef>
#include <vector>

namespace pkv::cuda {

/// Copies of a step's host-resident arrays, put down side by side for one upload.
class Staging {
 public:
  /// Where `size_bytes` more will stand, 256-byte aligned.
  std::size_t add(const void* data, std::size_t size_bytes);
  [[nodiscard]] const std::vector<unsigned char>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
};

/// A step's indices where the kernels can read them.
class StepOnDevice {
 public:
  /// Uploads what is in host memory, and waits for that.
  StepOnDevice(const std::shared_ptr<CudaContext>& context, const Step& step, const GroupCut& group);

  [[nodiscard]] const StepParams& params() const noexcept { return params_; }

 private:
  StepParams params_;
  Leased memory_;
};

/// Checks a layer against what the kernels need (see CudaPreparedStep::run), and describes it. Step, partials and
/// stream are left to the caller.
[[nodiscard]] DecodeParams describe(CudaContext& context, const Step& step, const GroupCut& group, const Layer& layer,
                                    const CudaRunOptions& options);

/// The form of a step, if its layers are usual too. `wide`: costs may reach 2^31.
[[nodiscard]] StepForm form_of(const StepParams& step, const GroupCut& group, bool wide) noexcept;
[[nodiscard]] bool is_usual(const DecodeParams& layer) noexcept;

/// What a run of a plan counts.
[[nodiscard]] ExecutedCounters counters_of(const WorkPlan& plan, int page_size);

/// The kernels that stamp steps like this one. Throws Unsupported where there are none.
[[nodiscard]] const DecodeKernels& timeline_kernels(const Step& step);

}  // namespace pkv::cuda
