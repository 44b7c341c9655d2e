#include "replacement_file.hpp"

#include "persistentkv/core/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace pkv::detail {

ReplacementFile::ReplacementFile(const std::string& path) : path_(path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status)) {
    if (!std::filesystem::is_regular_file(status)) throw IoError(fmt::format("{}: is not a regular file", path));
    path_ = std::filesystem::canonical(path, error).string();
  }
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts && file_ == nullptr; ++attempt) {
    temporary_ = fmt::format("{}.{}-{}.tmp", path_, ::getpid(), attempt);
    // O_EXCL: never through somebody else's file or link. The umask decides about the mode, as for any new file.
    const int descriptor = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0)
      file_ = ::fdopen(descriptor, "wb");
    else if (errno != EEXIST)
      break;
  }
  if (file_ == nullptr) fail(errno);
}

ReplacementFile::~ReplacementFile() {
  if (file_ != nullptr) std::fclose(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void ReplacementFile::fail(int error) const {
  throw IoError(fmt::format("{}: cannot be written: {}", path_, std::generic_category().message(error)));
}

void ReplacementFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail(errno);
}

void ReplacementFile::commit() {
  std::FILE* const file = std::exchange(file_, nullptr);
  if (std::fclose(file) != 0) fail(errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno);
  temporary_.clear();
}

}  // namespace pkv::detail
