#pragma once

// One layer's KV cache in host memory, full of random numbers, and the means to get it out of the CPU's caches.

#include "persistentkv/core/kv_cache_view.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/measure/huge_buffer.hpp"
#include "persistentkv/measure/kv_readers.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pkv::replay {

class KvPool {
 public:
  /// Pages in HND layout, filled with normal deviates of unit variance. Throws InvalidArgument where the pool would not
  /// fit in the memory that is available.
  KvPool(const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages, std::uint32_t seed);

  [[nodiscard]] const KvCacheView& view() const noexcept { return view_; }
  [[nodiscard]] std::int64_t size_bytes() const noexcept { return memory_.size_bytes(); }

 private:
  HugeBuffer memory_;  // K, then V
  KvCacheView view_;
};

/// Bytes of the last-level cache, or 0 where the system does not tell.
[[nodiscard]] std::int64_t last_level_cache_bytes() noexcept;

/// Reads as many bytes of other pages as the last-level cache holds, so that a step finds none of its own there.
class CacheEvictor {
 public:
  CacheEvictor(KvReaders& readers, const KvPool& pool, const AttentionShape& shape);

  void evict(const Step& step);

  /// False once a step has left too few other pages to fill the cache with: its times may be those of the cache.
  [[nodiscard]] bool always_cold() const noexcept { return always_cold_; }
  [[nodiscard]] std::int64_t cache_bytes() const noexcept { return cache_bytes_; }

 private:
  KvReaders& readers_;
  const KvPool& pool_;
  std::int64_t page_bytes_;
  std::int64_t cache_bytes_;
  std::int64_t cursor_ = 0;
  bool always_cold_ = true;
  std::vector<std::uint8_t> in_step_;  // [num_pages]
  std::vector<std::int32_t> others_;   // page table of what is read instead
};

/// How the caches were before each run so far, for people.
[[nodiscard]] std::string describe_caches(const CacheEvictor& evictor);

}  // namespace pkv::replay
