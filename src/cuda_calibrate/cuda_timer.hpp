#pragma once

// The GPU's routes as something to be timed.

#include "calibrate/step_timer.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <memory>
#include <vector>

namespace pkv::calibrate {

struct CudaTimerConfig {
  CudaBackendConfig backend;
  std::vector<std::shared_ptr<Backend>> more_backends;  ///< who runs the routes that are not our own
  bool pdl = true;  ///< layers chained by programmatic dependent launch, where a route has it
  int stream_tile_tokens = 16;
  std::string driver;  ///< and versions, as provenance names them
};

/// One layer in graph replay: many steps of the same lengths, each on pages of its own, in one graph, so that L2 holds
/// nothing of a step when it begins, and the graph's launch is shared. What a route plans on the GPU is in its time;
/// what it plans on the host, uploads included, is told apart. The launches of a serving step are nodes of a graph,
/// too. Throws as make_cuda_backend does.
[[nodiscard]] std::unique_ptr<StepTimer> make_cuda_timer(const CudaTimerConfig& config);

}  // namespace pkv::calibrate
