#pragma once

// The little of cuBLAS that an MLP needs, loaded at run time: its library is ten times as large as everything else
// here.

#include "persistentkv/engine/backend.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace pkv::cuda_mlp {

/// A file to load in place of the one that is found: the path of a libcublas.so.
inline constexpr const char* kCublasVariable = "PKV_CUBLAS";

/// libcublas, for as long as this lives.
class CublasLibrary {
 public:
  /// `path`, or the one that PKV_CUBLAS names, or that of the loader's path or the toolkit's usual folder. Throws
  /// Unsupported, saying what was tried and what to do.
  explicit CublasLibrary(const std::string& path = {});
  ~CublasLibrary();
  CublasLibrary(const CublasLibrary&) = delete;
  CublasLibrary& operator=(const CublasLibrary&) = delete;

  [[nodiscard]] void* symbol(const char* name) const;
  /// "13.1.0", say.
  [[nodiscard]] std::string version() const;

 private:
  void* library_ = nullptr;
};

/// A handle on the current device, with a workspace of its own so that its calls can be captured in graphs.
class Cublas {
 public:
  /// Throws Unsupported as CublasLibrary does, CudaError where cuBLAS does not start.
  Cublas();
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  /// y = alpha * x * transpose(w), FP16 with FP32 sums. x: [rows, in], w: [out, in], y: [rows, out], dense.
  void linear(const void* w, const void* x, void* y, int rows, int in, int out, float alpha, StreamHandle stream);

  [[nodiscard]] std::string version() const { return library_.version(); }

 private:
  CublasLibrary library_;
  void* gemm_;
  void* set_stream_;
  void* set_workspace_;
  void* handle_ = nullptr;
  void* workspace_ = nullptr;
};

}  // namespace pkv::cuda_mlp
