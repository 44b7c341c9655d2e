// Whole runs against a scheduler that recomputes everything from scratch, over a cache that knows what each token is.

#include "persistentkv/batching/continuous_batcher.hpp"
#include "vector_source.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace pkv {
namespace {

using testing::VectorSource;
using Chain = std::vector<std::int64_t>;

/// The full blocks of a prompt, which is what two requests may share.
Chain chain_of(const Request& request) {
  const auto full = static_cast<std::size_t>(request.prompt_tokens / kPrefixBlockTokens);
  Chain chain = request.prefix_block_ids;
  chain.resize(std::min(chain.size(), full));
  return chain;
}

std::vector<Request> random_requests(std::mt19937& random, ArrivalUnit unit) {
  std::vector<Request> requests(60);
  std::int64_t arrival = 0;
  for (Request& request : requests) {
    request.prompt_tokens = random() % 4 == 0 ? 512 * (1 + random() % 4) : 1 + random() % 2300;
    request.decode_tokens = 1 + random() % 30;
    arrival += random() % 5 == 0 ? random() % (unit == ArrivalUnit::kSteps ? 20 : 2000) : 0;
    request.arrival = arrival;
    request.prefix_block_ids.resize(random() % 6);
    for (auto& id : request.prefix_block_ids) id = static_cast<std::int64_t>(random() % 2);
  }
  return requests;
}

class NaiveScheduler {
 public:
  NaiveScheduler(std::vector<Request> requests, const BatchingOptions& options, ArrivalUnit unit)
      : requests_(std::move(requests)), options_(options), unit_(unit) {}

  struct Row {
    std::size_t id;
    std::int64_t decoded;
    FinishedRequest record;
  };
  std::vector<Row> active;
  std::int64_t rejected = 0;

  /// Pages that these requests may ever need at once, each shared block counted once.
  std::int64_t pages(const std::vector<Row>& rows) const {
    const std::int64_t block_pages = options_.share_prefixes ? kPrefixBlockTokens / options_.page_size : 0;
    std::set<Chain> blocks;
    std::int64_t total = 0;
    for (const Row& row : rows) {
      const Request& request = requests_[row.id];
      total += (request.prompt_tokens + request.decode_tokens + options_.page_size - 1) / options_.page_size;
      if (!options_.share_prefixes) continue;
      for (Chain chain = chain_of(request); !chain.empty(); chain.pop_back()) {
        total -= block_pages;
        blocks.insert(chain);
      }
    }
    return total + block_pages * static_cast<std::int64_t>(blocks.size());
  }

  bool next() {
    for (; head_ < requests_.size() && active.size() < static_cast<std::size_t>(options_.max_active); ++head_) {
      if (pages({{head_, 0, {}}}) > options_.num_pages) {
        ++rejected;
        continue;
      }
      const std::int64_t arrival = requests_[head_].arrival;
      if (active.empty()) jump(arrival);
      if (!arrived(arrival)) break;
      active.push_back({head_, 0, {}});
      if (pages(active) > options_.num_pages) {
        active.pop_back();
        break;
      }
      FinishedRequest& record = active.back().record;
      record.request_id = static_cast<std::int64_t>(head_);
      record.decode_tokens = requests_[head_].decode_tokens;
      record.arrival_us = unit_ == ArrivalUnit::kSteps ? began_us_.at(arrival) : static_cast<double>(arrival);
      record.admitted_us = now_us_;
    }
    return !active.empty();
  }

  std::vector<FinishedRequest> finish(double step_us) {
    now_us_ += step_us;
    began_us_[++step_] = now_us_;
    std::vector<FinishedRequest> finished;
    std::vector<Row> kept;
    for (Row row : active) {
      if (row.decoded++ == 0) row.record.first_token_us = now_us_;
      row.record.finished_us = now_us_;
      if (row.decoded == row.record.decode_tokens)
        finished.push_back(row.record);
      else
        kept.push_back(row);
    }
    active = kept;
    return finished;
  }

