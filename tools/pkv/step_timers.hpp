#pragma once

// `pkv calibrate` and `pkv regret`: who is timed, for each backend, and the options they share.

#include "calibrate/step_timer.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace pkv::cli {

struct TimerOptions {
  std::string backend = "cuda";
  int threads = 0;        ///< CPU
  double pool_gib = 1.0;  ///< CPU
  bool pdl = true;        ///< CUDA

  void add_to(CLI::App& command);
  /// Throws Unsupported where the backend is not to be had here.
  [[nodiscard]] std::unique_ptr<calibrate::StepTimer> make() const;
};

/// Throws Unsupported in a build without CUDA, or with no device.
[[nodiscard]] std::unique_ptr<calibrate::StepTimer> make_cuda_step_timer(const TimerOptions& options);

/// Results that `pkv calibrate` or `pkv regret` has written: {"samples": [...], ...}. Throws IoError.
[[nodiscard]] nlohmann::ordered_json read_results(const std::string& path);

}  // namespace pkv::cli
