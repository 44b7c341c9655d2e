#include "persistentkv/plan/planner.hpp"

#include <cstdio>
#include <vector>

int main() {
  const std::vector<std::int32_t> lengths{4096, 100};
  const pkv::WorkPlan plan = pkv::make_plan(pkv::Schedule::kStream, {{32, 8, 128}, lengths, {}}, {.num_workers = 4});
  std::printf("%s", pkv::describe(plan, 8).c_str());
  return plan.counters().launches == 1 ? 0 : 1;
}
