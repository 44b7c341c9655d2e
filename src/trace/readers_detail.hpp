#pragma once

// The readers by family of syntax.

#include "byte_file.hpp"
#include "persistentkv/trace/readers.hpp"

#include <memory>

namespace pkv::detail {

[[nodiscard]] std::unique_ptr<RequestSource> open_plain_csv(ByteFile file);
[[nodiscard]] std::unique_ptr<RequestSource> open_azure(ByteFile file);
[[nodiscard]] std::unique_ptr<RequestSource> open_burstgpt(ByteFile file);
[[nodiscard]] std::unique_ptr<RequestSource> open_plain_json(ByteFile file);
[[nodiscard]] std::unique_ptr<RequestSource> open_mooncake(ByteFile file);

}  // namespace pkv::detail
