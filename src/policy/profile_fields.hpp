#pragma once

// The fields of a profile's objects, and what is said of those that are wrong.

#include "located_json.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pkv::detail {

/// The fields of one object. Every field must be asked for: what nobody knows, a profile may not have.
class Fields {
 public:
  Fields(const LocatedJson& document, const nlohmann::json& object, std::string path)
      : document_(document), object_(object), path_(std::move(path)) {
    if (!object_.is_object())
      document_.fail(path_, fmt::format("{} is {}, must be an object", name_of(path_), object_.type_name()));
  }

  [[nodiscard]] bool has(std::string_view key) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
    return object_.contains(key);
  }

  [[nodiscard]] const nlohmann::json& at(std::string_view key) {
    if (!has(key)) document_.fail(path_of(key), fmt::format("{} is missing", path_of(key)));
    return *object_.find(key);
  }

  [[nodiscard]] std::string text(std::string_view key) { return text_of(at(key), path_of(key)); }

  [[nodiscard]] double number(std::string_view key) {
    const nlohmann::json& value = at(key);
    if (!value.is_number()) wrong_type(value, path_of(key), "a number");
    return value.get<double>();
  }

  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) {
    return integer_of(at(key), path_of(key), low, high);
  }
  [[nodiscard]] int small_integer(std::string_view key) {
    return static_cast<int>(integer(key, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
  }
  [[nodiscard]] std::optional<std::int64_t> optional_integer(std::string_view key) {
    if (!has(key)) return std::nullopt;
    return integer(key, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  }

  [[nodiscard]] Fields object(std::string_view key) { return {document_, at(key), path_of(key)}; }

  /// Calls read(element, its path) for each element of an array.
  template <class Read>
  void each(std::string_view key, Read&& read) {
    const nlohmann::json& array = at(key);
    if (!array.is_array()) wrong_type(array, path_of(key), "an array");
    for (std::size_t i = 0; i < array.size(); ++i) read(array[i], fmt::format("{}[{}]", path_of(key), i));
  }

  [[nodiscard]] std::vector<int> integers(std::string_view key) {
    std::vector<int> values;
    each(key, [&](const nlohmann::json& value, const std::string& path) {
      values.push_back(
          static_cast<int>(integer_of(value, path, std::numeric_limits<int>::min(), std::numeric_limits<int>::max())));
    });
    return values;
  }

  /// A name that `parse` knows, or a list of them.
  template <class Parse>
  [[nodiscard]] auto named(std::string_view key, Parse parse) {
    return named_value(at(key), path_of(key), parse);
  }
  template <class Parse>
  [[nodiscard]] auto named_list(std::string_view key, Parse parse) {
    std::vector<decltype(parse(std::string_view()))> values;
    each(key, [&](const nlohmann::json& value, const std::string& path) {
      values.push_back(named_value(value, path, parse));
    });
    return values;
  }

  void refuse_unknown() const {
    for (const auto& item : object_.items()) {
      if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
      document_.fail(path_of(item.key()),
                     fmt::format("{} is unknown, must be one of {}", path_of(item.key()), fmt::join(known_, ", ")));
    }
  }

 private:
  static std::string name_of(const std::string& path) { return path.empty() ? "the profile" : path; }
  [[nodiscard]] std::string path_of(std::string_view key) const { return detail::join_path(path_, key); }

  [[noreturn]] void wrong_type(const nlohmann::json& value, const std::string& path, std::string_view wanted) const {
    document_.fail(path, fmt::format("{} is {}, must be {}", path, value.type_name(), wanted));
  }
  [[nodiscard]] std::string text_of(const nlohmann::json& value, const std::string& path) const {
    if (!value.is_string()) wrong_type(value, path, "a string");
    return value.get<std::string>();
  }
  [[nodiscard]] std::int64_t integer_of(const nlohmann::json& value, const std::string& path, std::int64_t low,
                                        std::int64_t high) const {
    if (!value.is_number_integer()) wrong_type(value, path, "an integer");
    const bool too_big = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high);
    if (too_big || value.get<std::int64_t>() < low)
      document_.fail(path, fmt::format("{} is {}, must be in [{}, {}]", path, value.dump(), low, high));
    return value.get<std::int64_t>();
  }
  template <class Parse>
  [[nodiscard]] auto named_value(const nlohmann::json& value, const std::string& path, Parse parse) const {
    const std::string text = text_of(value, path);
    try {
      return parse(std::string_view(text));
    } catch (const InvalidArgument& error) {
      document_.fail(path, fmt::format("{}: {}", path, error.what()));
    }
  }

  const LocatedJson& document_;
  const nlohmann::json& object_;
  std::string path_;
  std::vector<std::string> known_;
};

}  // namespace pkv::detail
