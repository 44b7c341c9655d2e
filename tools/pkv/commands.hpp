#pragma once

// One function a subcommand, each in a file of its own: adds it to the application. The callback it sets does the work
// and throws pkv::Error, or CheckFailed, when it cannot.

#include <CLI/CLI.hpp>

#include <stdexcept>

namespace pkv::cli {

void add_replay(CLI::App& app);
void add_bench(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_plan(CLI::App& app);
void add_regret(CLI::App& app);
void add_report(CLI::App& app);
void add_reproduce(CLI::App& app);
void add_route(CLI::App& app);
void add_timeline(CLI::App& app);
void add_trace(CLI::App& app);
void add_info(CLI::App& app);

/// The work was done, but its result is not good enough: exit code 1.
class CheckFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace pkv::cli
