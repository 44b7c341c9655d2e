#pragma once

// A replay's result for people and for programs.

#include "replay/replay.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace pkv::cli {

/// What the result alone does not tell.
struct ReplayContext {
  AttentionShape shape;
  DType dtype = DType::kF16;
  std::string backend;      ///< name and threads
  std::string cache_state;  ///< how the caches were before each run
  int num_sms = 28;         ///< that CTAs are divided by
  bool on_gpu = false;      ///< times are short enough for microseconds
};

[[nodiscard]] std::string replay_text(const replay::ReplayResult& result, const ReplayContext& context);
[[nodiscard]] nlohmann::ordered_json replay_json(const replay::ReplayResult& result, const ReplayContext& context);

}  // namespace pkv::cli
