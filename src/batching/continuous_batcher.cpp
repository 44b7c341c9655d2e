#include "persistentkv/batching/continuous_batcher.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv {

namespace {

SequenceAllocatorOptions allocator_options(const BatchingOptions& options) {
  return {.num_pages = options.num_pages,
          .page_size = options.page_size,
          .shuffle_seed = options.shuffle_seed,
          .prefix_block_tokens = options.share_prefixes ? kPrefixBlockTokens : 0};
}

void require_valid(const Request& request, std::int64_t id, std::int64_t earliest_arrival) {
  if (request.prompt_tokens < 1)
    throw InvalidArgument(fmt::format("request {}: prompt_tokens is {}, must be >= 1", id, request.prompt_tokens));
  if (request.decode_tokens < 1)
    throw InvalidArgument(fmt::format("request {}: decode_tokens is {}, must be >= 1", id, request.decode_tokens));
  if (request.arrival < earliest_arrival || request.arrival > kMaxArrival) {
    throw InvalidArgument(fmt::format("request {}: arrival is {}, must be in [{}, {}]: requests come in order", id,
                                      request.arrival, earliest_arrival, kMaxArrival));
  }
}

}  // namespace

Step StepView::step(const AttentionShape& shape, DType dtype) const noexcept {
  Step step;
  step.shape = shape;
  step.dtype = dtype;
  step.page_size = page_size;
  step.num_pages = num_pages;
  step.batch = static_cast<std::int64_t>(rows.size());
  step.lengths.values = IndexView::host(lengths.data(), step.batch);
  step.table = table;
  return step;
}

ContinuousBatcher::ContinuousBatcher(RequestSource& source, const BatchingOptions& options)
    : source_(source),
      max_active_(options.max_active),
      clock_(source.arrival_unit()),
      allocator_(allocator_options(options)) {
  if (max_active_ < 1 || max_active_ > kMaxBatch)
    throw InvalidArgument(fmt::format("max_active is {}, must be in [1, {}]", max_active_, kMaxBatch));
}

bool ContinuousBatcher::next_step(StepView& step) {
  if (in_step_) throw InvalidArgument("next_step is called before finish_step, must be called after it");
  while (active() < max_active_ && pull_head()) {
    if (reject_head_if_too_large()) continue;
    if (active_.empty()) clock_.jump_to(head_.arrival);
    if (!clock_.reached(head_.arrival) || !admit_head()) break;
  }
  if (active_.empty()) return false;

  fill_rows();
  step.rows = rows_;
  step.lengths = lengths_;
  step.capacity_tokens = capacity_tokens_;
  step.table = allocator_.dense(slots_);
  step.start_us = clock_.now_us();
  step.page_size = allocator_.page_size();
  step.num_pages = pool().num_pages();
  in_step_ = true;
  return true;
}

std::span<const FinishedRequest> ContinuousBatcher::finish_step(double step_us) {
  if (!in_step_) throw InvalidArgument("finish_step is called without a step, must be called after next_step");
  clock_.advance(step_us);
  in_step_ = false;
  ++counters_.steps;
  for (std::size_t row = 0; row < rows_.size(); ++row) ledger_.decode(rows_[row].slot, lengths_[row]);
  counters_.decoded_tokens = ledger_.decoded_tokens();

  finished_.clear();
  std::size_t kept = 0;
  for (Active& request : active_) {
    if (++request.decoded_tokens == 1) request.record.first_token_us = clock_.now_us();
    if (request.decoded_tokens < request.record.decode_tokens)
      active_[kept++] = request;
    else
      finish(request);
  }
  active_.resize(kept);
  return finished_;
}

void ContinuousBatcher::finish(Active& request) {
  request.record.finished_us = clock_.now_us();
  finished_.push_back(request.record);
  ledger_.finish(request.slot);
  allocator_.release(request.slot);
  ++counters_.finished;
}

