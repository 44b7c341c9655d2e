#pragma once

/// Continuous batching: requests in, decode steps out, over a paged KV cache of a fixed size.

#include "persistentkv/batching/decode_ledger.hpp"
#include "persistentkv/batching/virtual_clock.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/kvcache/sequence_allocator.hpp"
#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pkv {

struct BatchingOptions {
  std::int64_t max_active = 8;                               // rows of a step at most, in [1, kMaxBatch]
  std::int64_t num_pages = 0;                                // the KV budget, in [1, kMaxPoolPages]
  int page_size = 16;                                        // tokens, in [1, 2^20]
  bool share_prefixes = false;                               // needs a page_size that divides kPrefixBlockTokens
  std::optional<std::uint64_t> shuffle_seed = std::nullopt;  // of the pool's first free list, see PagePool
};

/// One row of a step.
struct ActiveRow {
  std::int64_t request_id = 0;  ///< requests of the source, counted from 0, rejected ones included
  std::int32_t slot = 0;        ///< the request's own while it is active; used again by later ones
  bool is_first = false;        ///< the request's first step: its prompt is new in the cache
};

/// What is to be decoded now. Borrowed from the batcher until its next call. Rows stand in order of admission.
struct StepView {
  std::span<const ActiveRow> rows;                // [batch], never empty
  std::span<const std::int32_t> lengths;          // [batch] tokens to attend: prompt_tokens + k at a request's step k
  std::span<const std::int32_t> capacity_tokens;  // [batch] tokens that the row's pages hold
  PageTableView table;                            // [batch, max_pages] int32, -1 past a row's last page
  double start_us = 0.0;                          ///< on the virtual clock
  int page_size = 0;                              ///< tokens
  std::int64_t num_pages = 0;                     ///< of the pool

  /// The same as a Step, which borrows what this borrows.
  [[nodiscard]] Step step(const AttentionShape& shape, DType dtype) const noexcept;
};

/// A request's way through the batcher, in microseconds of the virtual clock.
struct FinishedRequest {
  std::int64_t request_id = 0;
  std::int64_t decode_tokens = 0;
  double arrival_us = 0.0;
  double admitted_us = 0.0;     ///< its first step began
  double first_token_us = 0.0;  ///< its first step ended
  double finished_us = 0.0;
};

struct BatchingCounters {
  std::int64_t steps = 0;
  std::int64_t admitted = 0;
  std::int64_t rejected = 0;
  std::int64_t finished = 0;
  std::int64_t decoded_tokens = 0;
  std::int64_t shared_tokens = 0;  ///< prompt tokens found in the cache at admission
  std::int64_t peak_active = 0;
  std::int64_t peak_pages = 0;     ///< in use at once
  double queue_wait_us_sum = 0.0;  ///< from arrival to admission, over the admitted
  double queue_wait_us_max = 0.0;
};

/// Why a request was turned away, for a log.
struct Rejection {
  std::int64_t request_id = 0;
  std::string reason;
};

/// First come, first served: the head of the queue is admitted once a row is free and all its pages,
/// ceil((prompt + decode) / page_size) less those of a resident prefix, can be reserved; nobody overtakes it. A request
/// that could not have the cache to itself, or is longer than kMaxRowTokens, is rejected. Memory is that of the active
/// requests, the head of the queue and the pool, whatever the trace's length, plus the clock's (see VirtualClock).
/// Deterministic. Not thread-safe.
///
///     while (batcher.next_step(step)) { ...decode step...; batcher.finish_step(step_us); }
class ContinuousBatcher {
 public:
  /// Rejections of which the reason is kept: the first ones.
  static constexpr std::int64_t kKeptRejections = 64;

  /// Keeps a reference to `source`. Throws InvalidArgument, naming the option and its bound.
  ContinuousBatcher(RequestSource& source, const BatchingOptions& options);

  /// Admits what has arrived and fits, jumping over time in which nothing is active, and says what to decode. False
  /// when every request has been served. Throws InvalidArgument where the last step is not finished, or for a request
  /// with tokens below 1 or an arrival that is negative, before the last one's or past kMaxArrival; and what the source
  /// throws.
  [[nodiscard]] bool next_step(StepView& step);

  /// The step took `step_us`: the clock advances, each row has one more token, and requests that have all of theirs
  /// leave. Returns them, in order of admission, until the next call. Throws InvalidArgument where there is no step to
  /// finish or step_us is negative or not finite.
  std::span<const FinishedRequest> finish_step(double step_us);

  [[nodiscard]] const BatchingCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::span<const Rejection> rejections() const noexcept { return rejections_; }
  [[nodiscard]] std::int64_t active() const noexcept { return static_cast<std::int64_t>(active_.size()); }
  [[nodiscard]] double now_us() const noexcept { return clock_.now_us(); }
  [[nodiscard]] const PagePool& pool() const noexcept { return allocator_.pool(); }

  /// Throws InvalidArgument unless every token of every finished request was decoded exactly once, every admitted
  /// request is finished or active, and, with nothing active, every page is free again. O(active).
  void check_conservation() const;

 private:
  struct Active {
    std::int32_t slot = 0;
    std::int64_t prompt_tokens = 0;
    std::int64_t decoded_tokens = 0;
    FinishedRequest record;
  };

  [[nodiscard]] bool pull_head();
  [[nodiscard]] bool reject_head_if_too_large();
  [[nodiscard]] bool admit_head();
  void finish(Active& request);
  void fill_rows();

  RequestSource& source_;
  std::int64_t max_active_;
  VirtualClock clock_;
  SequenceAllocator allocator_;
  DecodeLedger ledger_;

  Request head_;  // of the queue, where has_head_
  std::int64_t head_id_ = -1;
  std::int64_t last_arrival_ = 0;
  bool has_head_ = false;
  bool source_ended_ = false;
  bool in_step_ = false;

  std::vector<Active> active_;   // in order of admission
  std::vector<ActiveRow> rows_;  // [active], as are the next three
  std::vector<std::int32_t> slots_;
  std::vector<std::int32_t> lengths_;
  std::vector<std::int32_t> capacity_tokens_;
  std::vector<FinishedRequest> finished_;
  std::vector<Rejection> rejections_;
  BatchingCounters counters_;
};

}  // namespace pkv
