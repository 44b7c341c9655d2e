#include "persistentkv/trace/writers.hpp"

#include "replacement_file.hpp"

#include <fmt/format.h>

#include <string_view>

namespace pkv {

namespace {

std::string_view arrival_column(const RequestSource& source) {
  return source.arrival_unit() == ArrivalUnit::kMicroseconds ? "arrival_us" : "arrival";
}

}  // namespace

TraceWriteReport write_trace_csv(RequestSource& source, const std::string& path) {
  detail::ReplacementFile file(path);
  file.write(fmt::format("prompt_len,decode_len,{}\n", arrival_column(source)));
  TraceWriteReport report;
  Request request;
  while (source.next(request)) {
    file.write(fmt::format("{},{},{}\n", request.prompt_tokens, request.decode_tokens, request.arrival));
    ++report.requests;
    if (!request.prefix_block_ids.empty()) ++report.dropped_prefixes;
  }
  file.commit();
  return report;
}

TraceWriteReport write_trace_json(RequestSource& source, const std::string& path) {
  detail::ReplacementFile file(path);
  const std::string_view arrival = arrival_column(source);
  TraceWriteReport report;
  Request request;
  file.write("[");
  while (source.next(request)) {
    file.write(fmt::format("{}\n  {{\"prompt_len\": {}, \"decode_len\": {}, \"{}\": {}", report.requests > 0 ? "," : "",
                           request.prompt_tokens, request.decode_tokens, arrival, request.arrival));
    if (!request.prefix_block_ids.empty())
      file.write(fmt::format(", \"prefix_block_ids\": [{}]", fmt::join(request.prefix_block_ids, ", ")));
    file.write("}");
    ++report.requests;
  }
  file.write("\n]\n");
  file.commit();
  return report;
}

}  // namespace pkv
