#include "cuda_measure.hpp"

#include "backends.hpp"
#include "cuda_bench/elapsed.hpp"
#include "cuda_bench/graph_timer.hpp"
#include "cuda_bench/readers.hpp"
#include "cuda_mlp/mlp_proxy.hpp"
#include "cuda_support/check.hpp"
#include "cuda_support/stream.hpp"
#include "gather.hpp"
#include "persistentkv/core/error.hpp"
#include "pool.hpp"
#include "reproduce/statistics.hpp"
#include "step_arrays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

namespace pkv::cuda_reproduce {

namespace {

using cuda::check;
using cuda::DeviceArray;
using cuda_bench::elapsed_us;
using cuda_bench::PageList;
using reproduce::BenchStep;
using reproduce::LayerLoop;
using reproduce::RouteSpec;
using reproduce::RowAccess;
using reproduce::Window;
using reproduce::WindowTimes;

/// So much more than L2 is read to empty it that launches of a queued window are in the stream before it is over.
constexpr std::int64_t kEvictCaches = 8;
constexpr std::int64_t kRingPieceBytes = 4096;      // read_by_rings reads no pages that are not a multiple
constexpr std::int64_t kSpareBytes = 1536ll << 20;  // weights of an MLP, workspaces, plans
constexpr int kMlpRows = 64;
constexpr int kLoopRounds = 5;

std::int64_t evict_bytes(const CudaDeviceInfo& device) {
  return std::max<std::int64_t>(kEvictCaches * device.l2_bytes, 64 << 20) / 16 * 16;
}

std::int64_t checked_bytes(std::int64_t kv_bytes, const CudaDeviceInfo& device) {
  check(cudaSetDevice(device.ordinal), "cudaSetDevice");
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const std::int64_t most = static_cast<std::int64_t>(free) - evict_bytes(device) - kSpareBytes;
  if (kv_bytes > most) {
    throw InvalidArgument(
        fmt::format("the KV pages take {:.1f} GiB, must be at most {:.1f}: what {} has free; fewer "
                    "sections (--only) may need less",
                    static_cast<double>(kv_bytes) / (1 << 30), static_cast<double>(most) / (1 << 30), device.name));
  }
  return kv_bytes;
}

class CudaMeasure final : public reproduce::Bench {
 public:
  explicit CudaMeasure(const CudaMeasureConfig& config)
      : backends_(config.profile, config.more_backends),
        pool_(checked_bytes(config.kv_bytes, backends_.device())),
        other_memory_(evict_bytes(backends_.device())) {
    check(cudaMemset(other_memory_.get(), 0x11, static_cast<std::size_t>(evict_bytes(backends_.device()))),
          "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaMemset");
  }

  [[nodiscard]] std::string why_not(Route route, const AttentionShape& shape, int page_size) const override {
    return backends_.why_not(route, shape, page_size);
  }

  void begin_step(const BenchStep& step) override {
    pool_.require_rows(step);
    kv_ = pool_.kv(step.step);
    step_.assign(step);
  }

  [[nodiscard]] RouteSpec choose(const RouteSpec& spec, int layers_per_plan) const override {
    return backends_.choose(step_.host_step(), spec, layers_per_plan);
  }

  WindowTimes time(const RouteSpec& spec, const Window& window, int repeats) override {
    std::vector<double> event_us, wall_us, plan_us;
    for (auto* times : {&event_us, &wall_us, &plan_us}) times->reserve(static_cast<std::size_t>(repeats));
    std::unique_ptr<PreparedStep> before;
    if (!window.planned_inside) before = prepare(spec);
    for (int i = 0; i < repeats; ++i) {
      evict();
      if (!window.queued) stream_.wait("evicting L2");
      const auto begin = std::chrono::steady_clock::now();
      timer_.begin(stream_.handle());
      gather(window.rows);
      std::unique_ptr<PreparedStep> inside;
      if (window.planned_inside) inside = prepare(spec);
      plan_us.push_back(window.planned_inside ? elapsed_us(begin) : 0.0);
      (inside ? inside : before)->run(layer(window.rows), stream_.handle());
      scatter(window.rows);
      event_us.push_back(timer_.end_us(stream_.handle(), "a timed step"));
      wall_us.push_back(window.queued ? 0.0 : elapsed_us(begin));
    }
    return {reproduce::median(event_us), reproduce::median(wall_us), reproduce::median(plan_us)};
  }

  ExecutedCounters run(const RouteSpec& spec) override {
    const Step& step = step_.host_step();
    const std::int64_t bytes = step.batch * Pool::row_bytes(step.shape);
    // All ones is NaN.
    check(cudaMemsetAsync(pool_.out(), 0xff, static_cast<std::size_t>(bytes), stream_.handle()), "poisoning");
    const std::unique_ptr<PreparedStep> prepared = prepare(spec);
    prepared->run(layer(RowAccess::kDense), stream_.handle());
    stream_.wait("a step");
    if (auto* own = dynamic_cast<CudaPreparedStep*>(prepared.get());
        own != nullptr && own->take_errors(stream_.handle()).any())
      throw CudaError(fmt::format("{} reports bad lengths or pages", reproduce::label(spec)));
    return prepared->executed();
  }

