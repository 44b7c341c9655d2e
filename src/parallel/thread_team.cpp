#include "persistentkv/parallel/thread_team.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <tbb/info.h>

#include <algorithm>

// Distributions' libtbb is not built with ThreadSanitizer, which therefore sees no order between what TBB's threads do
// and reports every hand-over of work as a race. In such a build plain threads, which it does know, stand in for them:
// what the items do to each other is checked, TBB itself is not. They come and go with each call, so they are slow.
#if defined(__SANITIZE_THREAD__)
#define PKV_PLAIN_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PKV_PLAIN_THREADS 1
#endif
#endif

#ifdef PKV_PLAIN_THREADS
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>
#else
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>
#endif

namespace pkv {

namespace {

int number_of(int wanted) {
  if (wanted < 0) throw InvalidArgument(fmt::format("num_threads is {}, must be >= 0", wanted));
  // More threads than the machine gives would only share its cores, and TBB would print a warning.
  const int available = tbb::info::default_concurrency();
  return wanted > 0 ? std::min(wanted, available) : available;
}

}  // namespace

#ifdef PKV_PLAIN_THREADS

struct ThreadTeam::Pool {
  explicit Pool(int /*num_threads*/) {}
};

void ThreadTeam::run(std::int64_t count, Items /*items*/, const Call& call) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr thrown;
  const auto work = [&](int thread) {
    try {
      // Relaxed: the counter must order nothing between items, or it would hide their races.
      for (std::int64_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) call(i, thread);
    } catch (...) {
      const std::lock_guard lock(mutex);
      thrown = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < std::min<std::int64_t>(num_threads_, count); ++thread)
    others.emplace_back(work, thread);
  work(0);
  for (std::thread& other : others) other.join();
  if (thrown) std::rethrow_exception(thrown);
}

#else

struct ThreadTeam::Pool {
  explicit Pool(int num_threads) : arena(num_threads) {}
  tbb::task_arena arena;
};

void ThreadTeam::run(std::int64_t count, Items items, const Call& call) {
  const auto item = [&](std::int64_t i) { call(i, tbb::this_task_arena::current_thread_index()); };
  pool_->arena.execute([&] {
    if (items == Items::kShort)
      tbb::parallel_for(std::int64_t{0}, count, item);
    else
      tbb::parallel_for(std::int64_t{0}, count, item, tbb::simple_partitioner());
  });
}

#endif

ThreadTeam::ThreadTeam(int num_threads)
    : num_threads_(number_of(num_threads)), pool_(std::make_unique<Pool>(num_threads_)) {}

ThreadTeam::~ThreadTeam() = default;

}  // namespace pkv
