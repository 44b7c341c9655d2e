// Files of every size around the limit, and what cannot be read.

#include "input/text_file.hpp"

#include "persistentkv/core/error.hpp"
#include "support/temporary_folder.hpp"
#include "support/thrown.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>

namespace pkv::input {
namespace {

using testing_support::thrown_by;

class TextFile : public testing_support::TemporaryFolder {
 protected:
  /// Bytes of every value, line ends and NULs among them.
  static std::string random_bytes(std::size_t size) {
    static std::mt19937 random(std::random_device{}());
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() & 0xff);
    return bytes;
  }

  [[nodiscard]] std::filesystem::path write(const std::string& bytes) const {
    return TemporaryFolder::write("file", bytes);
  }
};

TEST_F(TextFile, EveryByteOfFilesOfAnySize) {
  for (const std::size_t size : {0, 1, 4095, 65535, 65536, 65537, 131072, 200001}) {
    const std::string bytes = random_bytes(size);
    const std::filesystem::path path = write(bytes);
    EXPECT_TRUE(read_text(path, kAnySize, "a file") == bytes) << size;
    EXPECT_TRUE(read_text(path, size, "a file") == bytes) << size;
    EXPECT_TRUE(read_text(path, size + 1, "a file") == bytes) << size;
  }
}

TEST_F(TextFile, OneByteMoreThanTheLimitIsRefused) {
  for (const std::size_t size : {1, 65536, 65537, 200001}) {
    const std::filesystem::path path = write(random_bytes(size));
    EXPECT_EQ(thrown_by<IoError>([&] { (void)read_text(path, size - 1, "a suite"); }),
              path.string() + ": has more than " + std::to_string(size - 1) + " bytes, a suite has at most that");
  }
}

TEST_F(TextFile, WithoutAnEndStopsAtTheLimit) {
  EXPECT_EQ(thrown_by<IoError>([] { (void)read_text("/dev/zero", 100000, "a profile"); }),
            "/dev/zero: has more than 100000 bytes, a profile has at most that");
}

TEST_F(TextFile, Pipes) {
  const std::filesystem::path path = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const std::string bytes = random_bytes(150000);
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << bytes; });
  EXPECT_TRUE(read_text(path, kAnySize, "a file") == bytes);
  writer.join();
}

TEST_F(TextFile, WhatCannotBeReadIsNamed) {
  const auto refusal = [](const std::filesystem::path& path) {
    return thrown_by<IoError>([&] { (void)read_text(path, 10, "a profile"); });
  };
  EXPECT_EQ(refusal(folder_), folder_.string() + ": is a directory");
  EXPECT_EQ(refusal(folder_ / "absent"), (folder_ / "absent").string() + ": cannot be opened");
}

}  // namespace
}  // namespace pkv::input