void ContinuousBatcher::check_conservation() const {
  ledger_.check();
  if (counters_.admitted != counters_.finished + active()) {
    throw InvalidArgument(fmt::format("requests are not conserved: admitted {}, must be {} finished and {} active",
                                      counters_.admitted, counters_.finished, active()));
  }
  if (allocator_.live_sequences() != active()) {
    throw InvalidArgument(fmt::format("slots are not conserved: {} hold pages, must be the {} active",
                                      allocator_.live_sequences(), active()));
  }
  if (!active_.empty()) return;
  if (pool().used_pages() != 0 || pool().reserved_pages() != 0 || allocator_.live_prefix_blocks() != 0) {
    throw InvalidArgument(
        fmt::format("pages are not conserved: {} are used, {} reserved and {} prefix blocks live with nothing active, "
                    "must be 0",
                    pool().used_pages(), pool().reserved_pages(), allocator_.live_prefix_blocks()));
  }
}

/// False where the source has ended.
bool ContinuousBatcher::pull_head() {
  if (has_head_) return true;
  if (!source_ended_) {
    source_ended_ = !source_.next(head_);
    if (!source_ended_) {
      require_valid(head_, ++head_id_, last_arrival_);
      last_arrival_ = head_.arrival;
      has_head_ = true;
    }
  }
  clock_.forget_before(source_ended_ ? kMaxArrival : head_.arrival);
  return has_head_;
}

bool ContinuousBatcher::reject_head_if_too_large() {
  // Each is bounded before they are added: a trace may say 2^63 - 1.
  const bool too_long = head_.prompt_tokens > kMaxRowTokens || head_.decode_tokens > kMaxRowTokens ||
                        head_.prompt_tokens + head_.decode_tokens > kMaxRowTokens;
  const std::int64_t pages =
      too_long ? 0 : pages_for_tokens(head_.prompt_tokens + head_.decode_tokens, allocator_.page_size());
  if (!too_long && pages <= pool().num_pages()) return false;

  has_head_ = false;
  ++counters_.rejected;
  if (counters_.rejected > kKeptRejections) return true;
  std::string bound = too_long ? fmt::format("a sequence has at most {} tokens", kMaxRowTokens)
                               : fmt::format("they take {} pages of {}, the KV budget has {}", pages,
                                             allocator_.page_size(), pool().num_pages());
  rejections_.push_back({head_id_, fmt::format("prompt of {} and decode of {} tokens: {}", head_.prompt_tokens,
                                               head_.decode_tokens, bound)});
  return true;
}

/// False where it must wait for pages.
bool ContinuousBatcher::admit_head() {
  const auto admission =
      allocator_.try_admit(head_.prompt_tokens, head_.prompt_tokens + head_.decode_tokens, head_.prefix_block_ids);
  if (!admission) return false;
  has_head_ = false;

  Active request{.slot = admission->slot, .prompt_tokens = head_.prompt_tokens, .decoded_tokens = 0, .record = {}};
  request.record.request_id = head_id_;
  request.record.decode_tokens = head_.decode_tokens;
  request.record.arrival_us = clock_.reached_at_us(head_.arrival);
  request.record.admitted_us = clock_.now_us();
  active_.push_back(request);
  ledger_.admit(admission->slot, head_id_, head_.prompt_tokens, head_.decode_tokens);

  const double wait_us = request.record.admitted_us - request.record.arrival_us;
  counters_.queue_wait_us_sum += wait_us;
  counters_.queue_wait_us_max = std::max(counters_.queue_wait_us_max, wait_us);
  counters_.shared_tokens += admission->shared_tokens;
  counters_.peak_active = std::max(counters_.peak_active, active());
  ++counters_.admitted;
  return true;
}

void ContinuousBatcher::fill_rows() {
  rows_.clear();
  slots_.clear();
  lengths_.clear();
  capacity_tokens_.clear();
  for (const Active& request : active_) {
    const std::int64_t length = request.prompt_tokens + request.decoded_tokens;
    allocator_.grow(request.slot, length);
    const auto pages = static_cast<std::int64_t>(allocator_.pages(request.slot).size());
    rows_.push_back({request.record.request_id, request.slot, request.decoded_tokens == 0});
    slots_.push_back(request.slot);
    lengths_.push_back(static_cast<std::int32_t>(length));
    capacity_tokens_.push_back(static_cast<std::int32_t>(pages * allocator_.page_size()));
  }
  counters_.peak_pages = pool().peak_used_pages();
}

}  // namespace pkv
