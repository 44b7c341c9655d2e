// Any bytes, read as any format, which the first byte chooses: a reader gives requests within their bounds or throws
// IoError, and nothing else.

#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/readers.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void read_as(const std::string& path, pkv::TraceFormat format) {
  try {
    const auto source = pkv::open_trace(path, format);
    const auto requests = pkv::read_requests(*source);
    pkv::validate_requests(requests);
    for (std::size_t i = 1; i < requests.size(); ++i)
      if (requests[i].arrival < requests[i - 1].arrival) std::abort();
  } catch (const pkv::IoError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int kFormats = static_cast<int>(pkv::TraceFormat::kMooncake) + 1;
  if (size == 0) return 0;
  const int file = ::memfd_create("trace", 0);
  if (file < 0 || ::write(file, data + 1, size - 1) != static_cast<ssize_t>(size - 1)) std::abort();
  read_as("/proc/self/fd/" + std::to_string(file), static_cast<pkv::TraceFormat>(data[0] % kFormats));
  ::close(file);
  return 0;
}
