#include "persistentkv/trace/families.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>

namespace pkv {

namespace {

constexpr std::int64_t kMaxRequests = std::int64_t{1} << 24;
constexpr std::int64_t kPromptMultiple = 16;
constexpr std::array<std::string_view, 5> kNames = {"uniform", "bimodal", "zipf", "bucketed", "homogeneous"};

void require_in_range(std::string_view name, std::int64_t value, std::int64_t high) {
  if (value < 1 || value > high) throw InvalidArgument(fmt::format("{} is {}, must be in [1, {}]", name, value, high));
}

/// The families' requests in order; the order of the draws within a request is part of their definition.
class Generator {
 public:
  explicit Generator(const FamilyOptions& options) : options_(options), random_(options.seed) {}

  bool next(Request& request) {
    if (index_ == options_.num_requests) return false;
    draw_tokens(request);
    request.prompt_tokens = (request.prompt_tokens + kPromptMultiple - 1) / kPromptMultiple * kPromptMultiple;
    request.arrival = index_ / options_.max_active;
    request.prefix_block_ids.clear();
    ++index_;
    return true;
  }

 private:
  std::int64_t draw(std::int64_t low, std::int64_t high) {
    return static_cast<std::int64_t>(random_()) % (high - low) + low;
  }

  void draw_tokens(Request& request) {
    switch (options_.family) {
      case TraceFamily::kUniform:
        request.prompt_tokens = draw(4096, 32769);
        request.decode_tokens = draw(16, 97);
        return;
      case TraceFamily::kBimodal: {
        const bool is_long = index_ % 4 == 0;
        request.prompt_tokens = is_long ? draw(24576, 65537) : draw(2048, 12289);
        request.decode_tokens = is_long ? draw(32, 129) : draw(8, 65);
        return;
      }
      case TraceFamily::kZipf: {
        const auto rank = static_cast<double>(draw(1, 33));
        const auto typical = static_cast<std::int64_t>(2048 + 65536 / std::sqrt(rank));
        request.prompt_tokens = std::max<std::int64_t>(1024, typical + draw(-512, 513));
        request.decode_tokens = draw(8, 129);
        return;
      }
      case TraceFamily::kBucketed:
        request.prompt_tokens = std::int64_t{8192} << index_ % 4;
        request.decode_tokens = draw(32, 97);
        return;
      case TraceFamily::kHomogeneous:
        request.prompt_tokens = 32768;
        request.decode_tokens = draw(32, 97);
        return;
    }
  }

  FamilyOptions options_;
  std::mt19937 random_;
  std::int64_t index_ = 0;
};

class FamilySource final : public RequestSource {
 public:
  explicit FamilySource(const FamilyOptions& options)
      : generator_(options), name_(fmt::format("{}, seed {}", to_string(options.family), options.seed)) {}

  bool next(Request& request) override { return generator_.next(request); }
  ArrivalUnit arrival_unit() const noexcept override { return ArrivalUnit::kSteps; }
  std::string name() const override { return name_; }
  std::int64_t skipped_rows() const noexcept override { return 0; }

 private:
  Generator generator_;
  std::string name_;
};

}  // namespace

std::string_view to_string(TraceFamily family) noexcept { return kNames[static_cast<std::size_t>(family)]; }

TraceFamily parse_trace_family(std::string_view text) {
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end())
    throw InvalidArgument(fmt::format("trace family is '{}', must be one of {}", text, fmt::join(kNames, ", ")));
  return static_cast<TraceFamily>(found - kNames.begin());
}

void FamilyOptions::validate() const {
  require_in_range("num_requests", num_requests, kMaxRequests);
  require_in_range("max_active", max_active, kMaxBatch);
}

std::vector<Request> generate_requests(const FamilyOptions& options) {
  options.validate();
  std::vector<Request> requests(static_cast<std::size_t>(options.num_requests));
  Generator generator(options);
  for (Request& request : requests) generator.next(request);
  return requests;
}

std::unique_ptr<RequestSource> make_family_source(const FamilyOptions& options) {
  options.validate();
  return std::make_unique<FamilySource>(options);
}

}  // namespace pkv
