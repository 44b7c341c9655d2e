#include "kv_pool.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <string>

namespace pkv::replay {

namespace {

/// MemAvailable of /proc/meminfo, or a number that refuses nothing where there is none.
std::int64_t available_memory_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::int64_t kib = 0;
  for (std::string unit; file >> name >> kib; std::getline(file, unit))
    if (name == "MemAvailable:") return kib * 1024;
  return INT64_MAX;
}

HugeBuffer allocate(const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages) {
  const std::int64_t bytes = KvCacheView::num_elements(shape, page_size, num_pages) * size_bytes(dtype);
  const std::int64_t available = available_memory_bytes();
  if (bytes > available) {
    throw InvalidArgument(
        fmt::format("the KV pool of {} pages takes {:.1f} GiB, must be at most {:.1f}: what memory is "
                    "available; fewer KV heads or a smaller head_dim make it smaller",
                    num_pages, static_cast<double>(bytes) / (1 << 30), static_cast<double>(available) / (1 << 30)));
  }
  return HugeBuffer(bytes);
}

/// Fills memory with stretches of a table of normal deviates, each from a random place: random enough for attention,
/// and as fast as copying.
void fill_normal(const HugeBuffer& memory, DType dtype, std::uint32_t seed) {
  constexpr std::size_t kTable = std::size_t{1} << 20;
  constexpr std::size_t kStretch = std::size_t{1} << 14;
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const auto element = static_cast<std::size_t>(size_bytes(dtype));
  std::vector<std::byte> table(kTable * element);
  for (std::size_t i = 0; i < kTable; ++i)
    store_element(table.data(), dtype, static_cast<std::int64_t>(i), normal(rng));
  const auto bytes = static_cast<std::size_t>(memory.size_bytes());
  for (std::size_t at = 0; at < bytes; at += kStretch * element) {
    const std::size_t from = rng() % (kTable - kStretch) * element;
    std::memcpy(memory.data() + at, table.data() + from, std::min(kStretch * element, bytes - at));
  }
}

}  // namespace

KvPool::KvPool(const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages, std::uint32_t seed)
    : memory_(allocate(shape, dtype, page_size, num_pages)),
      view_(KvCacheView::dense(KvLayout::kHND, shape, dtype, page_size, num_pages, memory_.data(),
                               memory_.data() + memory_.size_bytes() / 2)) {
  fill_normal(memory_, dtype, seed);
}

std::int64_t last_level_cache_bytes() noexcept {
  for (const int level : {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE})
    if (const long bytes = sysconf(level); bytes > 0) return bytes;
  return 0;
}

CacheEvictor::CacheEvictor(KvReaders& readers, const KvPool& pool, const AttentionShape& shape)
    : readers_(readers),
      pool_(pool),
      page_bytes_(KvCacheView::num_elements(shape, pool.view().page_size, 1) * size_bytes(pool.view().dtype)),
      cache_bytes_(last_level_cache_bytes()),
      in_step_(static_cast<std::size_t>(pool.view().num_pages)) {}

void CacheEvictor::evict(const Step& step) {
  std::fill(in_step_.begin(), in_step_.end(), std::uint8_t{0});
  for (std::int64_t row = 0; row < step.batch; ++row) {
    const std::int64_t base = step.table.base(row);
    const std::int64_t pages = (step.lengths.at(row) + step.page_size - 1) / step.page_size;
    for (std::int64_t j = 0; j < pages; ++j) in_step_[static_cast<std::size_t>(step.table.page(base, j))] = 1;
  }
  others_.clear();
  const auto wanted = static_cast<std::size_t>((cache_bytes_ + page_bytes_ - 1) / page_bytes_);
  const std::int64_t pages = step.num_pages;
  for (std::int64_t i = 0; i < pages && others_.size() < wanted; ++i) {
    if (in_step_[static_cast<std::size_t>(cursor_)] == 0) others_.push_back(static_cast<std::int32_t>(cursor_));
    cursor_ = cursor_ + 1 == pages ? 0 : cursor_ + 1;
  }
  if (others_.size() < wanted) always_cold_ = false;
  if (others_.empty()) return;

  Step other = step;
  const std::int64_t tokens = std::min(static_cast<std::int64_t>(others_.size()) * step.page_size, kMaxRowTokens);
  other.batch = 1;
  other.lengths = {.values = IndexView::host(&tokens, 1)};
  other.table = PageTableView::dense(others_.data(), 1, static_cast<std::int64_t>(others_.size()));
  (void)readers_.read_pages(other, pool_.view());
}

std::string describe_caches(const CacheEvictor& evictor) {
  if (!evictor.always_cold()) return "CACHE WARM at times: the pool is too small to evict a step's pages by";
  return fmt::format("cold cache: {} MiB of other pages are read before each run", evictor.cache_bytes() >> 20);
}

}  // namespace pkv::replay
