#pragma once

// A layer's MLP beside its attention, so that attention's share of a layer step can be told.

#include "persistentkv/engine/backend.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace pkv::cuda_mlp {

/// Of a gated MLP, SwiGLU: down(silu(gate(x)) * up(x)). The default is a layer of Llama-3.1-8B.
struct MlpShape {
  int hidden = 4096;
  int intermediate = 14336;  ///< even
  friend bool operator==(const MlpShape&, const MlpShape&) = default;
};

/// FP16 with FP32 sums: a GEMM for gate and up, a kernel for silu and product, a GEMM for down; on the current device,
/// random weights. Layers take turns, as in a model, so that no weight is in L2 when it is read. One thread at a time.
class MlpProxy {
 public:
  /// Throws InvalidArgument for sizes out of bounds (max_batch in [1, 4096]), Unsupported where cuBLAS is not found
  /// (see cublas.hpp), CudaError.
  explicit MlpProxy(int max_batch, const MlpShape& shape = {}, int num_layers = 3);
  ~MlpProxy();
  MlpProxy(const MlpProxy&) = delete;
  MlpProxy& operator=(const MlpProxy&) = delete;

  /// The MLP of the next layer, for `batch` rows in [1, max_batch]: three kernels or a few more (cuBLAS may split
  /// sums). May be captured in a graph, once a run of the same batch was not. Never synchronises.
  void run(int batch, StreamHandle stream);

  /// Microseconds of one run in graph replay: the median of several replays over all layers. Measured once for each
  /// batch, then remembered.
  [[nodiscard]] double time_us(int batch);

  /// Of the weights that a run reads.
  [[nodiscard]] std::int64_t weight_bytes() const noexcept;
  [[nodiscard]] const MlpShape& shape() const noexcept;
  [[nodiscard]] std::string cublas_version() const;

  // On the device, for tests.
  [[nodiscard]] const void* input() const noexcept;             // [max_batch, hidden]
  [[nodiscard]] const void* gate_up(int layer) const noexcept;  // [2 * intermediate, hidden]: gate, then up
  [[nodiscard]] const void* down(int layer) const noexcept;     // [hidden, intermediate]
  [[nodiscard]] const void* output() const noexcept;            // [batch, hidden] of the last run
  [[nodiscard]] float gate_up_scale() const noexcept;           // of the first product: keeps it at unit variance
  [[nodiscard]] float down_scale() const noexcept;              // of the second

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pkv::cuda_mlp
