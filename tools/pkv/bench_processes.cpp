#include "bench_processes.hpp"

#include "persistentkv/core/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace pkv::cli {

namespace {

/// A file name of this process's own, removed at the end.
class TemporaryFile {
 public:
  TemporaryFile() : path_(std::filesystem::temp_directory_path() / fmt::format("pkv-bench-{}.json", getpid())) {}
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// The arguments of this process, as the kernel keeps them.
std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  if (arguments.empty()) throw IoError("/proc/self/cmdline cannot be read: --processes needs it");
  return arguments;
}

nlohmann::ordered_json run_once() {
  const TemporaryFile file;
  std::vector<std::string> arguments = own_arguments();
  for (const std::string& more :
       {std::string("--processes"), std::string("1"), std::string("--json"), file.path().string()})
    arguments.push_back(more);  // the last of an option counts
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorCode::kIo,
                fmt::format("a process of the benchmark failed (status {})", failed != 0 ? failed : status));
  std::ifstream results(file.path());
  return nlohmann::ordered_json::parse(results)["rows"];
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

nlohmann::ordered_json measure_in_processes(int count) {
  std::vector<nlohmann::ordered_json> runs;
  runs.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) runs.push_back(run_once());
  nlohmann::ordered_json rows = runs.front();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<double> times;
    for (auto& [key, value] : rows[r].items()) {
      if (!value.is_number_float()) continue;
      std::vector<double> values;
      values.reserve(runs.size());
      for (const auto& run : runs) values.push_back(run.at(r).at(key).get<double>());
      if (key == "time_us") times = values;
      value = key == "relative_error" ? *std::max_element(values.begin(), values.end()) : median(values);
    }
    rows[r]["time_best_us"] = *std::min_element(times.begin(), times.end());
    rows[r]["time_worst_us"] = *std::max_element(times.begin(), times.end());
    rows[r]["processes"] = count;
  }
  return rows;
}

}  // namespace pkv::cli
