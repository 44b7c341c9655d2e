// Pools that no 32-bit byte or element offset reaches the end of.

#include "cuda/paged_problem.hpp"

namespace pkv::testing {

namespace {

class CudaBigPool : public EngineTest {
 protected:
  /// K and V of more than `elements` elements each; rows have their pages at both ends of the pool, and in its middle.
  void attend(std::int64_t elements, KvLayout layout) {
    Dimensions d;
    d.batch = 5;
    d.pages_per_row = 30;
    PagedProblem problem(d, random_);
    problem.draw(problem.random_lengths(d.capacity_tokens()));
    const Step small = problem.device_step();
    const std::int64_t page_elements = std::int64_t{d.page_size} * d.shape.num_kv_heads * d.shape.head_dim;
    const std::int64_t num_pages = elements / page_elements + small.num_pages;
    const std::int64_t bytes = num_pages * page_elements * 2;

    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total));
    if (free < static_cast<std::size_t>(2 * bytes) + (std::size_t{1} << 30))
      GTEST_SKIP() << "K and V of " << (bytes >> 20) << " MiB each do not fit into " << (free >> 20) << " MiB";
    const bool packed = layout == KvLayout::kPackedPage;
    const DeviceBytes k(static_cast<std::size_t>(packed ? 2 * bytes : bytes));
    const DeviceBytes v(static_cast<std::size_t>(packed ? 0 : bytes));

    Layer layer = problem.device_layer();
    const KvCacheView from = layer.kv;
    layer.kv = KvCacheView::dense(layout, d.shape, d.dtype, d.page_size, num_pages, k.data(), v.data());
    Step step = small;
    step.num_pages = num_pages;
    // Where page i of the small pool stands in the big one: every third of them low, high, in the middle.
    const auto moved = [&](std::int64_t i) {
      return i % 3 == 0 ? i : i % 3 == 1 ? num_pages - 1 - i : num_pages / 2 + i;
    };
    for (std::int64_t i = 0; i < small.num_pages; ++i) {
      copy_page(from.k, i, layer.kv.k, moved(i), d);
      copy_page(from.v, i, layer.kv.v, moved(i), d);
    }
    std::vector<std::int32_t> entries = problem.entries();
    for (std::int32_t& page : entries)
      if (page >= 0 && page < small.num_pages) page = static_cast<std::int32_t>(moved(page));
    const DeviceIndices<std::int32_t> device_entries(entries);
    step.table.entries = device_entries.view();
    const auto prepared = prepare(step);
    prepared->run(layer, nullptr);
    EXPECT_EQ(problem.disagreement(), "");
    EXPECT_FALSE(prepared->take_errors(nullptr).any());
  }

 private:
  static void copy_page(const PagedTensorView& from, std::int64_t i, const PagedTensorView& to, std::int64_t j,
                        const Dimensions& d) {
    const auto at = [](const PagedTensorView& tensor, std::int64_t page, int head) {
      return static_cast<char*>(const_cast<void*>(tensor.data)) +
             2 * (page * tensor.page_stride + head * tensor.head_stride);
    };
    const auto width = static_cast<std::size_t>(d.shape.head_dim) * 2;
    for (int head = 0; head < d.shape.num_kv_heads; ++head) {
      check(cudaMemcpy2D(at(to, j, head), static_cast<std::size_t>(to.token_stride) * 2, at(from, i, head),
                         static_cast<std::size_t>(from.token_stride) * 2, width, static_cast<std::size_t>(d.page_size),
                         cudaMemcpyDeviceToDevice));
    }
  }
};

TEST_F(CudaBigPool, OfMoreThan2To31Elements) { attend((std::int64_t{1} << 31) + 1, KvLayout::kHND); }

TEST_F(CudaBigPool, OfMoreThan2To32Elements) { attend((std::int64_t{1} << 32) + 1, KvLayout::kNHD); }

TEST_F(CudaBigPool, PackedPages) { attend((std::int64_t{1} << 31) + 1, KvLayout::kPackedPage); }

}  // namespace

}  // namespace pkv::testing
