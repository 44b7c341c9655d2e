#include "cuda_device.hpp"

#include "cuda_bench/bench_kernels.hpp"
#include "cuda_bench/readers.hpp"
#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "cuda_support/stream.hpp"
#include "device_memory.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/plan/planner.hpp"
#include "replay/kv_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace pkv::cuda_replay {

namespace {

using cuda::check;
using cuda::DeviceArray;
using cuda_bench::PageList;

/// So much more than L2 is read to empty it that the host has put a step's launches into the stream before it is over.
constexpr std::int64_t kEvictCaches = 8;
constexpr std::int64_t kRingPieceBytes = 4096;  // read_by_rings reads no pages that are not a multiple

/// K and V, on the host and the same on the GPU.
class MirroredPool {
 public:
  MirroredPool(const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages, std::uint32_t seed)
      : host_(shape, dtype, page_size, num_pages, seed), k_(half_bytes()), v_(half_bytes()) {
    const auto bytes = static_cast<std::size_t>(half_bytes());
    check(cudaMemcpy(k_.get(), host_.view().k.data, bytes, cudaMemcpyHostToDevice), "uploading K");
    check(cudaMemcpy(v_.get(), host_.view().v.data, bytes, cudaMemcpyHostToDevice), "uploading V");
    view_ = KvCacheView::dense(KvLayout::kHND, shape, dtype, page_size, num_pages, k_.get(), v_.get());
  }

  [[nodiscard]] const KvCacheView& host() const noexcept { return host_.view(); }
  [[nodiscard]] const KvCacheView& device() const noexcept { return view_; }
  /// Of K, and as many of V.
  [[nodiscard]] std::int64_t page_bytes() const noexcept { return view_.k.page_stride * size_bytes(view_.dtype); }

 private:
  [[nodiscard]] std::int64_t half_bytes() const noexcept { return host_.size_bytes() / 2; }

