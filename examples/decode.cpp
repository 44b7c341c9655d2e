// Two rows of a paged KV cache, decoded on the CPU: the smallest whole program.

#include "persistentkv/cpu/cpu_backend.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

int main() {
  const pkv::AttentionShape shape{.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 64};
  const int page_size = 16;
  const std::int64_t num_pages = 8;

  // K and V apart, each [page, KV head, token, head_dim]. Every V is 1, so every output is 1.
  std::vector<float> k(static_cast<std::size_t>(num_pages * 2 * page_size * 64), 0.5F);
  std::vector<float> v(k.size(), 1.0F);
  const pkv::KvCacheView kv =
      pkv::KvCacheView::dense(pkv::KvLayout::kHND, shape, pkv::DType::kF32, page_size, num_pages, k.data(), v.data());

  // Row 0 has 40 tokens on pages 5, 2 and 7; row 1 has 16 on page 0.
  const std::vector<std::int32_t> lengths{40, 16};
  const std::vector<std::int32_t> block_table{5, 2, 7, 0, -1, -1};
  pkv::Step step;
  step.shape = shape;
  step.dtype = pkv::DType::kF32;
  step.page_size = page_size;
  step.num_pages = num_pages;
  step.batch = 2;
  step.lengths.values = pkv::IndexView::host(lengths.data(), 2);
  step.table = pkv::PageTableView::dense(block_table.data(), 2, 3);

  std::vector<float> q(2 * 8 * 64, 0.1F);
  std::vector<float> out(q.size());
  const auto backend = pkv::make_cpu_backend();
  const auto prepared = backend->prepare(step, pkv::Schedule::kStream, {});  // once a step
  prepared->run(pkv::Layer::dense(step, kv, q.data(), out.data()));          // for every layer

  std::printf("out[row 1, head 7, 63] = %g\n", out.back());
  for (const float x : out)
    if (std::abs(x - 1.0F) > 1e-6F) return 1;
  return 0;
}