 private:
  bool arrived(std::int64_t arrival) const {
    return unit_ == ArrivalUnit::kSteps ? arrival <= step_ : static_cast<double>(arrival) <= now_us_;
  }
  void jump(std::int64_t arrival) {
    if (arrived(arrival)) return;
    if (unit_ == ArrivalUnit::kMicroseconds) {
      now_us_ = static_cast<double>(arrival);
    } else {
      while (step_ < arrival) began_us_[++step_] = now_us_;
    }
  }

  std::vector<Request> requests_;
  BatchingOptions options_;
  ArrivalUnit unit_;
  std::size_t head_ = 0;
  std::int64_t step_ = 0;
  double now_us_ = 0.0;
  std::map<std::int64_t, double> began_us_{{0, 0.0}};
};

/// Which token each token slot of the cache holds: a lost, stolen or overwritten page is one that holds another's.
class CacheContents {
 public:
  CacheContents(const std::vector<Request>& requests, const BatchingOptions& options)
      : requests_(requests),
        options_(options),
        slots_(static_cast<std::size_t>(options.num_pages * options.page_size), -1) {}

  void write(const StepView& step) {
    for (std::size_t r = 0; r < step.rows.size(); ++r) {
      const std::int64_t length = step.lengths[r];
      for (std::int64_t t = step.rows[r].is_first ? 0 : length - 1; t < length; ++t)
        slots_[slot(step, r, t)] = token(step.rows[r].request_id, t);
    }
  }

  void verify(const StepView& step) {
    for (std::size_t r = 0; r < step.rows.size(); ++r) {
      const std::int64_t length = step.lengths[r];
      for (std::int64_t t = 0; t < length; ++t) {
        ASSERT_EQ(slots_[slot(step, r, t)], token(step.rows[r].request_id, t))
            << "token " << t << " of request " << step.rows[r].request_id;
      }
      const auto row = static_cast<std::int64_t>(r);
      const std::int64_t held = step.capacity_tokens[r] / options_.page_size;
      ASSERT_EQ(held, (length + options_.page_size - 1) / options_.page_size);
      for (std::int64_t j = held; j < step.table.capacity_pages(row); ++j)
        ASSERT_EQ(step.table.page(step.table.base(row), j), -1);
    }
  }

 private:
  std::size_t slot(const StepView& step, std::size_t row, std::int64_t t) const {
    const std::int64_t base = step.table.base(static_cast<std::int64_t>(row));
    const std::int64_t page = step.table.page(base, t / options_.page_size);
    return static_cast<std::size_t>(page * options_.page_size + t % options_.page_size);
  }

  /// Equal for two requests exactly where they may share.
  std::int64_t token(std::int64_t id, std::int64_t t) {
    auto& blocks = blocks_[id];
    if (blocks.empty()) {
      const Chain chain = options_.share_prefixes ? chain_of(requests_[static_cast<std::size_t>(id)]) : Chain{};
      for (std::size_t n = 1; n <= chain.size(); ++n) {
        const Chain prefix(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(n));
        blocks.push_back(numbers_.emplace(prefix, 1000 + static_cast<std::int64_t>(numbers_.size())).first->second);
      }
      blocks.push_back(id);  // all that is its own
    }
    const auto block = std::min(static_cast<std::size_t>(t / kPrefixBlockTokens), blocks.size() - 1);
    return blocks[block] << 32 | t;
  }

