#include "persistentkv/core/kv_cache_view.hpp"

#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::thrown_by;

constexpr KvLayout kLayouts[] = {KvLayout::kHND, KvLayout::kNHD, KvLayout::kPackedPage, KvLayout::kPackedToken};
const AttentionShape kShape{.num_q_heads = 6, .num_kv_heads = 3, .head_dim = 4};
constexpr int kPageSize = 5;
constexpr std::int64_t kPages = 2;

alignas(4) const char kMemory[8] = {};

KvCacheView valid_view() {
  return KvCacheView::dense(KvLayout::kHND, kShape, DType::kF16, kPageSize, kPages, kMemory, kMemory);
}

std::string complaint(const KvCacheView& kv, const AttentionShape& shape = kShape) {
  return thrown_by([&] { kv.validate(shape); });
}

TEST(KvCacheView, DenseLayoutsPutEveryElementInAPlaceOfItsOwn) {
  const std::int64_t total = KvCacheView::num_elements(kShape, kPageSize, kPages);
  EXPECT_EQ(total, 2 * kPages * kPageSize * 3 * 4);
  for (const KvLayout layout : kLayouts) {
    const bool packed = layout == KvLayout::kPackedPage || layout == KvLayout::kPackedToken;
    const std::vector<std::uint16_t> memory(static_cast<std::size_t>(total));
    const std::uint16_t* apart = memory.data() + total / 2;
    const KvCacheView kv =
        KvCacheView::dense(layout, kShape, DType::kF16, kPageSize, kPages, memory.data(), packed ? nullptr : apart);
    std::set<std::int64_t> places;
    for (const PagedTensorView& tensor : {kv.k, kv.v}) {
      const std::int64_t start = static_cast<const std::uint16_t*>(tensor.data) - memory.data();
      for (std::int64_t page = 0; page < kPages; ++page)
        for (int token = 0; token < kPageSize; ++token)
          for (int head = 0; head < 3; ++head)
            for (int i = 0; i < 4; ++i)
              places.insert(start + page * tensor.page_stride + token * tensor.token_stride +
                            head * tensor.head_stride + i);
    }
    EXPECT_EQ(std::ssize(places), total);
    EXPECT_EQ(*places.begin(), 0);
    EXPECT_EQ(*places.rbegin(), total - 1);
  }
}

TEST(KvCacheView, DenseLayoutsAreOrderedAsTheirNamesSay) {
  // The strides' order, from the slowest, is what a name promises.
  const auto view = [](KvLayout layout) {
    return KvCacheView::dense(layout, kShape, DType::kF16, kPageSize, kPages, kMemory, kMemory);
  };
  EXPECT_EQ(view(KvLayout::kHND).k.head_stride, 5 * 4);
  EXPECT_EQ(view(KvLayout::kHND).k.token_stride, 4);
  EXPECT_EQ(view(KvLayout::kNHD).k.token_stride, 3 * 4);
  EXPECT_EQ(view(KvLayout::kNHD).k.head_stride, 4);
  const KvCacheView page = view(KvLayout::kPackedPage);
  EXPECT_EQ(static_cast<const char*>(page.v.data) - static_cast<const char*>(page.k.data), 2 * 5 * 3 * 4);
  const KvCacheView token = view(KvLayout::kPackedToken);
  EXPECT_EQ(static_cast<const char*>(token.v.data) - static_cast<const char*>(token.k.data), 2 * 4);
}

TEST(KvCacheView, PageStrideMayExceedAPage) {
  KvCacheView kv = valid_view();
  kv.k.page_stride += 8;
  kv.v.page_stride *= 3;
  EXPECT_NO_THROW(kv.validate(kShape));
}

