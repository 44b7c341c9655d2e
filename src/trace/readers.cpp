#include "persistentkv/trace/readers.hpp"

#include "byte_file.hpp"
#include "persistentkv/core/error.hpp"
#include "readers_detail.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace pkv {

namespace {

using detail::ByteFile;

constexpr std::array<std::string_view, 6> kNames = {"auto", "csv", "json", "azure", "burstgpt", "mooncake"};
constexpr std::string_view kBlanks = " \t\r\n";

/// Whether `header`, a line of comma-separated names, quoted or not, has the name `column`.
bool has_column(std::string_view header, std::string_view column) {
  while (true) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view name = header.substr(0, comma);
    const std::size_t begin = name.find_first_not_of(" \t\r\"");
    if (begin != std::string_view::npos) {
      name = name.substr(begin, name.find_last_not_of(" \t\r\"") + 1 - begin);
      if (name == column) return true;
    }
    if (comma == header.size()) return false;
    header.remove_prefix(comma + 1);
  }
}

TraceFormat detect(const ByteFile& file) {
  const std::string_view head = file.head();
  const std::size_t begin = head.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) detail::fail_at(file.path(), 1, "is empty, must hold a trace");
  if (head[begin] == '[') return TraceFormat::kPlainJson;
  if (head[begin] == '{') return TraceFormat::kMooncake;

  const std::string_view header = head.substr(begin, head.find('\n', begin) - begin);
  if (has_column(header, "ContextTokens") || has_column(header, "GeneratedTokens")) return TraceFormat::kAzure;
  if (has_column(header, "Request tokens") || has_column(header, "Response tokens")) return TraceFormat::kBurstGpt;
  for (const char* const column : {"prompt_len", "prompt", "decode_len", "decode"})
    if (has_column(header, column)) return TraceFormat::kPlainCsv;
  const auto line = std::count(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(begin), '\n') + 1;
  detail::fail_at(file.path(), line,
                  fmt::format("starts with {}, must start with a header that has prompt_len and decode_len (csv), "
                              "ContextTokens (azure) or 'Request tokens' (burstgpt), or with JSON: '[' (json) or '{{' "
                              "(mooncake)",
                              detail::shown(header)));
}

}  // namespace

std::string_view to_string(TraceFormat format) noexcept { return kNames[static_cast<std::size_t>(format)]; }

TraceFormat parse_trace_format(std::string_view text) {
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end())
    throw InvalidArgument(fmt::format("trace format is '{}', must be one of {}", text, fmt::join(kNames, ", ")));
  return static_cast<TraceFormat>(found - kNames.begin());
}

std::unique_ptr<RequestSource> open_trace(const std::string& path, TraceFormat format) {
  ByteFile file(path);
  if (format == TraceFormat::kAuto) format = detect(file);
  switch (format) {
    case TraceFormat::kPlainCsv:
      return detail::open_plain_csv(std::move(file));
    case TraceFormat::kPlainJson:
      return detail::open_plain_json(std::move(file));
    case TraceFormat::kAzure:
      return detail::open_azure(std::move(file));
    case TraceFormat::kBurstGpt:
      return detail::open_burstgpt(std::move(file));
    case TraceFormat::kMooncake:
      return detail::open_mooncake(std::move(file));
    case TraceFormat::kAuto:
      break;
  }
  throw InvalidArgument(fmt::format("format is {}, must be a TraceFormat", static_cast<int>(format)));
}

std::vector<Request> read_requests(RequestSource& source, std::int64_t limit) {
  std::vector<Request> requests;
  Request request;
  while (static_cast<std::int64_t>(requests.size()) < limit && source.next(request)) requests.push_back(request);
  return requests;
}

}  // namespace pkv
