#pragma once

#include "kernels.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"
#include "workspace.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace pkv::fi {

/// Where in a workspace what stands. Bounds, since planners say only afterwards what they needed.
struct WorkspaceLayout {
  // In device and pinned memory alike, the first for FlashInfer's planner, the others copied in one go.
  std::size_t ints_bytes = 0;  // from 0
  std::size_t page_offsets = 0;
  std::size_t row_offsets = 0;
  std::size_t last_page_tokens = 0;
  std::size_t pages = 0;
  std::size_t errors = 0;
  std::size_t uploaded = 0;  // end of what is copied
  // In device memory alone.
  std::size_t floats = 0;
  std::size_t floats_bytes = 0;
  std::size_t q = 0;
  std::size_t out = 0;
  std::size_t lse = 0;
  std::size_t size_bytes = 0;

  [[nodiscard]] static WorkspaceLayout of(const Step& step, Route route, std::int64_t num_pages, int num_sms);
};

/// A step that FlashInfer has planned on the host.
class FlashInferStep final : public CudaPreparedStep {
 public:
  /// The step must have been validated, with all of it in host memory.
  FlashInferStep(std::shared_ptr<Context> context, Route route, const Path& path, const Step& step);

  void run(const Layer& layer, StreamHandle stream, const CudaRunOptions& options) override;
  [[nodiscard]] ExecutedCounters executed() const override { return executed_; }
  [[nodiscard]] bool replays_with_other_lengths() const noexcept override { return false; }
  [[nodiscard]] CudaDeviceErrors take_errors(StreamHandle stream) override;

 private:
  void plan(Route route);
  /// The upload comes before what `stream` is given next.
  void await_upload(cudaStream_t stream);
  [[nodiscard]] ExecutedCounters planned(std::int64_t tokens, std::int64_t empty_rows) const;
  [[nodiscard]] RunRequest describe(const Layer& layer) const;
  template <class T>
  [[nodiscard]] T* at(std::size_t offset) const noexcept {
    return reinterpret_cast<T*>(workspace_->device() + offset);
  }

  std::shared_ptr<Context> context_;
  const Path& path_;
  Step step_;
  WorkspaceLayout layout_;
  std::optional<Leased> workspace_;  // none for a step without rows
  Cut cut_;
  bool uploaded_ = false;                  // known to be over
  std::optional<cudaStream_t> held_back_;  // the stream that waits for it, or has
  bool any_tokens_ = false;
  bool any_empty_rows_ = false;
  ExecutedCounters planned_;
  ExecutedCounters executed_;
};

}  // namespace pkv::fi
