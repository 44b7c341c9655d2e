#pragma once

// Options that several subcommands share, and what they mean.

#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/core/dtype.hpp"
#include "persistentkv/plan/schedule.hpp"
#include "persistentkv/trace/families.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pkv::cli {

struct ShapeOptions {
  AttentionShape shape;
  std::string dtype = "fp16";
  int page_size = 16;

  void add_to(CLI::App& command);
  [[nodiscard]] DType parsed_dtype() const { return parse_dtype(dtype); }
};

/// A family of the paper, as the paper runs it unless told otherwise.
struct FamilyChoice {
  std::string family = "bimodal";
  std::uint32_t seed = 20260623;
  std::int64_t max_active = 0;    ///< 0: the paper's for the family
  std::int64_t num_requests = 0;  ///< likewise

  void add_to(CLI::App& command);
  [[nodiscard]] FamilyOptions resolve() const;
  /// Decode steps that the paper measures of the family.
  [[nodiscard]] std::int64_t paper_steps() const;
};

/// How schedules are told to cut.
struct CutOptions {
  PlanOptions plan;
  std::vector<std::string> splits;  ///< "20", or "workqueue=20"

  void add_to(CLI::App& command);
  /// Options of one schedule. Where no splits are given for it, those that the paper fixed for the family's workqueue
  /// and single-row bucket, if there is a family and it did.
  [[nodiscard]] PlanOptions resolve(Schedule schedule, const std::optional<TraceFamily>& family) const;
  /// Whether plan.tile_tokens was asked for, and is not just the default.
  [[nodiscard]] bool tile_given() const { return tile != nullptr && tile->count() > 0; }

  CLI::Option* tile = nullptr;
};

/// The rows of one step: as listed, or step `step` of a family.
struct StepChoice {
  std::vector<std::int32_t> lengths;
  std::int64_t step = 0;
  FamilyChoice family;

  void add_to(CLI::App& command);
  [[nodiscard]] std::vector<std::int32_t> resolve() const;
};

}  // namespace pkv::cli
