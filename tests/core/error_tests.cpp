#include "persistentkv/core/error.hpp"

#include <gtest/gtest.h>

namespace pkv {
namespace {

TEST(Error, CodesAreThoseOfTheCAbi) {
  EXPECT_EQ(static_cast<int>(InvalidArgument("").code()), 1);
  EXPECT_EQ(static_cast<int>(Unsupported("").code()), 2);
  EXPECT_EQ(static_cast<int>(CudaError("").code()), 3);
  EXPECT_EQ(static_cast<int>(IoError("").code()), 4);
}

TEST(Error, IsOneFamily) {
  try {
    throw IoError("trace.csv:3: prompt is -1, must be >= 1");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_STREQ(error.what(), "trace.csv:3: prompt is -1, must be >= 1");
  }
}

}  // namespace
}  // namespace pkv
