#include "json_file.hpp"

#include "machine.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace pkv::report {

nlohmann::ordered_json make_results(std::string_view command) {
  return {{"schema", kResultsSchema},
          {"command", command},
          {"machine", describe_machine()},
          {"rows", nlohmann::ordered_json::array()}};
}

void write_file(const std::string& path, std::string_view text) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  const auto fail = [&](const char* action) {
    const int error = errno;
    (void)std::remove(temporary.c_str());
    throw IoError(fmt::format("{}: {}: {}", path, action, std::strerror(error)));  // NOLINT(concurrency-mt-unsafe)
  };
  std::FILE* file = std::fopen(temporary.c_str(), "wbe");
  if (file == nullptr) fail("cannot be written");
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) fail("cannot be written");
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail("cannot be renamed from its temporary name");
}

void write_json_file(const std::string& path, const nlohmann::ordered_json& json) {
  write_file(path, json.dump(2) + "\n");
}

}  // namespace pkv::report
