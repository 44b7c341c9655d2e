#pragma once

/// How fast this machine can read KV at all: the limit that decode attention is held against. Each reader consumes
/// every byte (a running xor of whole vectors) with the widest vectors there are and as many loads in flight as it can.

#include "persistentkv/core/kv_cache_view.hpp"
#include "persistentkv/core/step.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace pkv {

/// Readers that share the same threads. One call at a time.
class KvReaders {
 public:
  /// `num_threads` as in CpuBackendConfig. Throws InvalidArgument.
  explicit KvReaders(int num_threads = 0);
  ~KvReaders();
  KvReaders(const KvReaders&) = delete;
  KvReaders& operator=(const KvReaders&) = delete;

  [[nodiscard]] int num_threads() const noexcept;

  /// Every page that the step touches, whole, K and V, through the block table; what lies ahead is asked for across the
  /// borders of pages. Returns the bytes read. `step` and `kv` must be valid and of one another.
  std::int64_t read_pages(const Step& step, const KvCacheView& kv);

  /// One stretch of memory, from its beginning to its end.
  std::int64_t read_contiguous(std::span<const std::byte> memory);

  /// The same with loads marked as not to be kept in the cache: see non_temporal_method().
  std::int64_t read_non_temporal(std::span<const std::byte> memory);

  /// "movntdqa" or "prefetchnta": what non-temporal means for this machine's instruction set.
  [[nodiscard]] std::string non_temporal_method() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pkv
