// pkv: the command line of PersistentKV.

#include "commands.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

namespace {

constexpr const char* kFooter =
    R"(Exit codes: 0 done; 1 a check failed; 2 bad arguments; 3 a file could not be read or written;
4 not supported here; 5 anything else.)";

int exit_code(const pkv::Error& error) {
  switch (error.code()) {
    case pkv::ErrorCode::kInvalidArgument:
      return 2;
    case pkv::ErrorCode::kIo:
      return 3;
    case pkv::ErrorCode::kUnsupported:
      return 4;
    case pkv::ErrorCode::kCuda:
      break;
  }
  return 5;
}

int fail(int code, const char* message) {
  fmt::print(stderr, "pkv: {}\n", message);
  return code;
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app(
      "Decode attention over a paged KV cache: replay workloads, measure, look into plans and routes.\nSee `pkv "
      "COMMAND --help`; `pkv replay` alone runs the main job.",
      "pkv");
  app.footer(kFooter);
  app.require_subcommand(1);
  pkv::cli::add_replay(app);
  pkv::cli::add_bench(app);
  pkv::cli::add_plan(app);
  pkv::cli::add_timeline(app);
  pkv::cli::add_calibrate(app);
  pkv::cli::add_route(app);
  pkv::cli::add_reproduce(app);
  pkv::cli::add_regret(app);
  pkv::cli::add_report(app);
  pkv::cli::add_trace(app);
  pkv::cli::add_info(app);
  // CLI11 would only say that some command is required.
  const auto named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty()) {
    fmt::print(stderr, "pkv: there is no command '{}'\nRun with --help for the commands there are.\n", argv[1]);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return 0;
} catch (const pkv::Error& error) {
  return fail(exit_code(error), error.what());
} catch (const pkv::cli::CheckFailed& error) {
  return fail(1, error.what());
} catch (const std::bad_alloc&) {
  return fail(5, "out of memory");
} catch (const std::exception& error) {
  return fail(5, error.what());
}
