#include "conformance/execute.hpp"
#include "conformance/resident.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

namespace pkv::conformance {

namespace {

ProblemSpec ragged() {
  ProblemSpec spec;
  spec.shape = {.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 128};
  spec.lengths = {300, 0, 17, 64, 129};
  return spec;
}

/// Runs `body` with every route that the subject offers, and 16 splits or workers of 16 tokens a tile.
void with_routes(Context& context, const ProblemSpec& spec, const std::function<void(const Cut&)>& body) {
  if (const std::string reason = why_not(context, spec); !reason.empty()) return context.skip(reason);
  for (const Route route : context.backend->capabilities().routes()) {
    Cut cut{route, {}};
    cut.options.tile_tokens = 16;
    cut.options.num_workers = 16;
    body(cut);
  }
}

std::unique_ptr<PreparedStep> prepare(Context& context, const Problem& problem, const Cut& cut) {
  return context.backend->prepare_route(problem.step(), cut.route, cut.options);
}

void check_determinism(Context& context) {
  ProblemSpec spec = ragged();
  spec.out_dtype = DType::kF32;  // rounding would hide the last bits
  Problem problem(spec, context.random.bits());
  with_routes(context, problem.spec, [&](const Cut& cut) {
    Bytes out;
    Bytes lse;
    for (int i = 0; i < 6; ++i) {
      const auto prepared = prepare(context, problem, cut);
      run_layer(context, *prepared, problem.layer_data);
      ++context.ran;
      if (i > 0 && (out != problem.layer_data.out_bytes() || lse != problem.layer_data.lse_bytes()))
        throw Failure(fmt::format("{}: run {} gave other bits than the first", to_string(cut), i));
      out = problem.layer_data.out_bytes();
      lse = problem.layer_data.lse_bytes();
    }
  });
}

/// One prepared step serves every layer, and each anew.
void check_layers(Context& context) {
  const ProblemSpec spec = ragged();
  Problem problem(spec, context.random.bits());
  std::vector<std::unique_ptr<LayerData>> layers;
  for (int i = 0; i < 3; ++i) {
    ProblemSpec other = spec;
    other.layout = i == 0 ? KvLayout::kNHD : KvLayout::kPackedPage;
    other.out_dtype = i == 1 ? DType::kF32 : spec.dtype;
    if (i == 2) other.lse.reset();
    layers.push_back(std::make_unique<LayerData>(other, problem.step(), context.random.bits()));
  }
  with_routes(context, spec, [&](const Cut& cut) {
    const auto prepared = prepare(context, problem, cut);
    const std::optional<WorkPlan> plan = plan_of(problem.step(), cut);
    const auto fresh = prepared->executed();
    if (fresh.launches != 0 || fresh.kv_tokens != 0) throw Failure("executed() must be zeros before the first run");
    for (const auto& layer : layers) {
      run_layer(context, *prepared, *layer);
      ++context.ran;
      const std::string wrong = Expectation(problem.step(), *layer).disagreement(context.subject.lse_limit);
      if (!wrong.empty()) throw Failure(fmt::format("{}, a layer after others: {}", to_string(cut), wrong));
      check_run(context, *prepared, problem, plan ? &*plan : nullptr, to_string(cut) + ", a layer between others");
    }
  });
}

void check_side_by_side(Context& context) {
  Problem first(ragged(), context.random.bits());
  ProblemSpec spec = ragged();
  spec.lengths = {5, 200, 33};
  spec.page_size = 64;
  Problem second(spec, context.random.bits());
  with_routes(context, spec, [&](const Cut& cut) {
    const auto a = prepare(context, first, cut);
    const auto b = prepare(context, second, cut);
    for (int i = 0; i < 2; ++i) {
      check_run(context, *a, first, nullptr, to_string(cut) + ", first of two");
      check_run(context, *b, second, nullptr, to_string(cut) + ", second of two");
    }
  });
}

/// Runs a prepared step again and again; keeps what went wrong.
void hammer(Context& context, PreparedStep& prepared, LayerData& data, std::exception_ptr& error) {
  try {
    for (int i = 0; i < 8; ++i) run_layer(context, prepared, data);
  } catch (...) {
    error = std::current_exception();
  }
}

void check_two_threads(Context& context) {
  Problem first(ragged(), context.random.bits());
  Problem second(ragged(), context.random.bits());
  with_routes(context, first.spec, [&](const Cut& cut) {
    const auto a = prepare(context, first, cut);
    const auto b = prepare(context, second, cut);
    std::exception_ptr error_a;
    std::exception_ptr error_b;
    std::thread thread([&] { hammer(context, *a, first.layer_data, error_a); });
    hammer(context, *b, second.layer_data, error_b);
    thread.join();
    if (error_a) std::rethrow_exception(error_a);
    if (error_b) std::rethrow_exception(error_b);
    ++context.ran;
    for (const Problem* problem : {&first, &second}) {
      const std::string wrong = problem->expectation.disagreement(context.subject.lse_limit);
      if (!wrong.empty()) throw Failure(fmt::format("{}, two threads: {}", to_string(cut), wrong));
    }
  });
}

void check_empty_rows(Context& context) {
  for (const bool lse : {true, false}) {
    ProblemSpec spec = ragged();
    spec.lengths = {0, -7, 0};
    if (!lse) spec.lse.reset();
    Problem problem(spec, context.random.bits());
    with_routes(context, spec, [&](const Cut& cut) { check_cut(context, problem, cut); });
  }
}

void check_no_rows(Context& context) {
  with_routes(context, ragged(), [&](const Cut& cut) {
    Step step;
    step.shape = ragged().shape;
    const auto prepared = context.backend->prepare_route(step, cut.route, cut.options);
    prepared->run(Layer{});
    ++context.ran;
  });
}

/// The number of workers is the backend's own where the caller names none.
void check_default_workers(Context& context) {
  Problem problem(ragged(), context.random.bits());
  with_routes(context, problem.spec, [&](Cut cut) {
    cut.options.num_workers = 0;
    const auto prepared = prepare(context, problem, cut);
    check_run(context, *prepared, problem, nullptr, to_string(cut));
  });
}

void check_device_lengths(Context& context) {
  const Capabilities& can = context.backend->capabilities();
  if (can.device_lengths.empty()) return context.skip("capabilities().device_lengths is empty");
  for (const TableForm form : {TableForm::kDense32, TableForm::kRowIds, TableForm::kCsr64, TableForm::kTokenSlots}) {
    ProblemSpec spec = ragged();
    spec.table = form;
    spec.lengths_form = form == TableForm::kCsr64 ? LengthsForm::kCumulative64 : LengthsForm::kDelta;
    Problem problem(spec, context.random.bits());
    with_routes(context, spec, [&](const Cut& cut) {
      if (!can.takes_device_lengths(cut.route)) return;
      ResidentStep resident(*context.subject.memory, problem.step_data);
      const auto prepared = context.backend->prepare_route(resident.step(), cut.route, cut.options);
      check_run(context, *prepared, problem, nullptr, to_string(cut) + ", lengths and table on the device");
    });
  }
}

}  // namespace

void add_life_cases(std::vector<Case>& cases) {
  cases.push_back({"Life/SameInputsSameBits", check_determinism});
  cases.push_back({"Life/OneStepManyLayers", check_layers});
  cases.push_back({"Life/StepsSideBySide", check_side_by_side});
  cases.push_back({"Life/TwoThreads", check_two_threads});
  cases.push_back({"Life/EmptyRows", check_empty_rows});
  cases.push_back({"Life/NoRows", check_no_rows});
  cases.push_back({"Life/DefaultWorkers", check_default_workers});
  cases.push_back({"Life/DeviceLengths", check_device_lengths});
}

}  // namespace pkv::conformance
