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
  for (const Sweep& sweep : sweeps) {
    const PaperRun& run = find_paper_run(sweep.run);
    std::vector<RouteSpec> routes;
    for (const int splits : sweep.splits) routes.push_back({sweep.route, splits});  // NOLINT: three
    routes.push_back({Route::kFlashInferCudaCore, 0});
    routes.push_back({Route::kFlashInferTensorCore, 0});
    workloads.push_back({measure_trace(bench, {.run = &run,  // NOLINT: two
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
