#include "persistentkv/trace/summary.hpp"

#include <algorithm>
#include <cstddef>
#include <unordered_set>
#include <vector>

namespace pkv {

namespace {

/// Reorders `tokens`.
TokenStatistics statistics(std::vector<std::int32_t>& tokens) {
  if (tokens.empty()) return {};
  const auto nearest_rank = [&](std::size_t percent) {
    const auto rank = static_cast<std::ptrdiff_t>((tokens.size() * percent + 99) / 100);
    const auto nth = tokens.begin() + rank - 1;
    std::nth_element(tokens.begin(), nth, tokens.end());
    return std::int64_t{*nth};
  };
  TokenStatistics result;
  const auto [min, max] = std::minmax_element(tokens.begin(), tokens.end());
  result.min = *min;
  result.max = *max;
  std::int64_t sum = 0;
  for (const std::int32_t value : tokens) sum += value;
  result.mean = static_cast<double>(sum) / static_cast<double>(tokens.size());
  result.p50 = nearest_rank(50);
  result.p95 = nearest_rank(95);
  return result;
}

/// Tokens of full prefix blocks that some request before had too.
class SharedPrefix {
 public:
  void add(const Request& request) {
    const auto ids = static_cast<std::int64_t>(request.prefix_block_ids.size());
    const std::int64_t full = std::min(request.prompt_tokens / kPrefixBlockTokens, ids);
    for (std::int64_t i = 0; i < full; ++i)
      if (!seen_.insert(request.prefix_block_ids[static_cast<std::size_t>(i)]).second) tokens_ += kPrefixBlockTokens;
  }
  [[nodiscard]] std::int64_t tokens() const noexcept { return tokens_; }

 private:
  std::unordered_set<std::int64_t> seen_;
  std::int64_t tokens_ = 0;
};

}  // namespace

TraceSummary summarize_trace(RequestSource& source) {
  std::vector<std::int32_t> prompts;
  std::vector<std::int32_t> decodes;
  SharedPrefix shared;
  TraceSummary summary;
  std::int64_t first_arrival = 0;
  std::int64_t prompt_tokens = 0;
  Request request;
  while (source.next(request)) {
    if (prompts.empty()) first_arrival = request.arrival;
    summary.duration = request.arrival - first_arrival;
    prompts.push_back(static_cast<std::int32_t>(request.prompt_tokens));  // kMaxRowTokens fits
    decodes.push_back(static_cast<std::int32_t>(request.decode_tokens));
    prompt_tokens += request.prompt_tokens;
    shared.add(request);
  }
  summary.requests = static_cast<std::int64_t>(prompts.size());
  summary.skipped_rows = source.skipped_rows();
  summary.arrival_unit = source.arrival_unit();
  summary.prompt_tokens = statistics(prompts);
  summary.decode_tokens = statistics(decodes);
  if (summary.duration > 0)
    summary.arrival_rate = static_cast<double>(summary.requests - 1) / static_cast<double>(summary.duration);
  if (prompt_tokens > 0)
    summary.shared_prefix_fraction = static_cast<double>(shared.tokens()) / static_cast<double>(prompt_tokens);
  return summary;
}

}  // namespace pkv
