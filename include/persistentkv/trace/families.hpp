#pragma once

/// The five synthetic trace families of the PersistentKV study (arXiv 2606.26666), bit-exact on every platform: each
/// draw in [lo, hi) is the next value of std::mt19937{seed}, modulo hi - lo, plus lo.

#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pkv {

enum class TraceFamily : std::uint8_t {
  kUniform,      ///< prompts in [4096, 32769), decodes in [16, 97)
  kBimodal,      ///< every fourth request long: [24576, 65537) and [32, 129); others [2048, 12289) and [8, 65)
  kZipf,         ///< prompt 2048 + 65536 / sqrt(rank in [1, 33)) with a jitter of 512, decodes in [8, 129)
  kBucketed,     ///< prompts 8192, 16384, 32768, 65536 in turn, decodes in [32, 97)
  kHomogeneous,  ///< prompts of 32768, decodes in [32, 97)
};

/// "uniform", "bimodal", "zipf", "bucketed" or "homogeneous".
[[nodiscard]] std::string_view to_string(TraceFamily family) noexcept;

/// The inverse of to_string. Throws InvalidArgument for any other text.
[[nodiscard]] TraceFamily parse_trace_family(std::string_view text);

struct FamilyOptions {
  TraceFamily family = TraceFamily::kBimodal;
  std::uint32_t seed = 20260623;
  std::int64_t num_requests = 24;  ///< in [1, 2^24]
  std::int64_t max_active = 8;     ///< in [1, kMaxBatch]; request i arrives at step i / max_active

  /// Throws InvalidArgument.
  void validate() const;
};

/// All requests of a family. Prompts are rounded up to a multiple of 16 tokens, whatever the page size of the run: it
/// is part of the families' definition. Throws InvalidArgument.
[[nodiscard]] std::vector<Request> generate_requests(const FamilyOptions& options);

/// The same requests one by one, arrivals in steps. Throws InvalidArgument.
[[nodiscard]] std::unique_ptr<RequestSource> make_family_source(const FamilyOptions& options);

}  // namespace pkv
