// What the README shows, with the variables that it takes for granted. Every V is 1, so every output must be.

#include "readme_includes.inc"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace {

constexpr std::uint16_t kOne = 0x3C00;  // fp16, what a Step is of where nothing else is said
constexpr std::int64_t num_pages = 4;
constexpr std::int64_t batch = 2;
constexpr std::int64_t max_pages = 3;
constexpr std::int32_t lengths[] = {40, 16};
const std::optional<pkv::DeviceProfile> profile;
constexpr std::int32_t block_table[] = {3, 0, 2, 1, -1, -1};

void readme_example(const pkv::KvCacheView& kv, const std::uint16_t* q, std::uint16_t* out) {
#include "readme_code.inc"
}

}  // namespace

int main() {
  const pkv::Step defaults;
  const auto elements = static_cast<std::size_t>(
      pkv::KvCacheView::num_elements(defaults.shape, defaults.page_size, num_pages) / 2);  // of K, and of V
  const std::vector<std::uint16_t> k(elements, kOne);
  const std::vector<std::uint16_t> v(elements, kOne);
  const std::vector<std::uint16_t> q(
      static_cast<std::size_t>(batch * defaults.shape.num_q_heads * defaults.shape.head_dim), kOne);
  std::vector<std::uint16_t> out(q.size());
  readme_example(pkv::KvCacheView::dense(pkv::KvLayout::kHND, defaults.shape, defaults.dtype, defaults.page_size,
                                         num_pages, k.data(), v.data()),
                 q.data(), out.data());
  return std::all_of(out.begin(), out.end(), [](std::uint16_t x) { return x == kOne; }) ? 0 : 1;
}
