#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace pkv::cli {

Progress::Progress(std::string label, std::int64_t total)
    : label_(std::move(label)), total_(std::max<std::int64_t>(total, 1)), enabled_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::update(std::int64_t done) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  if (!enabled_ || seconds < 1.0) return;
  constexpr std::int64_t kWidth = 32;
  const std::int64_t filled = std::min(done, total_) * kWidth / total_;
  const double left = seconds / static_cast<double>(std::max<std::int64_t>(done, 1)) *
                      static_cast<double>(std::max<std::int64_t>(total_ - done, 0));
  fmt::print(stderr, "\r{} [{:#<{}}{:.<{}}] {}/{}, about {:.0f} s left\x1b[K", label_, "", filled, "", kWidth - filled,
             done, total_, left);
  shown_ = true;
}

}  // namespace pkv::cli
