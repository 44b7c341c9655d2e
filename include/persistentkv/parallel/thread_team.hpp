#pragma once

/// The threads that share out a list of items. The only way in which this library uses more than one thread.

#include <cstdint>
#include <memory>

namespace pkv {

class ThreadTeam {
 public:
  /// How items are handed out: where each takes long, one at a time, so that no thread sits on two of them.
  enum class Items { kLong, kShort };

  /// `num_threads` in all, the caller's among them; 0, or more than there are: every hardware thread this process may
  /// use. Throws InvalidArgument where it is negative.
  explicit ThreadTeam(int num_threads = 0);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  [[nodiscard]] int num_threads() const noexcept { return num_threads_; }

  /// Calls item(i, thread) for each i in [0, count), in any order, and returns when all have returned. No two calls at
  /// the same time have the same `thread`, in [0, num_threads()). Throws what an item threw, one of them.
  template <class Item>
  void for_each(std::int64_t count, Items items, const Item& item) {
    run(count, items, {&item, [](const void* object, std::int64_t i, int thread) {
                         (*static_cast<const Item*>(object))(i, thread);
                       }});
  }

 private:
  struct Call {
    const void* object;
    void (*function)(const void* object, std::int64_t i, int thread);
    void operator()(std::int64_t i, int thread) const { function(object, i, thread); }
  };
  void run(std::int64_t count, Items items, const Call& call);

  int num_threads_;
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace pkv
