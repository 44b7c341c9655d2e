#include "machine.hpp"

#include "build_info.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

namespace pkv::report {

namespace {

/// The value of the first "name : value" line of /proc/cpuinfo, or "unknown".
std::string cpu_info(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind(name, 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string system_name() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
  return "unknown";
#endif
}

}  // namespace

std::string cuda_build() {
#ifdef PKV_CUDA_BUILD
  return PKV_CUDA_BUILD;
#else
  return {};
#endif
}

nlohmann::ordered_json describe_machine() {
  const auto pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
  // Family, model and stepping tell CPUs apart to which their virtual machines all give one name.
  const std::string model = fmt::format("family {} model {} stepping {}", cpu_info("cpu family"), cpu_info("model\t\t"),
                                        cpu_info("stepping"));
  return {{"cpu", cpu_info("model name")},
          {"cpu_model", model},
          {"cpu_threads", std::thread::hardware_concurrency()},
          {"simd", cpu_simd_target()},
          {"last_level_cache_bytes", sysconf(_SC_LEVEL3_CACHE_SIZE)},
          {"memory_gib", pages * page_bytes / (1 << 30)},
          {"system", system_name()},
          {"gpu", describe_gpu()},
          {"compiler", compiler()},
          {"cuda_build", cuda_build().empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(cuda_build())},
          {"version", kVersion},
          {"commit", kCommit},
          {"date", now_utc()}};
}

}  // namespace pkv::report
