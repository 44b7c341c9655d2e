#pragma once

// JSON that remembers on which line each of its values stands, so that a complaint about one can say so.

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <string_view>

namespace pkv::detail {

class LocatedJson {
 public:
  /// Throws IoError, "source:line: ...", for text that is not JSON, gives a key twice in one object, or nests deeper
  /// than kMaxDepth.
  LocatedJson(std::string_view text, std::string source);

  static constexpr int kMaxDepth = 16;

  [[nodiscard]] const nlohmann::json& root() const noexcept { return root_; }

  /// Throws IoError, "source:line: message", for the value at `path` ("gates[1].min"; "" is the root) or, where there
  /// is none, for what would hold it.
  [[noreturn]] void fail(std::string_view path, const std::string& message) const;

 private:
  std::string source_;
  nlohmann::json root_;
  std::map<std::string, int, std::less<>> line_of_;
};

/// "path.key", or "key" at the root.
[[nodiscard]] std::string join_path(const std::string& path, std::string_view key);

}  // namespace pkv::detail
