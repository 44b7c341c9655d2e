#pragma once

// Strided tensors: do the elements overlap, and does the last one stay addressable?

#include "checks.hpp"
#include "persistentkv/core/dtype.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace pkv::detail {

/// One dimension of a strided tensor.
struct Dim {
  std::string_view stride_name;
  std::int64_t extent = 0;  // >= 1
  std::int64_t stride = 0;  // elements
};

/// Throws InvalidArgument unless the tensor `name`, made of `dims` around contiguous vectors of `inner` elements, has
/// no two elements in one place and spans fewer than 2^62 elements. Reorders `dims`. Dimensions of extent 1 never
/// matter.
void require_distinct_elements(std::string_view name, std::span<Dim> dims, std::int64_t inner);

/// Throws InvalidArgument unless data is non-null and a multiple of the element's size.
void require_data(const Name& name, const void* data, DType dtype);

}  // namespace pkv::detail
