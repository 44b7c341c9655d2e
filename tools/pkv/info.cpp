#include "commands.hpp"
#include "cuda_device.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/plan/schedule.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "report/json_file.hpp"
#include "report/machine.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>

namespace pkv::cli {

namespace {

std::string text_of(const nlohmann::ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_info() {
  const nlohmann::ordered_json machine = report::describe_machine();
  for (const auto& [name, value] : machine.items()) {
    if (name == "cuda_build" && value.is_null()) {
      fmt::print("{:<34}none: this build has no CUDA; scripts/setup-cuda brings a compiler\n", name);
    } else if (name != "gpu") {
      fmt::print("{:<34}{}\n", name, text_of(value));
    } else if (value.is_null()) {
      fmt::print("{:<34}none: no NVIDIA driver answers\n", name);
    } else {
      for (const auto& [key, part] : value.items()) fmt::print("{:<34}{}\n", "gpu " + key, text_of(part));
    }
  }
  std::vector<std::string_view> schedules;
  schedules.reserve(kAllSchedules.size());
  for (const Schedule schedule : kAllSchedules) schedules.push_back(to_string(schedule));
  fmt::print("{:<34}{}\n", "backends", report::cuda_build().empty() ? "cpu" : "cpu, cuda");
  fmt::print("{:<34}{}\n", "flashinfer_build",
             flashinfer_build().empty() ? "none: this build has no FlashInfer; scripts/setup-flashinfer brings it"
                                        : flashinfer_build());
  fmt::print("{:<34}{}\n", "simd targets", fmt::join(cpu_simd_targets(), ", "));
  fmt::print("{:<34}{}\n", "schedules", fmt::join(schedules, ", "));
  fmt::print("{:<34}{}\n", "profiles built in", fmt::join(built_in_profile_names(), ", "));
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command = app.add_subcommand("info", "What this build is and what this machine has: CPU, GPU if any.");
  auto json = std::make_shared<std::string>();
  command->add_option("--json", *json, "Also write it to this file");
  command->callback([json] {
    print_info();
    if (!json->empty()) report::write_json_file(*json, report::make_results("info"));
  });
}

}  // namespace pkv::cli
