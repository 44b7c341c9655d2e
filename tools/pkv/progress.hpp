#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pkv::cli {

/// A progress bar on stderr, where that is a terminal; it comes after a second, and is gone when the work is.
class Progress {
 public:
  Progress(std::string label, std::int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t done);

 private:
  std::string label_;
  std::int64_t total_;
  bool enabled_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace pkv::cli
