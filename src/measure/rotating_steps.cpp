#include "rotating_steps.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace pkv::detail {

namespace {

constexpr std::int64_t kPatternBytes = std::int64_t{1} << 20;

/// Normal values of `dtype`, repeated every kPatternBytes: what is multiplied does not change how fast it is read.
void fill(std::span<std::byte> memory, DType dtype, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  const auto pattern = std::min<std::int64_t>(kPatternBytes, static_cast<std::int64_t>(memory.size()));
  for (std::int64_t i = 0; i < pattern / size_bytes(dtype); ++i) store_element(memory.data(), dtype, i, normal(random));
  for (std::size_t at = static_cast<std::size_t>(pattern); at < memory.size();
       at += static_cast<std::size_t>(pattern)) {
    const std::size_t count = std::min(static_cast<std::size_t>(pattern), memory.size() - at);
    std::copy_n(memory.begin(), count, memory.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

}  // namespace

RotatingSteps::RotatingSteps(const CpuBenchConfig& config) : lengths_(config.lengths) {
  config.shape.validate();
  if (config.page_size < 1) throw InvalidArgument(fmt::format("page_size is {}, must be >= 1", config.page_size));
  std::int64_t step_pages = 0;
  std::int64_t max_pages = 0;
  for (const std::int32_t length : lengths_) {
    const std::int64_t pages = (std::max<std::int64_t>(0, length) + config.page_size - 1) / config.page_size;
    step_pages += pages;
    max_pages = std::max(max_pages, pages);
  }
  if (step_pages == 0) throw InvalidArgument("lengths have no tokens in all, must have at least one");

  const std::int64_t page_bytes =
      KvCacheView::num_elements(config.shape, config.page_size, 1) * size_bytes(config.dtype);
  // Decode and three readers take turns: four parts at least, or each would always meet the same one.
  const std::int64_t wanted = (std::max<std::int64_t>(0, config.min_pool_bytes) + page_bytes - 1) / page_bytes;
  const std::int64_t count = std::max<std::int64_t>(5, (wanted + step_pages - 1) / step_pages);
  const std::int64_t num_pages = count * step_pages;
  if (num_pages > std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(fmt::format("the pool has {} pages, must be below 2^31", num_pages));

  std::mt19937_64 random(config.seed);
  pool_ = HugeBuffer(num_pages * page_bytes);
  fill({pool_.data(), static_cast<std::size_t>(pool_.size_bytes())}, config.dtype, random);
  std::vector<std::int32_t> order(static_cast<std::size_t>(num_pages));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);

  const auto batch = static_cast<std::int64_t>(lengths_.size());
  tables_.assign(static_cast<std::size_t>(count * batch * max_pages), -1);
  const std::int32_t* next_page = order.data();
  for (std::int64_t s = 0; s < count; ++s) {
    std::int32_t* table = tables_.data() + s * batch * max_pages;
    for (std::int64_t row = 0; row < batch; ++row) {
      const std::int64_t tokens = std::max<std::int32_t>(0, lengths_[static_cast<std::size_t>(row)]);
      const std::int64_t pages = (tokens + config.page_size - 1) / config.page_size;
      std::copy_n(next_page, pages, table + row * max_pages);
      next_page += pages;
    }
    steps_.push_back({config.shape,
                      config.dtype,
                      config.page_size,
                      num_pages,
                      batch,
                      {IndexView::host(lengths_.data(), batch)},
                      PageTableView::dense(table, batch, max_pages)});
    steps_.back().validate();
  }

  const std::int64_t vectors = batch * config.shape.num_q_heads * config.shape.head_dim * size_bytes(config.dtype);
  q_.resize(static_cast<std::size_t>(vectors));
  out_.resize(q_.size());
  fill(q_, config.dtype, random);
  const std::byte* v = pool_.data() + pool_.size_bytes() / 2;
  layer_ = Layer::dense(
      steps_.front(),
      KvCacheView::dense(config.layout, config.shape, config.dtype, config.page_size, num_pages, pool_.data(), v),
      q_.data(), out_.data());
}

std::span<const std::byte> RotatingSteps::next_stretch() noexcept {
  const std::int64_t bytes = pool_bytes() / count() / 64 * 64;
  return {pool_.data() + static_cast<std::int64_t>(advance()) * bytes, static_cast<std::size_t>(bytes)};
}

}  // namespace pkv::detail
