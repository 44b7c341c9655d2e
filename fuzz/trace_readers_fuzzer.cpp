// Any bytes, read as every format: a reader gives requests within their bounds or throws IoError, and nothing else.

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
  const int file = ::memfd_create("trace", 0);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  for (int format = 0; format <= static_cast<int>(pkv::TraceFormat::kMooncake); ++format)
    read_as(path, static_cast<pkv::TraceFormat>(format));
  ::close(file);
  return 0;
}
