#pragma once

// What serving runs keep on the GPU.

#include "cuda_bench/bench_kernels.hpp"
#include "cuda_bench/cold_l2.hpp"
#include "cuda_bench/rotating_pool.hpp"
#include "cuda_support/growing_array.hpp"
#include "cuda_support/stream.hpp"
#include "persistentkv/batching/continuous_batcher.hpp"
#include "serving/routed.hpp"
#include "table_shadow.hpp"

#include <memory>
#include <vector>

namespace pkv::cuda_serving {

/// Pages of `layers` layers, filled on the GPU; one layer's queries and outputs; the step's lengths and block table.
class ServingMemory {
 public:
  /// On the current device. Throws InvalidArgument where the pages do not fit in its memory.
  ServingMemory(const serving::RoutedOptions& options, std::int64_t max_active, int layers,
                const CudaDeviceInfo& device);

  /// Copies what of the step is not there yet. Afterwards, until the next call:
  void begin_step(const StepView& view);
  [[nodiscard]] const Step& host_step() const noexcept { return host_step_; }
  [[nodiscard]] const Step& device_step() const noexcept { return device_step_; }

  /// Microseconds of a layer: the mean of all layers' runs, put into the stream one after the other, from cold L2.
  template <class Run>  // void(const Layer&, cudaStream_t)
  [[nodiscard]] double time_layers(const Run& run) {
    cold_l2_.evict(stream_.handle());
    timer_.begin(stream_.handle());
    for (std::size_t layer = 0; layer < pools_.size(); ++layer) run(this->layer(layer), stream_.handle());
    return timer_.end_us(stream_.handle(), "a step") / static_cast<double>(pools_.size());
  }

  /// Of the step's pages, a page that rows share read for each.
  [[nodiscard]] double read_limit_us();
  /// Relative L2 error of the last layer that time_layers() ran, against one pass in FP32.
  [[nodiscard]] double relative_error();

  [[nodiscard]] cudaStream_t stream() const noexcept { return stream_.handle(); }
  [[nodiscard]] const cuda_bench::ColdL2& cold_l2() const noexcept { return cold_l2_; }

 private:
  [[nodiscard]] Layer layer(std::size_t index) const;
  void upload_table(const StepView& view);

  AttentionShape shape_;
  DType dtype_;
  int num_sms_;
  std::vector<std::unique_ptr<cuda_bench::Pool>> pools_;  // one a layer
  cuda::DeviceArray<unsigned char> q_, out_;              // [max_active, num_q_heads, head_dim]
  cuda::DeviceArray<std::int32_t> lengths_;               // [max_active]
  cuda_bench::ColdL2 cold_l2_;
  cuda::Stream stream_;
  cuda::EventTimer timer_;

  TableShadow shadow_;
  cuda::GrowingArray table_, page_list_;
  std::vector<std::int64_t> pages_of_rows_;
  Step host_step_, device_step_;
};

}  // namespace pkv::cuda_serving
