#include "route_backends.hpp"

#include "cuda_device.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace pkv::cli {

Decision explain_with_backend(const std::string& backend, const DeviceProfile& profile, const PolicyInput& input,
                              int page_size) {
  const auto lengths = input.step.lengths;
  const std::int64_t longest = lengths.empty() ? 0 : std::max(*std::max_element(lengths.begin(), lengths.end()), 0);
  const std::int64_t pages = page_size < 1 ? 0 : (longest + page_size - 1) / page_size;
  const std::int32_t unread = 0;  // choices look at no page id, so a table is nothing but its size

  Step step;
  step.shape = input.step.shape;
  step.dtype = input.dtype;
  step.page_size = page_size;
  step.batch = static_cast<std::int64_t>(lengths.size());
  step.num_pages = pages * step.batch;
  step.lengths.values = IndexView::host(lengths.data(), step.batch);
  step.table = PageTableView::dense(&unread, step.batch, pages);

  RuntimeOptions options;
  options.plan = input.options;
  options.layers_per_plan = input.layers_per_plan;
  std::vector<std::shared_ptr<Backend>> backends{backend == "cuda" ? make_cuda_engine() : make_cpu_backend()};
  if (backend == "cuda")
    for (auto& more : make_more_cuda_engines()) backends.push_back(std::move(more));
  const Runtime runtime(profile, std::move(backends), options);
  return runtime.explain(step);
}

}  // namespace pkv::cli
