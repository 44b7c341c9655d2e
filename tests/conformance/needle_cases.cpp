#include "conformance/execute.hpp"

#include <fmt/format.h>

#include <set>

namespace pkv::conformance {

namespace {

/// Both sides of every page and tile edge of a row, and so of every split, since splits are whole tiles.
std::set<std::int64_t> edges(std::int64_t length, int page_size, int tile_tokens) {
  std::set<std::int64_t> tokens = {0, length - 1};
  for (const std::int64_t unit : {page_size, tile_tokens}) {
    for (std::int64_t edge = unit; edge < length; edge += unit) {
      tokens.insert(edge - 1);
      tokens.insert(edge);
    }
  }
  return tokens;
}

void check_needles(Context& context, int page_size, int tile_tokens, double weight) {
  ProblemSpec spec;
  spec.shape = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 64};
  spec.page_size = page_size;
  const std::int64_t length = page_size == 1 ? 70 : 261;  // a row for each edge: few where each token is one
  for (const std::int64_t token : edges(length, page_size, tile_tokens)) {
    spec.needles.push_back({std::ssize(spec.lengths), token, weight});
    spec.lengths.push_back(length);
  }
  if (const std::string reason = why_not(context, spec); !reason.empty()) return context.skip(reason);
  Problem problem(spec, context.random.bits());
  for (const Route route : context.backend->capabilities().routes())
    check_cut(context, problem, random_cut(route, tile_tokens, context.random));
}

}  // namespace

void add_needle_cases(std::vector<Case>& cases) {
  struct Sizes {
    int page_size;
    int tile_tokens;
  };
  for (const Sizes sizes : {Sizes{16, 32}, Sizes{16, 16}, Sizes{64, 16}, Sizes{1, 32}, Sizes{256, 32}, Sizes{8, 20}}) {
    for (const double weight : {0.5, 0.9999}) {
      cases.push_back({fmt::format("Needle/page{}_tile{}_{}", sizes.page_size, sizes.tile_tokens,
                                   weight < 0.9 ? "half" : "dominant"),
                       [=](Context& context) { check_needles(context, sizes.page_size, sizes.tile_tokens, weight); }});
    }
  }
}

}  // namespace pkv::conformance
