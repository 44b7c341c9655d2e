#include "conformance/execute.hpp"
#include "conformance/resident.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pkv::conformance {

namespace {

using Words = std::vector<std::string>;

ProblemSpec ragged() {
  ProblemSpec spec;
  spec.shape = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 64};
  spec.lengths = {33, 0, 16};
  return spec;
}

/// Throws Failure unless `call` throws ErrorType with every word in its message.
template <class ErrorType, class Call>
void expect_refusal(Context& context, const std::string& what, const Words& words, Call&& call) {
  ++context.ran;
  try {
    call();
  } catch (const ErrorType& error) {
    for (const std::string& word : words)
      if (std::string(error.what()).find(word) == std::string::npos)
        throw Failure(fmt::format("{}: '{}' does not say '{}'", what, error.what(), word));
    return;
  }
  throw Failure(fmt::format("{}: nothing was thrown, expected an error that says {}", what, fmt::join(words, ", ")));
}

struct BadStep {
  const char* what;
  std::function<void(Step&)> spoil;
  Words words;
};

const std::vector<BadStep>& bad_steps() {
  static const std::int64_t huge[] = {INT64_MAX, 1, 1};
  static const std::int32_t long_row[] = {33, 0, 4000};
  static const std::int64_t bad_page[] = {0, 1, 1 << 20, 0, 0, 0, 2, 0, 0};
  static const std::int64_t negative_page[] = {0, -1, 2, 0, 0, 0, 2, 0, 0};
  static const std::int32_t bad_ids[] = {0, 1, -1};
  static const std::vector<BadStep> steps = {
      {"Hq not a multiple of Hkv", [](Step& s) { s.shape.num_q_heads = 5; }, {"num_q_heads", "5", "2"}},
      {"no heads", [](Step& s) { s.shape.num_kv_heads = 0; }, {"num_kv_heads", "0", "1"}},
      {"negative head_dim", [](Step& s) { s.shape.head_dim = -64; }, {"head_dim", "-64", "1"}},
      {"scale", [](Step& s) { s.shape.softmax_scale = -1.0; }, {"softmax_scale", "-1"}},
      {"page size", [](Step& s) { s.page_size = 0; }, {"page_size", "0", "1"}},
      {"negative batch", [](Step& s) { s.batch = -1; }, {"batch", "-1", "0"}},
      {"huge batch", [](Step& s) { s.batch = INT64_MAX; }, {"batch", "9223372036854775807"}},
      {"negative pool", [](Step& s) { s.num_pages = -5; }, {"num_pages", "-5", "0"}},
      {"no lengths", [](Step& s) { s.lengths.values.data = nullptr; }, {"lengths", "null"}},
      {"few lengths", [](Step& s) { s.lengths.values.size = 2; }, {"lengths", "2", "3"}},
      {"overflowing length", [](Step& s) { s.lengths.values = IndexView::host(huge, 3); }, {"lengths[0]"}},
      {"overflowing delta", [](Step& s) { s.lengths.delta = INT64_MAX; }, {"lengths[0]"}},
      {"long row", [](Step& s) { s.lengths.values = IndexView::host(long_row, 3); }, {"lengths[2]", "4000"}},
      {"page id", [](Step& s) { s.table = PageTableView::dense(bad_page, 3, 3); }, {"row 0, page 2", "1048576"}},
      {"negative page id",
       [](Step& s) { s.table = PageTableView::dense(negative_page, 3, 3); },
       {"row 0, page 1", "-1"}},
      {"no entries", [](Step& s) { s.table.entries.data = nullptr; }, {"page_table.entries", "null"}},
      {"few entries", [](Step& s) { s.table.entries.size = 3; }, {"page_table"}},
      {"table row ids",
       [](Step& s) { s.table.row_ids = IndexView::host(bad_ids, 3); },
       {"page_table.row_ids[2]", "-1", "0"}},
      {"divisor", [](Step& s) { s.table.entry_divisor = 0; }, {"page_table.entry_divisor", "0", "1"}},
  };
  return steps;
}

void check_bad_steps(Context& context) {
  const StepData data(ragged(), context.random.bits());
  for (const BadStep& bad : bad_steps()) {
    Step step = data.step();
    bad.spoil(step);
    for (const Route route : context.backend->capabilities().routes()) {
      PlanOptions options;
      options.num_workers = 4;
      expect_refusal<InvalidArgument>(context, fmt::format("{}, {}", to_string(route), bad.what), bad.words,
                                      [&] { (void)context.backend->prepare_route(step, route, options); });
    }
  }
}

