#include "strides.hpp"

#include <algorithm>

namespace pkv::detail {

void require_distinct_elements(std::string_view name, std::span<Dim> dims, std::int64_t inner) {
  std::sort(dims.begin(), dims.end(), [](const Dim& a, const Dim& b) { return a.stride < b.stride; });
  std::int64_t covered = inner;  // elements from the first to one past the last of what is nested so far
  for (const Dim& dim : dims) {
    if (dim.extent <= 1) continue;
    if (dim.stride < covered) {
      throw InvalidArgument(fmt::format("{}.{} is {}, must be >= {}: elements would overlap", name, dim.stride_name,
                                        dim.stride, covered));
    }
    covered = checked_multiply_add(Name{name, dim.stride_name}, dim.extent - 1, dim.stride, covered);
  }
}

void require_data(const Name& name, const void* data, DType dtype) {
  require_not_null(name, data);
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const auto size = static_cast<std::uintptr_t>(size_bytes(dtype));
  if (address % size != 0)
    throw InvalidArgument(
        fmt::format("{} is {:#x}, must be a multiple of the element size, {}", name.text(), address, size));
}

}  // namespace pkv::detail