TEST(KvCacheView, HeadStrideIsIgnoredWithOneHead) {
  const AttentionShape shape{.num_q_heads = 4, .num_kv_heads = 1, .head_dim = 4};
  KvCacheView kv = KvCacheView::dense(KvLayout::kNHD, shape, DType::kF16, kPageSize, kPages, kMemory, kMemory);
  kv.k.head_stride = 0;
  kv.v.head_stride = -7;
  EXPECT_NO_THROW(kv.validate(shape));
}

TEST(KvCacheView, TokenStrideIsIgnoredWithOneTokenAPage) {
  KvCacheView kv = KvCacheView::dense(KvLayout::kNHD, kShape, DType::kF16, 1, kPages, kMemory, kMemory);
  kv.k.token_stride = 0;
  EXPECT_NO_THROW(kv.validate(kShape));
}

TEST(KvCacheView, RefusesNullAndMisalignedData) {
  KvCacheView kv = valid_view();
  kv.v.data = nullptr;
  EXPECT_EQ(complaint(kv), "v.data is null");
  kv.v.data = kMemory + 1;
  EXPECT_THAT(complaint(kv), AllOf(StartsWith("v.data is 0x"), HasSubstr("must be a multiple of the element size, 2")));
  EXPECT_EQ(
      thrown_by([] { (void)KvCacheView::dense(KvLayout::kPackedPage, kShape, DType::kF16, 16, 1, nullptr, nullptr); }),
      "k.data is null");
}

TEST(KvCacheView, RefusesStridesThatOverlap) {
  KvCacheView kv = valid_view();
  kv.k.token_stride = 3;
  EXPECT_EQ(complaint(kv), "k.token_stride is 3, must be >= 4: elements would overlap");
  kv = valid_view();
  kv.v.head_stride = 19;
  EXPECT_EQ(complaint(kv), "v.head_stride is 19, must be >= 20: elements would overlap");
  kv = valid_view();
  kv.k.page_stride = 59;
  EXPECT_EQ(complaint(kv), "k.page_stride is 59, must be >= 60: elements would overlap");
  kv.k.page_stride = -60;
  EXPECT_EQ(complaint(kv), "k.page_stride is -60, must be >= 4: elements would overlap");
}

TEST(KvCacheView, RefusesExtentsOutOfBounds) {
  KvCacheView kv = valid_view();
  kv.page_size = 0;
  EXPECT_EQ(complaint(kv), "page_size is 0, must be in [1, 1048576]");
  kv = valid_view();
  kv.num_pages = 0;
  EXPECT_EQ(complaint(kv), "num_pages is 0, must be in [1, 1099511627776]");
  kv.num_pages = -1;
  EXPECT_THAT(complaint(kv), StartsWith("num_pages is -1,"));
  EXPECT_THAT(complaint(valid_view(), {.num_q_heads = 5, .num_kv_heads = 3, .head_dim = 4}),
              StartsWith("num_q_heads is 5"));
}

TEST(KvCacheView, RefusesTensorsThatNoAddressReaches) {
  KvCacheView kv = valid_view();
  kv.k.page_stride = INT64_MAX;
  EXPECT_THAT(complaint(kv), AllOf(StartsWith("k.page_stride overflows"), HasSubstr("2^62")));
  const AttentionShape wide{.num_q_heads = 65536, .num_kv_heads = 65536, .head_dim = 65536};
  EXPECT_THAT(thrown_by([&] { (void)KvCacheView::num_elements(wide, 1 << 20, std::int64_t{1} << 40); }),
              StartsWith("num_pages overflows"));
}

TEST(KvCacheView, SixtyFourBitPoolsAreValid) {
  const AttentionShape shape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128};
  const std::int64_t pages = std::int64_t{1} << 32;
  EXPECT_EQ(KvCacheView::num_elements(shape, 16, pages), pages * 16 * 8 * 128 * 2);
  EXPECT_NO_THROW((void)KvCacheView::dense(KvLayout::kHND, shape, DType::kBF16, 16, pages, kMemory, kMemory));
}

}  // namespace
}  // namespace pkv
