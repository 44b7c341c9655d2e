#include "step_arrays.hpp"

#include "cuda_support/check.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace pkv::cuda_reproduce {

using cuda::check;
using cuda::DeviceArray;

void StepArrays::reserve(std::size_t bytes) {
  if (bytes <= capacity_bytes_) return;
  capacity_bytes_ = std::max(bytes, 2 * capacity_bytes_);
  device_ = cuda::DeviceBuffer(capacity_bytes_);
  void* data = nullptr;
  check(cudaMallocHost(&data, capacity_bytes_), "cudaMallocHost");
  pinned_.reset(data);
}

void StepArrays::assign(const reproduce::BenchStep& step) {
  const auto lengths = static_cast<std::size_t>(step.step.batch) * sizeof(std::int32_t);
  const std::size_t at = (lengths + 255) / 256 * 256;
  const std::size_t table = static_cast<std::size_t>(step.step.table.entries.size) * sizeof(std::int32_t);
  used_bytes_ = at + table;
  reserve(used_bytes_);
  auto* host = static_cast<unsigned char*>(pinned_.get());
  std::memcpy(host, step.step.lengths.values.data, lengths);
  std::memcpy(host + at, step.step.table.entries.data, table);
  host_step_ = step.step;
  host_step_.lengths.values.data = host;
  host_step_.table.entries.data = host + at;
  device_step_ = host_step_;
  device_step_.lengths.values.data = device_.data();
  device_step_.lengths.values.space = MemorySpace::kDevice;
  device_step_.table.entries.data = device_.as<unsigned char>() + at;
  device_step_.table.entries.space = MemorySpace::kDevice;

  row_ids_ = DeviceArray<std::int32_t>::of(step.q_row);
  num_q_rows_ = step.num_q_rows;
  std::vector<std::int32_t> pages;
  pages.reserve(static_cast<std::size_t>(step.step.table.entries.size));
  for (std::int64_t row = 0; row < step.step.batch; ++row) {
    const std::int64_t count = (step.step.lengths.at(row) + step.step.page_size - 1) / step.step.page_size;
    for (std::int64_t j = 0; j < count; ++j)
      pages.push_back(static_cast<std::int32_t>(step.step.table.page(step.step.table.base(row), j)));
  }
  pages_ = DeviceArray<std::int32_t>::of(pages);
  num_pages_ = static_cast<std::int32_t>(pages.size());
}

void StepArrays::upload(cudaStream_t stream) const {
  check(cudaMemcpyAsync(device_.data(), pinned_.get(), used_bytes_, cudaMemcpyHostToDevice, stream),
        "uploading a step");
}

IndexView StepArrays::row_ids() const noexcept {
  return {row_ids_.get(), host_step_.batch, IndexType::kI32, MemorySpace::kDevice};
}

}  // namespace pkv::cuda_reproduce