  const std::vector<Request>& requests_;
  BatchingOptions options_;
  std::vector<std::int64_t> slots_;  // [num_pages, page_size]
  std::map<std::int64_t, std::vector<std::int64_t>> blocks_;
  std::map<Chain, std::int64_t> numbers_;
};

void expect_same(const FinishedRequest& actual, const FinishedRequest& expected) {
  EXPECT_EQ(actual.request_id, expected.request_id);
  EXPECT_EQ(actual.decode_tokens, expected.decode_tokens);
  EXPECT_EQ(actual.arrival_us, expected.arrival_us) << "request " << expected.request_id;
  EXPECT_EQ(actual.admitted_us, expected.admitted_us);
  EXPECT_EQ(actual.first_token_us, expected.first_token_us);
  EXPECT_EQ(actual.finished_us, expected.finished_us);
}

void run(const std::vector<Request>& requests, const BatchingOptions& options, ArrivalUnit unit, std::mt19937& random) {
  VectorSource source(requests, unit);
  ContinuousBatcher batcher(source, options);
  NaiveScheduler naive(requests, options, unit);
  CacheContents contents(requests, options);
  std::int64_t decoded = 0;
  std::int64_t finished_requests = 0;
  double wait_us = 0.0;
  StepView step;
  while (batcher.next_step(step)) {
    ASSERT_TRUE(naive.next());
    ASSERT_EQ(step.rows.size(), naive.active.size());
    for (std::size_t r = 0; r < step.rows.size(); ++r) {
      const auto& row = naive.active[r];
      ASSERT_EQ(step.rows[r].request_id, static_cast<std::int64_t>(row.id));
      ASSERT_EQ(step.rows[r].is_first, row.decoded == 0);
      ASSERT_EQ(step.lengths[r], requests[row.id].prompt_tokens + row.decoded);
    }
    ASSERT_EQ(batcher.pool().used_pages() + batcher.pool().reserved_pages(), naive.pages(naive.active));
    ASSERT_LE(batcher.pool().used_pages() + batcher.pool().reserved_pages(), options.num_pages);
    ASSERT_NO_THROW(step.step(AttentionShape{}, DType::kF16).validate());
    contents.write(step);
    ASSERT_NO_FATAL_FAILURE(contents.verify(step));

    decoded += static_cast<std::int64_t>(step.rows.size());
    const double step_us = static_cast<double>(random() % 1000) / 8.0;
    const auto finished = batcher.finish_step(step_us);
    const auto expected = naive.finish(step_us);
    ASSERT_EQ(finished.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expect_same(finished[i], expected[i]);
      wait_us += expected[i].admitted_us - expected[i].arrival_us;
    }
    finished_requests += static_cast<std::int64_t>(expected.size());
    ASSERT_NO_THROW(batcher.check_conservation());
  }
  ASSERT_FALSE(naive.next());
  const BatchingCounters& counters = batcher.counters();
  EXPECT_EQ(counters.rejected, naive.rejected);
  EXPECT_EQ(counters.admitted, finished_requests);
  EXPECT_EQ(counters.finished, finished_requests);
  EXPECT_EQ(finished_requests + naive.rejected, static_cast<std::int64_t>(requests.size()));
  EXPECT_EQ(counters.decoded_tokens, decoded);
  EXPECT_DOUBLE_EQ(counters.queue_wait_us_sum, wait_us);
  EXPECT_EQ(batcher.pool().free_pages(), options.num_pages);
}

TEST(RandomWorkload, MatchesANaiveSchedulerTokenByToken) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 12; ++i) {
    const ArrivalUnit unit = i % 2 == 0 ? ArrivalUnit::kSteps : ArrivalUnit::kMicroseconds;
    BatchingOptions options;
    options.share_prefixes = i % 4 < 2;
    options.page_size = options.share_prefixes ? 16 << random() % 6 : 7 + static_cast<int>(random() % 300);
    options.max_active = 1 + static_cast<std::int64_t>(random() % 9);
    options.num_pages = (1500 + static_cast<std::int64_t>(random() % 8000)) / options.page_size + 1;
    if (random() % 2 == 0) options.shuffle_seed = seed;
    SCOPED_TRACE(::testing::Message() << "workload " << i << ", page_size " << options.page_size << ", num_pages "
                                      << options.num_pages << ", max_active " << options.max_active);
    ASSERT_NO_FATAL_FAILURE(run(random_requests(random, unit), options, unit, random));
  }
}

}  // namespace
}  // namespace pkv
