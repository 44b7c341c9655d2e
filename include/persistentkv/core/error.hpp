#pragma once

/// The one exception family of the library. Every message names the argument, its value and the bound it broke.

#include <stdexcept>
#include <string>

namespace pkv {

/// Stable numeric codes, shared with the C ABI. Never renumber.
enum class ErrorCode : int {
  kInvalidArgument = 1,  ///< a value the caller gave is out of its bounds or contradicts another
  kUnsupported = 2,      ///< a valid request that this backend declares it cannot serve
  kCuda = 3,             ///< the CUDA driver or runtime reported an error
  kIo = 4,               ///< a file could not be read, parsed or written
};

/// Base of everything the library throws on purpose.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

class InvalidArgument : public Error {
 public:
  explicit InvalidArgument(const std::string& message) : Error(ErrorCode::kInvalidArgument, message) {}
};

class Unsupported : public Error {
 public:
  explicit Unsupported(const std::string& message) : Error(ErrorCode::kUnsupported, message) {}
};

class CudaError : public Error {
 public:
  explicit CudaError(const std::string& message) : Error(ErrorCode::kCuda, message) {}
};

/// For text files the message starts with "file:line: ".
class IoError : public Error {
 public:
  explicit IoError(const std::string& message) : Error(ErrorCode::kIo, message) {}
};

}  // namespace pkv
