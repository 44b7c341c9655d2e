#include "cuda_bench.hpp"

#include "cuda_support/check.hpp"
#include "cuda_support/stream.hpp"
#include "elapsed.hpp"
#include "persistentkv/core/error.hpp"
#include "readers.hpp"
#include "samples.hpp"
#include "variant_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

namespace pkv::cuda_bench {

namespace {

using cuda::check;
using cuda::DeviceArray;

constexpr int kManyNodes = 48;  // enough to share the launch of a graph

/// How many steps take turns, and how many a graph holds.
struct Rotation {
  int steps = 1;
  int nodes = 1;
};

}  // namespace

struct CudaBench::State {
  explicit State(const CudaBenchConfig& of) : config(of), backend(make_cuda_backend(of.backend)) {
    if (config.rounds < 1) throw InvalidArgument(fmt::format("rounds is {}, must be >= 1", config.rounds));
    if (config.max_nodes < 1) throw InvalidArgument(fmt::format("max_nodes is {}, must be >= 1", config.max_nodes));
  }

  [[nodiscard]] std::int64_t pages_of(const std::vector<std::int32_t>& lengths) const {
    std::int64_t pages = 0;
    for (const std::int32_t tokens : lengths) pages += (tokens + config.page_size - 1) / config.page_size;
    return pages;
  }
  [[nodiscard]] std::int64_t kv_page_bytes() const {
    return 2ll * config.shape.num_kv_heads * config.page_size * config.shape.head_dim * size_bytes(config.dtype);
  }
  [[nodiscard]] Rotation rotation(const std::vector<std::int32_t>& lengths, std::int64_t pool_pages) const {
    const std::int64_t bytes = pages_of(lengths) * kv_page_bytes() + 1;
    Rotation r;
    r.steps = static_cast<int>(std::clamp<std::int64_t>(config.rotate_bytes / bytes + 1, 1, config.max_nodes));
    if (pool_pages > 0)
      r.steps =
          static_cast<int>(std::min<std::int64_t>(r.steps, pool_pages / std::max<std::int64_t>(pages_of(lengths), 1)));
    const auto wanted = static_cast<int>(std::min<std::int64_t>(kManyNodes, config.longest_graph_bytes / bytes + 1));
    r.nodes = (std::max(r.steps, wanted) + r.steps - 1) / r.steps * r.steps;
    if (r.nodes > config.max_nodes) r.nodes = config.max_nodes / r.steps * r.steps;
    return r;
  }

  /// Who runs it; null, and each backend's reason, where nobody does.
  [[nodiscard]] Backend* find(Route route, std::string& reasons) const;
  void attend(const DeviceStep& step, std::size_t batch, float* expected);
  void time_eager(VariantRun& run, int nodes, VariantTime& result);
  [[nodiscard]] double error_of(VariantRun& run, const RotatingSteps& steps, int nodes, const VariantTensors& tensors,
                                const float* expected);

