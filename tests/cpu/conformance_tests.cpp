#include "conformance/suite.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  // Three threads: more than one, and no divisor of anything.
  pkv::conformance::register_suite({"cpu", [] { return pkv::make_cpu_backend({.num_threads = 3, .simd_target = {}}); },
                                    std::make_shared<pkv::conformance::HostMemory>()});
  return RUN_ALL_TESTS();
}
