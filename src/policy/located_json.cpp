#include "located_json.hpp"

#include "input/text_cursor.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace pkv::detail {

namespace {

using input::TextCursor;
using nlohmann::json;

/// Counts lines up to places that only move forward.
class LineCounter {
 public:
  explicit LineCounter(std::string_view text) : counted_(text.data()) {}
  int line_before(const char* place) {
    if (place > counted_) lines_ += static_cast<int>(std::count(counted_, place, '\n'));
    counted_ = std::max(counted_, place);
    return lines_;
  }

 private:
  const char* counted_;
  int lines_ = 1;
};

/// A container that is being read.
struct Frame {
  std::string path;
  std::string key;
  bool is_array = false;
  std::size_t next_index = 0;
};

}  // namespace

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

LocatedJson::LocatedJson(std::string_view text, std::string source) : source_(std::move(source)) {
  const char* const begin = text.data();
  const char* const end_of_text = begin + text.size();
  const char* read = begin;
  LineCounter lines(text);
  std::vector<Frame> frames;

  const auto place_value = [&] {
    std::string path;
    if (!frames.empty()) {
      Frame& frame = frames.back();
      path = frame.is_array ? fmt::format("{}[{}]", frame.path, frame.next_index++) : join_path(frame.path, frame.key);
    }
    const int line = lines.line_before(input::end_of_value(begin, read));
    if (!line_of_.emplace(path, line).second)
      throw IoError(fmt::format("{}:{}: {} is given twice, must be given once", source_, line, path));
    return path;
  };
  const auto on_event = [&](int, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::key:
        frames.back().key = parsed.get<std::string>();
        break;
      case json::parse_event_t::value:
        place_value();
        break;
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start: {
        const bool is_array = event == json::parse_event_t::array_start;
        frames.push_back({place_value(), {}, is_array, 0});
        if (frames.size() > kMaxDepth) {
          throw IoError(
              fmt::format("{}:{}: nested deeper than {} levels", source_, lines.line_before(read), kMaxDepth));
        }
        break;
      }
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        frames.pop_back();
        break;
    }
    return true;
  };

  try {
    root_ = json::parse(TextCursor(begin, &read), TextCursor(end_of_text, &read), on_event);
  } catch (const json::exception& error) {
    throw IoError(fmt::format("{}:{}: not valid JSON: {}", source_, lines.line_before(read), error.what()));
  }
}

void LocatedJson::fail(std::string_view path, const std::string& message) const {
  auto at = line_of_.find(path);
  while (at == line_of_.end() && !path.empty()) {
    const std::size_t cut = path.find_last_of(".[");
    path = path.substr(0, cut == std::string_view::npos ? 0 : cut);
    at = line_of_.find(path);
  }
  throw IoError(fmt::format("{}:{}: {}", source_, at == line_of_.end() ? 1 : at->second, message));
}

}  // namespace pkv::detail
