#pragma once

namespace pkv::testing_support {

/// Calls of operator new by this thread, so far.
[[nodiscard]] long allocations() noexcept;

}  // namespace pkv::testing_support
