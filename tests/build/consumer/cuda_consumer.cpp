// Links: whether it finds a GPU is not asked.

#include "persistentkv/cuda/cuda_backend.hpp"

#include <cstdio>

int main() {
  std::printf("%d CUDA devices\n", pkv::cuda_device_count());
  return pkv::cuda_device_count() > 0 ? pkv::make_cuda_backend()->device().num_sms == 0 : 0;
}
