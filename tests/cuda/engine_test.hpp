#pragma once

// What the tests of the CUDA engine share: a backend, numbers drawn anew in each run, and streams and memory that clean
// up after themselves. On a machine without a GPU every test skips.

#include "conformance/random.hpp"
#include "persistentkv/core/index_view.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <vector>

namespace pkv::testing {

/// Throws std::runtime_error unless `status` is success.
void check(cudaError_t status);

/// Device memory, poisoned: every byte 0xff, a NaN in every dtype. `guard_bytes` more lie on either side.
class DeviceBytes {
 public:
  explicit DeviceBytes(std::size_t size_bytes, std::size_t guard_bytes = 0);
  ~DeviceBytes() { (void)cudaFree(base_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;

  [[nodiscard]] std::byte* data() const noexcept { return base_ + guard_bytes_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
  void upload(const void* from);
  void download(void* to) const;
  /// In stream order; with the guards.
  void poison(cudaStream_t stream = nullptr);
  /// Whether the guards are as they were.
  [[nodiscard]] bool guards_intact() const;

 private:
  std::byte* base_ = nullptr;
  std::size_t size_bytes_;
  std::size_t guard_bytes_;
};

/// int32 or int64 on the device.
template <class Index>
class DeviceIndices {
 public:
  explicit DeviceIndices(const std::vector<Index>& values) : bytes_(values.size() * sizeof(Index)) { upload(values); }
  void upload(const std::vector<Index>& values) { bytes_.upload(values.data()); }
  [[nodiscard]] IndexView view() const {
    constexpr IndexType kType = std::is_same_v<Index, std::int32_t> ? IndexType::kI32 : IndexType::kI64;
    return {bytes_.data(), static_cast<std::int64_t>(bytes_.size_bytes() / sizeof(Index)), kType, MemorySpace::kDevice};
  }

 private:
  DeviceBytes bytes_;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { (void)cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const noexcept { return stream_; }  // NOLINT(google-explicit-constructor)
  void wait() const { check(cudaStreamSynchronize(stream_)); }

 private:
  cudaStream_t stream_ = nullptr;
};

/// What `body` puts into `stream`, as a graph that can be launched there.
class Graph {
 public:
  template <class Body>
  Graph(cudaStream_t stream, Body body) : stream_(stream) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    body();
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream, &graph));
    check(cudaGraphInstantiate(&graph_, graph, 0));
    check(cudaGraphDestroy(graph));
  }
  ~Graph() { (void)cudaGraphExecDestroy(graph_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch() const { check(cudaGraphLaunch(graph_, stream_)); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t graph_ = nullptr;
};

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// `stream`, as it is meant to be run: tiles of 16 tokens, as many CTAs as the backend wants.
  [[nodiscard]] std::unique_ptr<CudaPreparedStep> prepare(const Step& step, const CudaWorkspace& workspace = {});

  static PlanOptions stream_options() {
    PlanOptions options;
    options.tile_tokens = 16;
    return options;
  }

  std::unique_ptr<CudaBackend> backend_;
  conformance::Random random_{conformance::test_seed()};
};

}  // namespace pkv::testing
