#include "accuracy.hpp"

#include "persistentkv/parallel/thread_team.hpp"
#include "persistentkv/reference/reference_decode.hpp"

#include <algorithm>
#include <numeric>

namespace pkv::reproduce {

std::vector<double> expected_row(const Step& step, std::int64_t row, const RowOnHost& data) {
  const AttentionShape& shape = step.shape;
  const std::int64_t tokens = step.lengths.at(row);
  const std::int64_t pages = (tokens + step.page_size - 1) / step.page_size;
  std::vector<std::int32_t> table(static_cast<std::size_t>(pages));
  std::iota(table.begin(), table.end(), 0);
  Step alone = step;
  alone.batch = 1;
  alone.num_pages = pages;
  alone.lengths = {.values = IndexView::host(&tokens, 1)};
  alone.table = PageTableView::dense(table.data(), 1, pages);
  const KvCacheView kv =
      KvCacheView::dense(KvLayout::kHND, shape, step.dtype, step.page_size, pages, data.k.data(), data.v.data());
  std::vector<std::uint16_t> unused(data.q.size());
  const Layer layer = Layer::dense(alone, kv, data.q.data(), unused.data());

  const int group = shape.group_size();
  std::vector<double> result(data.q.size());
  ThreadTeam().for_each(shape.num_kv_heads, ThreadTeam::Items::kLong, [&](std::int64_t head, int /*thread*/) {
    const std::vector<ReferenceResult> rows = reference_decode_group(alone, layer, 0, static_cast<int>(head));
    for (int g = 0; g < group; ++g) {
      const std::vector<double>& out = rows[static_cast<std::size_t>(g)].out;
      std::copy(out.begin(), out.end(), result.begin() + (head * group + g) * shape.head_dim);
    }
  });
  return result;
}

}  // namespace pkv::reproduce
