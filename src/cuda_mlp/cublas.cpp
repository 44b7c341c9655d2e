#include "cublas.hpp"

#include "cuda_support/check.hpp"
#include "persistentkv/core/error.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#endif

namespace pkv::cuda_mlp {

namespace {

using cuda::check;

// Declared here, since NVIDIA's compiler comes without the library's headers too. They have not changed since
// cuBLAS 11.
using Status = int;
constexpr int kOpN = 0;
constexpr int kOpT = 1;
constexpr int kF16 = 2;
constexpr int kCompute32F = 68;
constexpr int kDefaultAlgorithm = -1;
using Create = Status (*)(void** handle);
using Destroy = Status (*)(void* handle);
using SetStream = Status (*)(void* handle, void* stream);
using SetWorkspace = Status (*)(void* handle, void* data, std::size_t bytes);
using GetProperty = Status (*)(int which, int* value);
using GemmEx = Status (*)(void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a,
                          int a_type, int lda, const void* b, int b_type, int ldb, const void* beta, void* c,
                          int c_type, int ldc, int compute, int algorithm);

#if __has_include(<cublas_v2.h>)
static_assert(kOpN == CUBLAS_OP_N && kOpT == CUBLAS_OP_T && kF16 == CUDA_R_16F && kCompute32F == CUBLAS_COMPUTE_32F &&
              kDefaultAlgorithm == CUBLAS_GEMM_DEFAULT && CUBLAS_STATUS_SUCCESS == 0);
#endif

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what cuBLAS advises for Hopper, and enough elsewhere

void require(Status status, const char* what) {
  if (status != 0) throw CudaError(fmt::format("{}: cuBLAS status {}", what, status));
}

std::vector<std::string> candidates(const std::string& path) {
  if (!path.empty()) return {path};
  // Reading the environment races only with who writes it, which nobody does here.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (const char* named = std::getenv(kCublasVariable); named != nullptr && *named != '\0') return {named};
  return {"libcublas.so.13", "libcublas.so.12", "libcublas.so", "/usr/local/cuda/lib64/libcublas.so"};
}

/// libcublasLt lies beside libcublas, which looks for it in the loader's path alone; one that is loaded it takes.
void load_sibling(const std::string& path) {
  const std::filesystem::path file(path);
  if (!file.has_parent_path()) return;
  std::string name = file.filename();
  if (const std::size_t at = name.find("cublas"); at != std::string::npos) name.replace(at, 6, "cublasLt");
  (void)dlopen((file.parent_path() / name).c_str(), RTLD_NOW | RTLD_GLOBAL);
}

}  // namespace

CublasLibrary::CublasLibrary(const std::string& path) {
  const std::vector<std::string> tried = candidates(path);
  std::string why;
  for (const std::string& file : tried) {
    load_sibling(file);
    library_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr) return;
    if (why.empty()) why = dlerror();  // NOLINT(concurrency-mt-unsafe): glibc's is one a thread
  }
  throw Unsupported(fmt::format(
      "cuBLAS was not found ({}); tried {}. It comes with a CUDA toolkit, or from PyPI as nvidia-cublas; set "
      "{} to its libcublas.so",
      why, fmt::join(tried, ", "), kCublasVariable));
}

CublasLibrary::~CublasLibrary() {
  // Stays loaded: cuBLAS leaves work to the end of the process that it does not survive being unloaded before.
}

void* CublasLibrary::symbol(const char* name) const {
  void* found = dlsym(library_, name);
  if (found == nullptr) throw Unsupported(fmt::format("this cuBLAS has no {}: it is too old", name));
  return found;
}

std::string CublasLibrary::version() const {
  const auto property = reinterpret_cast<GetProperty>(symbol("cublasGetProperty"));
  int parts[3] = {};
  for (int i = 0; i < 3; ++i) (void)property(i, &parts[i]);
  return fmt::format("{}.{}.{}", parts[0], parts[1], parts[2]);
}

Cublas::Cublas()
    : gemm_(library_.symbol("cublasGemmEx")),
      set_stream_(library_.symbol("cublasSetStream_v2")),
      set_workspace_(library_.symbol("cublasSetWorkspace_v2")) {
  require(reinterpret_cast<Create>(library_.symbol("cublasCreate_v2"))(&handle_), "cublasCreate");
  check(cudaMalloc(&workspace_, kWorkspaceBytes), "cudaMalloc");
}

Cublas::~Cublas() {
  (void)reinterpret_cast<Destroy>(library_.symbol("cublasDestroy_v2"))(handle_);
  (void)cudaFree(workspace_);
}

void Cublas::linear(const void* w, const void* x, void* y, int rows, int in, int out, float alpha,
                    StreamHandle stream) {
  require(reinterpret_cast<SetStream>(set_stream_)(handle_, stream), "cublasSetStream");
  // Each stream that is set takes the workspace away.
  require(reinterpret_cast<SetWorkspace>(set_workspace_)(handle_, workspace_, kWorkspaceBytes), "cublasSetWorkspace");
  const float beta = 0.0F;
  // cuBLAS thinks in columns: there, w is [in, out] to be transposed, x [in, rows], and y [out, rows].
  require(reinterpret_cast<GemmEx>(gemm_)(handle_, kOpT, kOpN, out, rows, in, &alpha, w, kF16, in, x, kF16, in, &beta,
                                          y, kF16, out, kCompute32F, kDefaultAlgorithm),
          "cublasGemmEx");
}

}  // namespace pkv::cuda_mlp
