#include "sections.hpp"
#include "writing.hpp"

#include <fmt/format.h>

namespace pkv::reproduce {

void split_sensitivity(Bench& bench, const Effort& effort, Output& output) {
  struct Sweep {
    std::string_view run;
    Route route;
    std::vector<int> splits;
  };
  const Sweep sweeps[] = {{"bucketed-b1", Route::kSequenceSplit, {28, 32, 36}},
                          {"bimodal-b8", Route::kWorkqueue, {16, 20, 24}}};
  std::vector<std::vector<TraceTimes>> workloads;
  workloads.reserve(std::size(sweeps));
  for (const Sweep& sweep : sweeps) {
    const PaperRun& run = find_paper_run(sweep.run);
    std::vector<RouteSpec> routes{{Route::kFlashInferCudaCore, 0}, {Route::kFlashInferTensorCore, 0}};
    routes.reserve(routes.size() + sweep.splits.size());
    for (const int splits : sweep.splits) routes.push_back({sweep.route, splits});
    workloads.push_back({measure_trace(bench, {.run = &run,
                                               .seed = kHeldOutSeeds.front(),
                                               .shape = kPaperShape,
                                               .routes = routes,
                                               .max_steps = effort.steps(run),
                                               .repeats = effort.repeats})});
    write_traces("splits", workloads.back(), output.results);
  }
  output.print(fmt::format("Split sensitivity, fair; seed {}\n\n{}\nAs the paper timed\n\n{}", kHeldOutSeeds.front(),
                           fair_table(workloads), paper_table("splits", workloads)));
}

}  // namespace pkv::reproduce
