#include "conformance/execute.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pkv::conformance {

namespace {

constexpr int kProblems = 44;
constexpr std::array kGroups = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32};
constexpr std::array kHeadDims = {64, 80, 96, 128, 256};
constexpr std::array kPageSizes = {1, 8, 16, 64, 256};
constexpr std::array kTiles = {32, 16, 1, 64, 7, 128, 512};
constexpr std::array kKvHeads = {1, 2, 3, 8};
constexpr std::array kDtypes = {DType::kF16, DType::kBF16, DType::kF16, DType::kBF16, DType::kF32};
constexpr std::array kLayouts = {KvLayout::kHND, KvLayout::kNHD, KvLayout::kPackedPage, KvLayout::kPackedToken};
constexpr std::array kTables = {TableForm::kDense32, TableForm::kDense64, TableForm::kRowIds,
                                TableForm::kCsr32,   TableForm::kCsr64,   TableForm::kTokenSlots};
constexpr std::array kLengthsForms = {LengthsForm::kI32, LengthsForm::kI64, LengthsForm::kCumulative32,
                                      LengthsForm::kCumulative64, LengthsForm::kDelta};

/// Values of one dimension, each drawn once before any is drawn again.
template <class T, std::size_t N>
class Deck {
 public:
  Deck(const std::array<T, N>& values, std::uint64_t seed) : values_(values), random_(seed) {}
  T draw() {
    if (next_ == 0) random_.shuffle(values_);
    const T value = values_[next_];
    next_ = (next_ + 1) % N;
    return value;
  }

 private:
  std::array<T, N> values_;
  Random random_;
  std::size_t next_ = 0;
};

struct Design {
  ProblemSpec spec;
  int tile_tokens = 32;
};

/// Which values meet is the same in every run, so that every value is there; the numbers themselves are always fresh.
std::vector<Design> designs(int count, std::uint64_t seed) {
  Deck groups(kGroups, seed + 1);
  Deck head_dims(kHeadDims, seed + 2);
  Deck page_sizes(kPageSizes, seed + 3);
  Deck tiles(kTiles, seed + 4);
  Deck kv_heads(kKvHeads, seed + 5);
  Deck dtypes(kDtypes, seed + 6);
  Deck layouts(kLayouts, seed + 7);
  Deck tables(kTables, seed + 8);
  Deck forms(kLengthsForms, seed + 9);
  Random random(seed);
  std::vector<Design> designs(static_cast<std::size_t>(count));
  for (Design& design : designs) {
    ProblemSpec& spec = design.spec;
    const int group = groups.draw();
    spec.shape.num_kv_heads = std::min(kv_heads.draw(), std::max(1, 32 / group));
    spec.shape.num_q_heads = group * spec.shape.num_kv_heads;
    spec.shape.head_dim = head_dims.draw();
    if (random.chance(0.25)) spec.shape.softmax_scale = 0.07;
    spec.dtype = dtypes.draw();
    spec.out_dtype = random.chance(0.3) ? DType::kF32 : spec.dtype;
    spec.page_size = page_sizes.draw();
    design.tile_tokens = tiles.draw();
    spec.layout = layouts.draw();
    spec.table = tables.draw();
    spec.lengths_form = forms.draw();
    spec.share_prefix = random.chance(0.3);
    spec.padded = random.chance(0.5);
    spec.row_ids = random.chance(0.5);
    spec.heads_first = random.chance(0.3);
    if (random.chance(0.2))
      spec.lse.reset();
    else
      spec.lse = random.chance(0.5) ? LseBase::kTwo : LseBase::kNatural;
  }
  return designs;
}

/// Rows within what an oracle does in a few milliseconds: on and beside page and tile edges, random ones, empty ones.
std::vector<std::int64_t> draw_lengths(const Design& design, Random& random) {
  const AttentionShape& shape = design.spec.shape;
  std::int64_t budget = std::clamp<std::int64_t>(3'000'000 / (shape.num_q_heads * shape.head_dim), 300, 3000);
  const std::int64_t rows = random.in(1, 9);
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t unit = random.chance(0.5) ? design.spec.page_size : design.tile_tokens;
    std::int64_t length = 0;
    switch (random.in(0, 5)) {
      case 0:
        length = random.chance(0.5) ? 0 : random.in(-5, -1);
        break;
      case 1:
        length = random.in(1, 8);
        break;
      case 2:
        length = random.in(0, budget);
        break;
      default:
        length = unit * random.in(1, std::max<std::int64_t>(1, 260 / unit)) + random.in(-1, 1);
    }
    length = std::min(length, budget);
    budget -= std::max<std::int64_t>(length, 0);
    lengths.push_back(length);
  }
  return lengths;
}

void check_all_routes(Context& context, Design design) {
  if (const std::string reason = why_not(context, design.spec); !reason.empty()) return context.skip(reason);
  design.spec.pad_elements = context.backend->capabilities().alignment_elements(design.spec.dtype);
  Problem problem(design.spec, context.random.bits());
  for (const Route route : context.backend->capabilities().routes())
    check_cut(context, problem, random_cut(route, design.tile_tokens, context.random));
}

void check_paper_setting(Context& context) {
  ProblemSpec spec;  // the defaults are the paper's
  spec.lengths = {257, 33, 700, 64};
  if (const std::string reason = why_not(context, spec); !reason.empty()) return context.skip(reason);
  Problem problem(spec, context.random.bits());
  for (const Route route : context.backend->capabilities().routes()) {
    check_cut(context, problem, random_cut(route, 32, context.random));
    const Expectation::AbsoluteError error = problem.expectation.absolute_error();
    if (!(error.max <= 2e-3 && error.mean <= 3e-4))
      throw Failure(fmt::format("{}: absolute error is {} at most and {} on average, must be within 2e-3 and 3e-4",
                                to_string(route), error.max, error.mean));
  }
}

}  // namespace

void add_matrix_cases(std::vector<Case>& cases) {
  cases.push_back({"LargeScores", [](Context& context) {  // an exponential of 1e4 overflows
                     for (Design& design : designs(5, context.random.bits())) {
                       design.spec.score_scale = 3000.0;
                       design.spec.dtype = design.spec.out_dtype = DType::kBF16;  // whose range such queries need
                       design.spec.lengths = {1, 40, 300};
                       check_all_routes(context, design);
                     }
                   }});
  cases.push_back({"PaperSetting", check_paper_setting});
  int index = 0;
  for (const Design& design : designs(kProblems, 2606)) {
    cases.push_back({fmt::format("Matrix/{:02}", index++), [design](Context& context) {
                       Design fresh = design;
                       fresh.spec.lengths = draw_lengths(fresh, context.random);
                       check_all_routes(context, fresh);
                     }});
  }
  cases.push_back({"RandomCombinations", [](Context& context) {
                     for (Design& design : designs(8, context.random.bits())) {
                       design.spec.lengths = draw_lengths(design, context.random);
                       check_all_routes(context, design);
                     }
                   }});
}

}  // namespace pkv::conformance
