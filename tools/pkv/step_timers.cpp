#include "step_timers.hpp"

#include "calibrate/cpu_timer.hpp"
#include "persistentkv/core/error.hpp"
#include "report/machine.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <fstream>

namespace pkv::cli {

void TimerOptions::add_to(CLI::App& command) {
  command.add_option("--backend", backend, "What to time: cuda or cpu")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_flag("--pdl,!--no-pdl", pdl, "Chain layers by programmatic dependent launch (default: yes)")
      ->group("CUDA");
  command.add_option("--threads", threads, "Threads (default: all)")->group("CPU");
  command.add_option("--pool-gib", pool_gib, "KV that steps take turns on; steps that need more are left out")
      ->capture_default_str()
      ->group("CPU");
}

std::unique_ptr<calibrate::StepTimer> TimerOptions::make() const {
  if (backend == "cuda") return make_cuda_step_timer(*this);
  if (!(pool_gib > 0.0 && pool_gib < 1e4))
    throw InvalidArgument(fmt::format("pool-gib is {}, must be in (0, 1e4)", pool_gib));
  return calibrate::make_cpu_timer(
      {report::describe_machine()["cpu"].get<std::string>(), threads, static_cast<std::int64_t>(pool_gib * (1 << 30))});
}

nlohmann::ordered_json read_results(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(fmt::format("{}: cannot be opened", path));
  try {
    nlohmann::ordered_json results = nlohmann::ordered_json::parse(file);
    if (!results.is_object() || !results.contains("samples"))
      throw IoError(fmt::format("{}: has no samples, must be results of pkv calibrate or pkv regret", path));
    return results;
  } catch (const nlohmann::json::exception& error) {
    throw IoError(fmt::format("{}: not valid JSON: {}", path, error.what()));
  }
}

}  // namespace pkv::cli