  CudaBenchConfig config;
  std::unique_ptr<CudaBackend> backend;
  cuda::Stream stream;
  std::unique_ptr<Pool> pool;
  std::vector<std::int32_t> order;  // all pages, shuffled
  DeviceArray<unsigned char> q;
  std::int64_t out_elements = 0;  // of one step, at most
};

CudaBench::CudaBench(const CudaBenchConfig& config, const std::vector<std::vector<std::int32_t>>& workloads)
    : state_(std::make_unique<State>(config)) {
  State& s = *state_;
  check(cudaSetDevice(s.backend->device().ordinal), "cudaSetDevice");
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const auto most = static_cast<std::int64_t>(static_cast<double>(free) * 0.8) / s.kv_page_bytes();
  std::int64_t pages = 0, rows = 1;
  for (const auto& lengths : workloads) {
    if (s.pages_of(lengths) > most) continue;
    pages = std::max(pages, std::min(most, s.rotation(lengths, 0).steps * s.pages_of(lengths)));
    rows = std::max(rows, static_cast<std::int64_t>(lengths.size()));
  }
  if (pages == 0)
    throw InvalidArgument(fmt::format("no workload fits in the {} MiB that the GPU has free", free >> 20));
  s.pool = std::make_unique<Pool>(config.shape, config.dtype, config.page_size, pages, config.seed);
  s.order.resize(static_cast<std::size_t>(pages));
  std::iota(s.order.begin(), s.order.end(), 0);
  std::shuffle(s.order.begin(), s.order.end(), std::mt19937_64(config.seed));
  s.out_elements = rows * config.shape.num_q_heads * config.shape.head_dim;
  s.q = DeviceArray<unsigned char>(s.out_elements * size_bytes(config.dtype));
  fill_normal(s.q.get(), config.dtype, s.out_elements, config.seed + 2, s.stream.handle());
  s.stream.wait("filling q");
}

CudaBench::~CudaBench() = default;

const CudaDeviceInfo& CudaBench::device() const noexcept { return state_->backend->device(); }

std::string CudaBench::why_not(Route route) const {
  std::string reasons;
  return state_->find(route, reasons) != nullptr ? std::string() : reasons;
}

bool CudaBench::fits(const std::vector<std::int32_t>& lengths) const {
  return state_->pages_of(lengths) <= state_->pool->num_pages();
}

WorkloadTime CudaBench::run(const std::vector<std::int32_t>& lengths) { return run(lengths, state_->config.variants); }

WorkloadTime CudaBench::run(const std::vector<std::int32_t>& lengths, const std::vector<Variant>& variants) {
  State& s = *state_;
  const CudaBenchConfig& config = s.config;
  const std::int64_t pages = s.pages_of(lengths);
  const Rotation rotation = s.rotation(lengths, s.pool->num_pages());
  WorkloadTime result;
  result.num_steps = rotation.steps;
  RotatingSteps steps;
  steps.reserve(static_cast<std::size_t>(rotation.steps));
  for (int i = 0; i < rotation.steps; ++i) {
    steps.push_back(std::make_unique<DeviceStep>(
        *s.pool, config.shape, config.dtype, lengths,
        std::span(s.order).subspan(static_cast<std::size_t>(i * pages), static_cast<std::size_t>(pages))));
  }
  result.kv_bytes = steps.front()->host_step().useful_kv_bytes();
  result.page_bytes = pages * s.kv_page_bytes();

  const int sms = s.backend->device().num_sms;
  const auto time_reader = [&](Reader read) {
    TimedGraph graph(s.stream.handle(), [&] {
      for (int i = 0; i < rotation.nodes; ++i)
        read(steps[static_cast<std::size_t>(i % rotation.steps)]->pages(*s.pool), sms, s.stream.handle());
    });
    return median(graph.time_us(config.rounds)) / rotation.nodes;
  };
  if (config.time_readers) static_cast<ReaderTimes&>(result) = time_readers(s.pool->page_bytes(), time_reader);

  const std::int64_t elements =
      static_cast<std::int64_t>(lengths.size()) * config.shape.num_q_heads * std::int64_t{config.shape.head_dim};
  const std::int64_t out_bytes = elements * size_bytes(config.dtype);
  const DeviceArray<unsigned char> outs(out_bytes * rotation.nodes);
  const VariantTensors tensors{s.pool->view(), s.q.get(), outs.get(), out_bytes};
  std::vector<std::unique_ptr<VariantRun>> runs;
  runs.reserve(variants.size());
  for (const Variant& variant : variants) {
    std::string reasons;
    Backend* backend = s.find(variant.route, reasons);
    if (backend == nullptr)
      throw Unsupported(fmt::format("nobody runs {} for this shape: {}", to_string(variant.route), reasons));
    runs.push_back(std::make_unique<VariantRun>(*backend, variant, steps, tensors, rotation.nodes, s.stream.handle()));
    runs.back()->graph().replay();
  }
  result.variants.resize(runs.size());
  for (VariantTime& time : result.variants) time.samples_us.reserve(static_cast<std::size_t>(config.rounds));
  for (int round = 0; round < config.rounds; ++round)
    for (std::size_t v = 0; v < runs.size(); ++v)
      result.variants[v].samples_us.push_back(runs[v]->graph().replay_us() / rotation.nodes);

  const DeviceArray<float> expected(config.check_outputs ? elements : 0);
  if (config.check_outputs) s.attend(*steps.back(), lengths.size(), expected.get());
  for (std::size_t v = 0; v < runs.size(); ++v) {
    VariantTime& time = result.variants[v];
    const auto [least, most] = std::minmax_element(time.samples_us.begin(), time.samples_us.end());
    time.graph_us = median(time.samples_us);
    time.graph_min_us = *least;
    time.graph_max_us = *most;
    time.plan_us = runs[v]->plan_us();
    if (config.time_eager) s.time_eager(*runs[v], rotation.nodes, time);
    if (config.check_outputs)
      time.relative_error = s.error_of(*runs[v], steps, rotation.nodes, tensors, expected.get());
  }
  return result;
}

Backend* CudaBench::State::find(Route route, std::string& reasons) const {
  const auto serves = [&](const Backend& candidate) {
    const Capabilities& can = candidate.capabilities();
    const std::string why =
        can.has_route(route) ? can.why_not(config.shape, config.dtype, config.page_size) : "has no such route";
    if (!why.empty()) reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", candidate.name(), why);
    return why.empty();
  };
  if (serves(*backend)) return backend.get();
  for (const auto& more : config.more_backends)
    if (serves(*more)) return more.get();
  return nullptr;
}

void CudaBench::State::attend(const DeviceStep& step, std::size_t batch, float* expected) {
  const PlainAttention plain{q.get(),
                             pool->view().k.data,
                             pool->view().v.data,
                             step.lengths(),
                             step.table(),
                             step.table_stride(),
                             static_cast<int>(batch),
                             config.shape.num_q_heads,
                             config.shape.num_kv_heads,
                             config.shape.head_dim,
                             config.page_size,
                             static_cast<float>(config.shape.scale()),
                             config.dtype};
  attend_plainly(plain, expected, stream.handle());
  stream.wait("plain attention");
}

void CudaBench::State::time_eager(VariantRun& run, int nodes, VariantTime& result) {
  result.eager_us = median(time_eager_us(stream.handle(), config.rounds, [&] { run.run_all(); })) / nodes;
  constexpr int kCalls = 64;  // few enough that the queue of launches does not fill
  std::vector<double> launch_us;
  for (int round = 0; round < config.rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) run.run_node(i % nodes);
    launch_us.push_back(elapsed_us(begin) / kCalls);
    stream.wait("launches of a step");
  }
  result.launch_us = median(std::move(launch_us));
}

double CudaBench::State::error_of(VariantRun& run, const RotatingSteps& steps, int nodes, const VariantTensors& tensors,
                                  const float* expected) {
  check(cudaMemsetAsync(tensors.outs, 0xff, static_cast<std::size_t>(tensors.out_bytes * nodes), stream.handle()),
        "poisoning");
  run.graph().replay();
  const DeviceArray<float> sums(2);
  check(cudaMemsetAsync(sums.get(), 0, 2 * sizeof(float), stream.handle()), "cudaMemsetAsync");
  for (std::size_t i = steps.size() - 1; i < static_cast<std::size_t>(nodes); i += steps.size()) {
    compare(tensors.outs + static_cast<std::int64_t>(i) * tensors.out_bytes, config.dtype, expected,
            tensors.out_bytes / size_bytes(config.dtype), sums.get(), stream.handle());
  }
  float found[2] = {};
  check(cudaMemcpyAsync(found, sums.get(), sizeof(found), cudaMemcpyDeviceToHost, stream.handle()), "cudaMemcpyAsync");
  stream.wait("comparing");
  return found[1] > 0.0f ? std::sqrt(found[0] / found[1]) : 0.0;
}

}  // namespace pkv::cuda_bench