struct BadOption {
  Schedule schedule;
  std::function<void(PlanOptions&)> spoil;
  Words words;
};

void check_bad_options(Context& context) {
  const StepData data(ragged(), context.random.bits());
  const BadOption options[] = {
      {Schedule::kWorkqueue, [](PlanOptions& o) { o.tile_tokens = 0; }, {"tile_tokens", "0", "1"}},
      {Schedule::kPaddedBucket, [](PlanOptions& o) { o.tile_tokens = -32; }, {"tile_tokens", "-32", "1"}},
      {Schedule::kWorkqueue, [](PlanOptions& o) { o.splits = -1; }, {"splits", "-1", "0"}},
      {Schedule::kSequenceSplit, [](PlanOptions& o) { o.splits = INT32_MAX; }, {"splits", "2147483647"}},
      {Schedule::kCoarseBuckets, [](PlanOptions& o) { o.bucket_tokens = 0; }, {"bucket_tokens", "0", "1"}},
      {Schedule::kStream, [](PlanOptions& o) { o.num_workers = -1; }, {"num_workers", "-1", "1"}},
      {Schedule::kStream, [](PlanOptions& o) { o.segment_cost_tokens = -1; }, {"segment_cost_tokens", "-1", "0"}},
      {Schedule::kStream, [](PlanOptions& o) { o.ahead_tokens = -1; }, {"ahead_tokens", "-1", "0"}},
      {Schedule::kStream, [](PlanOptions& o) { o.uncut_tokens = -1; }, {"uncut_tokens", "-1", "0"}},
      {Schedule::kStream, [](PlanOptions& o) { o.whole_unit_tokens = 65536; }, {"whole_unit_tokens", "65536", "65535"}},
  };
  const auto& offered = context.backend->capabilities().schedules;
  for (const BadOption& bad : options) {
    if (std::find(offered.begin(), offered.end(), bad.schedule) == offered.end()) {
      context.skip(fmt::format("schedule {} is not offered", to_string(bad.schedule)));
      continue;
    }
    PlanOptions spoilt;
    spoilt.num_workers = 4;
    bad.spoil(spoilt);
    expect_refusal<InvalidArgument>(context, std::string(to_string(bad.schedule)), bad.words,
                                    [&] { (void)context.backend->prepare(data.step(), bad.schedule, spoilt); });
  }
}

struct BadLayer {
  const char* what;
  std::function<void(Layer&)> spoil;
  Words words;
};

const std::vector<BadLayer>& bad_layers() {
  static const auto shift = [](const void* p) { return const_cast<char*>(static_cast<const char*>(p)) + 1; };
  static const std::vector<BadLayer> layers = {
      {"null q", [](Layer& l) { l.q.data = nullptr; }, {"q.data", "null"}},
      {"null K", [](Layer& l) { l.kv.k.data = nullptr; }, {"k.data", "null"}},
      {"null V", [](Layer& l) { l.kv.v.data = nullptr; }, {"v.data", "null"}},
      {"null out", [](Layer& l) { l.out.data = nullptr; }, {"out.data", "null"}},
      {"null LSE", [](Layer& l) { l.lse->data = nullptr; }, {"lse.data", "null"}},
      {"misaligned q", [](Layer& l) { l.q.data = shift(l.q.data); }, {"q.data", "2"}},
      {"misaligned out", [](Layer& l) { l.out.data = shift(l.out.data); }, {"out.data", "2"}},
      {"dtype of K and V", [](Layer& l) { l.kv.dtype = DType::kBF16; }, {"kv.dtype", "bf16", "fp16"}},
      {"dtype of q", [](Layer& l) { l.q.dtype = DType::kF32; }, {"q.dtype", "fp32", "fp16"}},
      {"dtype of out", [](Layer& l) { l.out.dtype = DType::kBF16; }, {"out.dtype", "bf16", "fp16"}},
      {"page size", [](Layer& l) { l.kv.page_size = 32; }, {"kv.page_size", "32", "16"}},
      {"pool", [](Layer& l) { l.kv.num_pages += 1; }, {"kv.num_pages"}},
      {"rows of q", [](Layer& l) { l.q.num_rows = 2; }, {"q.num_rows", "2", "3"}},
      {"rows of out", [](Layer& l) { l.out.num_rows = 2; }, {"out.num_rows", "2", "3"}},
      {"page stride", [](Layer& l) { l.kv.k.page_stride = 1; }, {"k.page_stride", "1"}},
      {"token stride", [](Layer& l) { l.kv.v.token_stride = 0; }, {"v.token_stride", "0", "64"}},
      {"negative stride", [](Layer& l) { l.q.row_stride = -256; }, {"q.row_stride", "-256"}},
      {"huge stride", [](Layer& l) { l.kv.v.page_stride = INT64_MAX; }, {"v.page_stride", "9223372036854775807"}},
      {"overlapping out", [](Layer& l) { l.out.head_stride = 63; }, {"out.head_stride", "63", "64"}},
      {"overlapping LSE", [](Layer& l) { l.lse->row_stride = 1; }, {"lse", "stride"}},
  };
  return layers;
}

