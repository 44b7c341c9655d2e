#include "workload_choice.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pkv::cli {

std::vector<Workload> choose_workloads(const std::vector<std::int32_t>& lengths, const std::string& suite,
                                       const std::string& only) {
  if (!lengths.empty()) return {{fmt::format("lengths {}", fmt::join(lengths, ",")), lengths}};
  std::vector<Workload> workloads = load_suite(suite);
  std::erase_if(workloads, [&](const Workload& w) { return w.name.find(only) == std::string::npos; });
  if (workloads.empty())
    throw InvalidArgument(fmt::format("only is '{}', must be part of a name in suite {}", only, suite));
  return workloads;
}

}  // namespace pkv::cli
