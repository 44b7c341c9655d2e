#pragma once

// `pkv replay --serve`: every route serves the same requests, each on a clock of its own.

#include "options.hpp"
#include "persistentkv/batching/continuous_batcher.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace pkv::cli {

/// What only serving asks.
struct ServingOptionsOfUser {
  bool serve = false;
  std::vector<double> speeds{1.0};  ///< one, or one a trace
  double seconds = 0.0;             ///< 0: all of the trace
  std::string prefill = "separate";
  double prefill_tokens_per_s = 20000.0;
  double mlp_us = -1.0;  ///< below 0: measured, or the profile's
  std::int64_t run_every = 1;
  int run_layers = 4;
  std::int64_t limit_every = 64;

  void add_to(CLI::App& command);
  /// Throws InvalidArgument where an option of these was given and `serve` was not.
  void refuse_without_serve() const;

  std::vector<CLI::Option*> options;
};

/// A serving run as the whole command line has it.
struct ServingRequest {
  ServingOptionsOfUser serving;
  ShapeOptions shape;
  FamilyChoice family;
  CutOptions cut;
  std::vector<std::string> traces;  ///< none: the family
  std::string backend;
  std::vector<std::string> routes;  ///< "all": the policy, where there is a profile, and every route there is here
  std::string profile;              ///< empty: none
  std::int64_t steps = 0;           ///< 0: to the end
  int layers = 0;                   ///< 0: 32
  int checks = 0;
  int threads = 0;
  BatchingOptions batching;  ///< max_active 0: 64
  std::string json;
};

void run_serving_command(const ServingRequest& request);

}  // namespace pkv::cli
