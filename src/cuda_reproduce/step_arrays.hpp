#pragma once

// A step's lengths and table on their way to the GPU.

#include "cuda_support/memory.hpp"
#include "reproduce/bench.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

namespace pkv::cuda_reproduce {

/// Frees pinned memory.
struct FreePinned {
  void operator()(void* data) const noexcept { (void)cudaFreeHost(data); }
};

/// As a serving engine holds them: written on the host into pinned memory, in one piece, and copied to arrays that stay
/// where they are.
class StepArrays {
 public:
  /// Fills the pinned memory, and has row ids and page list on the device when it returns.
  void assign(const reproduce::BenchStep& step);

  /// Puts the copy of lengths and table into the stream.
  void upload(cudaStream_t stream) const;

  [[nodiscard]] const Step& host_step() const noexcept { return host_step_; }
  /// The same with lengths and table where upload() puts them.
  [[nodiscard]] const Step& device_step() const noexcept { return device_step_; }
  /// Ids of the step's rows in the pool of queries, on the device.
  [[nodiscard]] IndexView row_ids() const noexcept;
  [[nodiscard]] std::int64_t num_q_rows() const noexcept { return num_q_rows_; }
  /// Pages of all rows, on the device.
  [[nodiscard]] const std::int32_t* pages() const noexcept { return pages_.get(); }
  [[nodiscard]] std::int32_t num_pages() const noexcept { return num_pages_; }

 private:
  void reserve(std::size_t bytes);

  std::unique_ptr<void, FreePinned> pinned_;
  cuda::DeviceBuffer device_;
  std::size_t capacity_bytes_ = 0;
  std::size_t used_bytes_ = 0;
  cuda::DeviceArray<std::int32_t> row_ids_, pages_;
  std::int32_t num_pages_ = 0;
  std::int64_t num_q_rows_ = 0;
  Step host_step_, device_step_;
};

}  // namespace pkv::cuda_reproduce
