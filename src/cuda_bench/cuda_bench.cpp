#include "cuda_bench.hpp"

#include "graph_timer.hpp"
#include "readers.hpp"
#include "rotating_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

namespace pkv::cuda_bench {

namespace {

constexpr int kMostSteps = 160;
constexpr int kMostNodes = 48;

struct Stream {
  cudaStream_t handle = nullptr;
  Stream() { check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  ~Stream() { (void)cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

double median(const std::vector<double>& sorted) { return sorted[sorted.size() / 2]; }

double microseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

/// How many steps take turns, and how many a graph holds.
struct Rotation {
  int steps = 1;
  int nodes = 1;
};

}  // namespace

struct CudaBench::State {
  explicit State(const CudaBenchConfig& of) : config(of), backend(make_cuda_backend(of.backend)) {}

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
    r.steps = static_cast<int>(std::clamp<std::int64_t>(config.rotate_bytes / bytes + 1, 1, kMostSteps));
    if (pool_pages > 0)
      r.steps =
          static_cast<int>(std::min<std::int64_t>(r.steps, pool_pages / std::max<std::int64_t>(pages_of(lengths), 1)));
    r.nodes =
        std::max(r.steps, static_cast<int>(std::min<std::int64_t>(kMostNodes, config.longest_graph_bytes / bytes + 1)));
    r.nodes = (r.nodes + r.steps - 1) / r.steps * r.steps;
    return r;
  }

  VariantTime time(const Variant& variant, const std::vector<std::unique_ptr<DeviceStep>>& steps, int nodes,
                   const float* expected);

  CudaBenchConfig config;
  std::unique_ptr<CudaBackend> backend;
  Stream stream;
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
  fill_normal(s.q.get(), config.dtype, s.out_elements, config.seed + 2, s.stream.handle);
  check(cudaStreamSynchronize(s.stream.handle), "filling q");
}

CudaBench::~CudaBench() = default;

const CudaDeviceInfo& CudaBench::device() const noexcept { return state_->backend->device(); }

bool CudaBench::fits(const std::vector<std::int32_t>& lengths) const {
  return state_->pages_of(lengths) <= state_->pool->num_pages();
}

WorkloadTime CudaBench::run(const std::vector<std::int32_t>& lengths) {
  State& s = *state_;
  const CudaBenchConfig& config = s.config;
  const std::int64_t pages = s.pages_of(lengths);
  const Rotation rotation = s.rotation(lengths, s.pool->num_pages());
  WorkloadTime result;
  result.num_steps = rotation.steps;
  std::vector<std::unique_ptr<DeviceStep>> steps;
  for (int i = 0; i < rotation.steps; ++i) {
    steps.push_back(std::make_unique<DeviceStep>(
        *s.pool, config.shape, config.dtype, lengths,
        std::span(s.order).subspan(static_cast<std::size_t>(i * pages), static_cast<std::size_t>(pages))));
  }
  result.kv_bytes = steps.front()->host_step().useful_kv_bytes();
  result.page_bytes = pages * s.kv_page_bytes();

  const int sms = s.backend->device().num_sms;
  const auto time_reader = [&](auto read) {
    TimedGraph graph(s.stream.handle, [&] {
      for (int i = 0; i < rotation.nodes; ++i)
        read(steps[static_cast<std::size_t>(i % rotation.steps)]->pages(*s.pool), sms, s.stream.handle);
    });
    return median(graph.time_us(config.rounds)) / rotation.nodes;
  };
  result.pages_reader_us = time_reader(read_by_pages);
  result.vectors_reader_us = time_reader(read_by_vectors);
  if (s.pool->page_bytes() % 4096 == 0) result.rings_reader_us = time_reader(read_by_rings);

  const auto batch = static_cast<int>(lengths.size());
  const DeviceArray<float> expected(std::int64_t{batch} * config.shape.num_q_heads * config.shape.head_dim);
  PlainAttention plain{s.q.get(),
                       s.pool->view().k.data,
                       s.pool->view().v.data,
                       steps.back()->lengths(),
                       steps.back()->table(),
                       steps.back()->table_stride(),
                       batch,
                       config.shape.num_q_heads,
                       config.shape.num_kv_heads,
                       config.shape.head_dim,
                       config.page_size,
                       static_cast<float>(config.shape.scale()),
                       config.dtype};
  attend_plainly(plain, expected.get(), s.stream.handle);
  check(cudaStreamSynchronize(s.stream.handle), "plain attention");
  for (const Variant& variant : config.variants)
    result.variants.push_back(s.time(variant, steps, rotation.nodes, expected.get()));
  return result;
}

VariantTime CudaBench::State::time(const Variant& variant, const std::vector<std::unique_ptr<DeviceStep>>& steps,
                                   int nodes, const float* expected) {
  VariantTime result;
  const std::int64_t elements =
      steps.front()->step().batch * config.shape.num_q_heads * std::int64_t{config.shape.head_dim};
  const std::int64_t out_bytes = elements * size_bytes(config.dtype);
  const DeviceArray<unsigned char> outs(out_bytes * nodes);  // each node has its own: overlapping runs are checked too
  const bool stream_route = variant.schedule == Schedule::kStream;
  const std::size_t workspace_bytes =
      stream_route ? backend->stream_workspace_bytes(config.shape, config.dtype, variant.options.num_workers) : 0;
  const DeviceArray<unsigned char> workspace(static_cast<std::int64_t>(workspace_bytes));
  check(cudaMemset(workspace.get(), 0, workspace_bytes), "cudaMemset");
  check(cudaDeviceSynchronize(), "cudaMemset");

  std::vector<std::unique_ptr<CudaPreparedStep>> prepared;
  for (const auto& step : steps) {
    const auto begin = std::chrono::steady_clock::now();
    if (stream_route) {
      prepared.push_back(backend->prepare(step->step(), variant.schedule, variant.options,
                                          CudaWorkspace{workspace.get(), workspace_bytes}));
    } else {
      auto* listed = dynamic_cast<CudaPreparedStep*>(
          backend->prepare(step->host_step(), variant.schedule, variant.options).release());
      prepared.emplace_back(listed);
    }
    const double us = microseconds_since(begin);
    result.plan_us = result.plan_us == 0.0 ? us : std::min(result.plan_us, us);
  }

  const auto run_node = [&](int i) {
    const auto which = static_cast<std::size_t>(i) % steps.size();
    Layer layer = Layer::dense(steps[which]->step(), pool->view(), q.get(), outs.get() + i * out_bytes);
    prepared[which]->run(layer, stream.handle, {.programmatic_dependent_launch = variant.pdl});
  };
  const auto run_all = [&] {
    for (int i = 0; i < nodes; ++i) run_node(i);
  };
  TimedGraph graph(stream.handle, run_all);
  const std::vector<double> times = graph.time_us(config.rounds);
  result.graph_us = median(times) / nodes;
  result.graph_min_us = times.front() / nodes;
  result.graph_max_us = times.back() / nodes;
  result.eager_us = median(time_eager_us(stream.handle, config.rounds, run_all)) / nodes;

  check(cudaMemsetAsync(outs.get(), 0xff, static_cast<std::size_t>(out_bytes * nodes), stream.handle), "poisoning");
  graph.replay();
  const DeviceArray<float> sums(2);
  check(cudaMemsetAsync(sums.get(), 0, 2 * sizeof(float), stream.handle), "cudaMemsetAsync");
  for (std::size_t i = steps.size() - 1; i < static_cast<std::size_t>(nodes); i += steps.size())
    compare(outs.get() + static_cast<std::int64_t>(i) * out_bytes, config.dtype, expected, elements, sums.get(),
            stream.handle);
  float found[2] = {};
  check(cudaMemcpyAsync(found, sums.get(), sizeof(found), cudaMemcpyDeviceToHost, stream.handle), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream.handle), "comparing");
  result.relative_error = found[1] > 0.0f ? std::sqrt(found[0] / found[1]) : 0.0;

  constexpr int kCalls = 64;  // few enough that the queue of launches does not fill
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) run_node(i % nodes);
  result.launch_us = microseconds_since(begin) / kCalls;
  check(cudaStreamSynchronize(stream.handle), "cudaStreamSynchronize");
  return result;
}

}  // namespace pkv::cuda_bench