  [[nodiscard]] std::vector<float> output() override {
    const Step& step = step_.host_step();
    const std::int64_t bytes = step.batch * Pool::row_bytes(step.shape);
    std::vector<std::uint16_t> bits(static_cast<std::size_t>(bytes / 2));
    check(cudaMemcpy(bits.data(), pool_.out(), static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost), "cudaMemcpy");
    std::vector<float> values(bits.size());
    std::transform(bits.begin(), bits.end(), values.begin(), f16_to_f32);
    return values;
  }

  [[nodiscard]] reproduce::RowOnHost row(std::int64_t row) override { return pool_.download(step_.host_step(), row); }

  [[nodiscard]] double limit_us() override {
    const std::int64_t page_bytes = kv_.k.page_stride * 2;
    const PageList list{kv_.k.data, kv_.v.data, step_.pages(), step_.num_pages(), page_bytes};
    double us = std::min(time_reader(cuda_bench::read_by_pages, list), time_reader(cuda_bench::read_by_vectors, list));
    if (page_bytes % kRingPieceBytes == 0) us = std::min(us, time_reader(cuda_bench::read_by_rings, list));
    return us;
  }

  [[nodiscard]] double layer_us(std::span<const BenchStep> steps, const RouteSpec& spec,
                                const LayerLoop& loop) override {
    begin_step(steps.front());  // the pool's view is the same for all of them
    std::vector<StepArrays> arrays(steps.size());
    std::vector<std::unique_ptr<PreparedStep>> prepared;
    prepared.reserve(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      arrays[i].assign(steps[i]);
      prepared.push_back(backends_.prepare(arrays[i], spec, loop.layers, stream_.handle()));
    }
    const Layer all = layer(RowAccess::kDense);
    const auto batch = static_cast<int>(steps.front().step.batch);
    if (loop.with_mlp) require_mlp();
    return loop_us(loop, [&](std::size_t i) {
      prepared[i % prepared.size()]->run(all, stream_.handle());
      if (loop.with_mlp) mlp_->run(batch, stream_.handle());
    });
  }

  [[nodiscard]] double mlp_us(int batch, const LayerLoop& loop) override {
    require_mlp();
    return loop_us(loop, [&](std::size_t) { mlp_->run(batch, stream_.handle()); });
  }

 private:
  void evict() {
    cuda_bench::read_through_l2(other_memory_.get(), evict_bytes(backends_.device()), backends_.device().num_sms,
                                stream_.handle());
    check(cudaGetLastError(), "evicting L2");
  }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const RouteSpec& spec) {
    return backends_.prepare(step_, spec, 1, stream_.handle());
  }

  [[nodiscard]] Layer layer(RowAccess rows) const {
    const Step& step = step_.host_step();
    const bool scratch = rows == RowAccess::kGatheredAndScattered;
    const bool gathered = scratch || rows == RowAccess::kGathered;
    Layer layer = Layer::dense(step, kv_, gathered ? pool_.gathered_q() : pool_.q(),
                               scratch ? pool_.gathered_out() : pool_.out());
    if (rows == RowAccess::kByIds) {
      layer.q.num_rows = layer.out.num_rows = step_.num_q_rows();
      layer.q.row_ids = layer.out.row_ids = step_.row_ids();
    }
    return layer;
  }

  void gather(RowAccess rows) {
    if (rows != RowAccess::kGathered && rows != RowAccess::kGatheredAndScattered) return;
    const Step& step = step_.host_step();
    gather_rows(pool_.q(), static_cast<const std::int32_t*>(step_.row_ids().data), pool_.gathered_q(),
                static_cast<int>(step.batch), Pool::row_bytes(step.shape), stream_.handle());
  }

  void scatter(RowAccess rows) {
    if (rows != RowAccess::kGatheredAndScattered) return;
    const Step& step = step_.host_step();
    scatter_rows(pool_.gathered_out(), static_cast<const std::int32_t*>(step_.row_ids().data), pool_.out(),
                 static_cast<int>(step.batch), Pool::row_bytes(step.shape), stream_.handle());
  }

  template <class Reader>
  [[nodiscard]] double time_reader(Reader read, const PageList& list) {
    evict();
    timer_.begin(stream_.handle());
    read(list, backends_.device().num_sms, stream_.handle());
    check(cudaGetLastError(), "reading pages");
    return timer_.end_us(stream_.handle(), "reading pages");
  }

  void require_mlp() {
    if (!mlp_) mlp_ = std::make_unique<cuda_mlp::MlpProxy>(kMlpRows);
  }

  [[nodiscard]] double loop_us(const LayerLoop& loop, const std::function<void(std::size_t)>& run_layer) {
    const auto run_all = [&] {
      for (int i = 0; i < loop.layers; ++i) run_layer(static_cast<std::size_t>(i));
    };
    std::vector<double> times;
    if (loop.graph) {
      times = cuda_bench::TimedGraph(stream_.handle(), run_all).time_us(kLoopRounds);
    } else {
      run_all();
      times = cuda_bench::time_eager_us(stream_.handle(), kLoopRounds, run_all);
    }
    return reproduce::median(times) / loop.layers;
  }

  Backends backends_;
  Pool pool_;
  DeviceArray<unsigned char> other_memory_;
  cuda::Stream stream_;
  cuda::EventTimer timer_;
  StepArrays step_;
  KvCacheView kv_;
  std::unique_ptr<cuda_mlp::MlpProxy> mlp_;
};

}  // namespace

std::unique_ptr<reproduce::Bench> make_cuda_measure(const CudaMeasureConfig& config) {
  return std::make_unique<CudaMeasure>(config);
}

}  // namespace pkv::cuda_reproduce
