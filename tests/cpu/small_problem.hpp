#pragma once

// A random step and layer over a small HND pool, for tests that are not about numbers alone.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace pkv::testing_support {

struct SmallProblem {
  AttentionShape shape{.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 64, .softmax_scale = 0.0};
  DType dtype = DType::kF32;
  int page_size = 16;
  std::vector<std::int32_t> lengths{100, 0, 333, 1, 64};
  std::uint64_t seed = 1;

  // Filled in by build().
  Step step;
  Layer layer;
  std::vector<std::int32_t> table;
  std::vector<char> k, v, q;
  std::vector<float> out, lse;

  SmallProblem() = default;
  SmallProblem(const SmallProblem&) = delete;
  SmallProblem& operator=(const SmallProblem&) = delete;

  void build() {
    std::mt19937_64 random(seed);
    const auto batch = static_cast<std::int64_t>(lengths.size());
    std::int64_t longest = 1;
    for (const std::int32_t length : lengths) longest = std::max<std::int64_t>(longest, length);
    const std::int64_t max_pages = (longest + page_size - 1) / page_size;
    step = {shape, dtype, page_size, batch * max_pages, batch, {}, {}};
    table.resize(batch * max_pages);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<std::int32_t>(i);
    std::shuffle(table.begin(), table.end(), random);
    step.lengths.values = IndexView::host(lengths.data(), batch);
    step.table = PageTableView::dense(table.data(), batch, max_pages);

    const std::int64_t elements = step.num_pages * page_size * shape.num_kv_heads * shape.head_dim;
    fill(k, elements, random);
    fill(v, elements, random);
    fill(q, batch * shape.num_q_heads * shape.head_dim, random);
    out.assign(batch * shape.num_q_heads * shape.head_dim, std::nanf(""));
    lse.assign(batch * shape.num_q_heads, std::nanf(""));
    const KvCacheView kv =
        KvCacheView::dense(KvLayout::kHND, shape, dtype, page_size, step.num_pages, k.data(), v.data());
    layer = Layer::dense(step, kv, q.data(), out.data());
    layer.out.dtype = DType::kF32;
    layer.lse = LseView{lse.data(), shape.num_q_heads, 1, LseBase::kNatural};
  }

 private:
  void fill(std::vector<char>& bytes, std::int64_t elements, std::mt19937_64& random) const {
    std::normal_distribution<float> normal;
    bytes.resize(elements * size_bytes(dtype));
    for (std::int64_t i = 0; i < elements; ++i) store_element(bytes.data(), dtype, i, normal(random));
  }
};

}  // namespace pkv::testing_support
