#include "persistentkv/measure/huge_buffer.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <new>
#include <utility>

namespace pkv {

namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

std::size_t mapped_bytes(std::int64_t size_bytes) {
  return (static_cast<std::size_t>(size_bytes) + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

}  // namespace

HugeBuffer::HugeBuffer(std::int64_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes < 0) throw InvalidArgument(fmt::format("size_bytes is {}, must be >= 0", size_bytes));
  if (size_bytes == 0) return;
  void* memory = mmap(nullptr, mapped_bytes(size_bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(memory);
#ifdef MADV_HUGEPAGE
  // A wish, not a need.
  static_cast<void>(madvise(memory, mapped_bytes(size_bytes), MADV_HUGEPAGE));
#endif
}

HugeBuffer::HugeBuffer(HugeBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

HugeBuffer& HugeBuffer::operator=(HugeBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

HugeBuffer::~HugeBuffer() {
  if (data_ != nullptr) munmap(data_, mapped_bytes(size_bytes_));
}

}  // namespace pkv