void check_bad_layers(Context& context) {
  StepData step_data(ragged(), context.random.bits());
  LayerData data(ragged(), step_data.step(), context.random.bits());
  const Bytes out = data.out_bytes();
  const Bytes lse = data.lse_bytes();
  for (const Route route : context.backend->capabilities().routes()) {
    PlanOptions options;
    options.num_workers = 4;
    const auto prepared = context.backend->prepare_route(step_data.step(), route, options);
    for (const BadLayer& bad : bad_layers()) {
      const std::string what = fmt::format("{}, {}", to_string(route), bad.what);
      ResidentLayer resident(*context.subject.memory, data);
      Layer layer = resident.layer();
      bad.spoil(layer);
      expect_refusal<InvalidArgument>(context, what, bad.words, [&] { prepared->run(layer); });
      resident.download();
      if (data.out_bytes() != out || data.lse_bytes() != lse)
        throw Failure(fmt::format("{}: refused, but outputs were written", what));
    }
  }
}

void check_row_ids(Context& context) {
  if (context.subject.memory->space() != MemorySpace::kHost) return context.skip("row ids on the device are not read");
  StepData step_data(ragged(), context.random.bits());
  LayerData data(ragged(), step_data.step(), context.random.bits());
  const std::int64_t ids[] = {0, 2, 3};
  const auto prepared = context.backend->prepare_route(
      step_data.step(), context.backend->capabilities().routes().front(), PlanOptions{.num_workers = 4});
  ResidentLayer resident(*context.subject.memory, data);
  Layer layer = resident.layer();
  layer.q.row_ids = IndexView::host(ids, 3);
  expect_refusal<InvalidArgument>(context, "row ids of q", {"q.row_ids[2]", "3"}, [&] { prepared->run(layer); });
  layer.q.row_ids = {};
  layer.out.row_ids = IndexView::host(ids, 3);
  expect_refusal<InvalidArgument>(context, "row ids of out", {"out.row_ids[2]", "3"}, [&] { prepared->run(layer); });
}

/// What is declared as not supported is refused, in the words of the declaration.
void check_unsupported(Context& context) {
  const Capabilities& capabilities = context.backend->capabilities();
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
    for (const int head_dim : {8, 17, 40, 64, 80, 1024}) {
      for (const int group_size : {1, 5, 64}) {
        ProblemSpec spec;
        spec.shape = {.num_q_heads = group_size, .num_kv_heads = 1, .head_dim = head_dim};
        spec.dtype = dtype;
        spec.lengths = {3};
        const std::string reason = why_not(context, spec);
        if (reason.empty()) continue;
        const StepData data(spec, context.random.bits());
        expect_refusal<Unsupported>(context, "unsupported shape", {reason}, [&] {
          (void)context.backend->prepare_route(data.step(), capabilities.routes().front(),
                                               PlanOptions{.num_workers = 4});
        });
      }
    }
  }
}

}  // namespace

void add_bad_input_cases(std::vector<Case>& cases) {
  cases.push_back({"BadInput/Step", check_bad_steps});
  cases.push_back({"BadInput/Options", check_bad_options});
  cases.push_back({"BadInput/Layer", check_bad_layers});
  cases.push_back({"BadInput/RowIds", check_row_ids});
  cases.push_back({"BadInput/Unsupported", check_unsupported});
}

}  // namespace pkv::conformance