  replay::KvPool host_;
  DeviceArray<unsigned char> k_, v_;
  KvCacheView view_;
};

std::int64_t checked_pages(const CudaBackend& backend, const AttentionShape& shape, DType dtype, int page_size,
                           std::int64_t num_pages) {
  check(cudaSetDevice(backend.device().ordinal), "cudaSetDevice");
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const std::int64_t bytes = KvCacheView::num_elements(shape, page_size, num_pages) * size_bytes(dtype);
  const std::int64_t most = static_cast<std::int64_t>(free) * 9 / 10 - kEvictCaches * backend.device().l2_bytes;
  if (bytes > most) {
    throw InvalidArgument(fmt::format(
        "the KV pool of {} pages takes {:.1f} GiB, must be at most {:.1f}: what {} has free", num_pages,
        static_cast<double>(bytes) / (1 << 30), static_cast<double>(most) / (1 << 30), backend.device().name));
  }
  return num_pages;
}

/// `stream` is cut on the GPU, where nobody counts; the host's planner cuts alike.
void complete_counters(const Step& step, const PlanOptions& options, ExecutedCounters& executed) {
  std::vector<std::int32_t> lengths;
  for (std::int64_t row = 0; row < step.batch; ++row)
    lengths.push_back(static_cast<std::int32_t>(step.lengths.at(row)));
  PlanOptions cut = options;
  cut.num_workers = static_cast<int>(executed.decode_ctas);
  const PlanCounters plan = make_plan(Schedule::kStream, {step.shape, lengths, {}}, cut).counters();
  executed.segments = plan.segments;
  executed.partials = plan.partials;
  executed.merge_bytes = plan.merge_bytes;
  executed.kv_tokens = plan.kv_tokens * step.shape.num_kv_heads;
}

class CudaReplayDevice final : public replay::ReplayDevice {
 public:
  CudaReplayDevice(CudaBackend& backend, const AttentionShape& shape, DType dtype, int page_size,
                   std::int64_t num_pages, std::uint32_t seed)
      : backend_(backend),
        pool_(shape, dtype, page_size, checked_pages(backend, shape, dtype, page_size, num_pages), seed),
        evict_bytes_(std::max<std::int64_t>(kEvictCaches * backend.device().l2_bytes, 64 << 20) / 16 * 16),
        other_memory_(evict_bytes_) {
    check(cudaMemset(other_memory_.get(), 0x11, static_cast<std::size_t>(evict_bytes_)), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaMemset");
  }

  [[nodiscard]] const KvCacheView& host_kv() const noexcept override { return pool_.host(); }

  void begin_step(const Step& step, const Layer& layer) override {
    host_step_ = &step;
    host_layer_ = &layer;
    step_ = step;
    step_.lengths.values = lengths_.upload(step.lengths.values);
    step_.table.entries = entries_.upload(step.table.entries);
    step_.table.row_offsets = row_offsets_.upload(step.table.row_offsets);
    step_.table.row_ids = row_ids_.upload(step.table.row_ids);
    planned_on_host_ = step;
    planned_on_host_.table.entries = step_.table.entries;
    upload_page_list(step);

    const std::int64_t elements = step.batch * layer.q.row_stride;
    out_bytes_ = elements * size_bytes(step.dtype);
    lse_bytes_ = layer.lse ? step.batch * layer.lse->row_stride * std::int64_t{sizeof(float)} : 0;
    q_.upload(layer.q.data, out_bytes_);
    out_.reserve(out_bytes_);
    lse_.reserve(lse_bytes_);
    layer_ = layer;
    layer_.kv = pool_.device();
    layer_.q.data = q_.as<void>();
    layer_.out.data = out_.as<void>();
    if (layer_.lse) layer_.lse->data = lse_.as<float>();
    check(cudaDeviceSynchronize(), "uploading a step");  // the stream below does not wait for copies by itself
  }

  void warm_up(std::span<const replay::ReplayRoute> routes) override {
    for (const replay::ReplayRoute& route : routes) (void)run(route);  // each loads kernels of its own
    (void)read_limit_us();
  }

  [[nodiscard]] double read_limit_us() override {
    const PageList list{pool_.device().k.data, pool_.device().v.data, pages_.as<std::int32_t>(), num_pages_,
                        pool_.page_bytes()};
    double us = std::min(time_reader(cuda_bench::read_by_pages, list), time_reader(cuda_bench::read_by_vectors, list));
    if (pool_.page_bytes() % kRingPieceBytes == 0) us = std::min(us, time_reader(cuda_bench::read_by_rings, list));
    return us;
  }

  replay::RouteRun run(const replay::ReplayRoute& route) override {
    poison();
    const bool on_device = route.schedule == Schedule::kStream;
    replay::RouteRun result;
    const auto begin = std::chrono::steady_clock::now();
    const std::unique_ptr<PreparedStep> prepared =
        backend_.prepare(on_device ? step_ : planned_on_host_, route.schedule, route.options);
    result.plan_us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
    evict();
    timer_.begin(stream_.handle());
    prepared->run(layer_, stream_.handle());
    result.time_us = timer_.end_us(stream_.handle(), "a replayed step");

    // The table was valid when it was uploaded: an error here is the engine's.
    if (dynamic_cast<CudaPreparedStep&>(*prepared).take_errors(stream_.handle()).any())
      throw CudaError(fmt::format("{} reports bad lengths or pages", to_string(route.schedule)));
    result.executed = prepared->executed();
    if (on_device) complete_counters(*host_step_, route.options, result.executed);
    download();
    return result;
  }

  [[nodiscard]] std::string cache_state() const override {
    return fmt::format("cold L2: {} MiB of other memory are read before each run", evict_bytes_ >> 20);
  }

 private:
  void evict() {
    cuda_bench::read_through_l2(other_memory_.get(), evict_bytes_, backend_.device().num_sms, stream_.handle());
    check(cudaGetLastError(), "evicting L2");
  }

  template <class Reader>
  [[nodiscard]] double time_reader(Reader read, const PageList& list) {
    evict();
    timer_.begin(stream_.handle());
    read(list, backend_.device().num_sms, stream_.handle());
    check(cudaGetLastError(), "reading pages");
    return timer_.end_us(stream_.handle(), "a replayed step");
  }

  /// Every row's pages, those that rows share once for each.
  void upload_page_list(const Step& step) {
    host_pages_.clear();
    for (std::int64_t row = 0; row < step.batch; ++row) {
      const std::int64_t base = step.table.base(row);
      const std::int64_t pages = (step.lengths.at(row) + step.page_size - 1) / step.page_size;
      for (std::int64_t j = 0; j < pages; ++j)
        host_pages_.push_back(static_cast<std::int32_t>(step.table.page(base, j)));
    }
    num_pages_ = static_cast<std::int32_t>(host_pages_.size());
    pages_.upload(host_pages_.data(), std::int64_t{num_pages_} * 4);
  }

  /// All ones is NaN in every dtype.
  void poison() {
    check(cudaMemsetAsync(out_.as<void>(), 0xff, static_cast<std::size_t>(out_bytes_), stream_.handle()), "poisoning");
    if (lse_bytes_ > 0)
      check(cudaMemsetAsync(lse_.as<void>(), 0xff, static_cast<std::size_t>(lse_bytes_), stream_.handle()),
            "poisoning");
  }

  void download() {
    const auto copy = [&](void* to, const void* from, std::int64_t bytes) {
      check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost, stream_.handle()),
            "cudaMemcpyAsync");
    };
    copy(host_layer_->out.data, out_.as<void>(), out_bytes_);
    if (lse_bytes_ > 0) copy(host_layer_->lse->data, lse_.as<void>(), lse_bytes_);
    check(cudaStreamSynchronize(stream_.handle()), "cudaStreamSynchronize");
  }

  CudaBackend& backend_;
  MirroredPool pool_;
  std::int64_t evict_bytes_;
  DeviceArray<unsigned char> other_memory_;
  cuda::Stream stream_;
  cuda::EventTimer timer_;
  const Step* host_step_ = nullptr;
  const Layer* host_layer_ = nullptr;
  Step step_;             // all of it on the device
  Step planned_on_host_;  // lengths on the host, for schedules that need them there
  Layer layer_;
  GrowingArray lengths_, entries_, row_offsets_, row_ids_, pages_, q_, out_, lse_;
  std::int64_t out_bytes_ = 0;
  std::int64_t lse_bytes_ = 0;
  std::vector<std::int32_t> host_pages_;
  std::int32_t num_pages_ = 0;
};

}  // namespace

std::unique_ptr<replay::ReplayDevice> make_cuda_device(CudaBackend& backend, const AttentionShape& shape, DType dtype,
                                                       int page_size, std::int64_t num_pages, std::uint32_t seed) {
  return std::make_unique<CudaReplayDevice>(backend, shape, dtype, page_size, num_pages, seed);
}

}  // namespace pkv::cuda_replay
