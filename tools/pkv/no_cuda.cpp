#include "bench.hpp"
#include "persistentkv/core/error.hpp"

namespace pkv::cli {

void bench_cuda(const BenchOptions& /*options*/) {
  throw Unsupported("this build has no CUDA: run scripts/setup-cuda, or install a toolkit, and build again");
}

}  // namespace pkv::cli
