#include "cuda_device.hpp"

#include "cuda_bench/cold_l2.hpp"
#include "cuda_bench/readers.hpp"
#include "cuda_support/check.hpp"
#include "cuda_support/growing_array.hpp"
#include "cuda_support/memory.hpp"
#include "cuda_support/stream.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step_rows.hpp"
#include "replay/elapsed.hpp"
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
  const std::int64_t most = static_cast<std::int64_t>(free) * 9 / 10 - cuda_bench::ColdL2::size_bytes(backend.device());
  if (bytes > most) {
    throw InvalidArgument(fmt::format(
        "the KV pool of {} pages takes {:.1f} GiB, must be at most {:.1f}: what {} has free", num_pages,
        static_cast<double>(bytes) / (1 << 30), static_cast<double>(most) / (1 << 30), backend.device().name));
  }
  return num_pages;
}

class CudaReplayDevice final : public replay::ReplayDevice {
 public:
  CudaReplayDevice(CudaBackend& backend, std::vector<std::shared_ptr<Backend>> more, const AttentionShape& shape,
                   DType dtype, int page_size, std::int64_t num_pages, std::uint32_t seed)
      : backend_(backend),
        more_(std::move(more)),
        pool_(shape, dtype, page_size, checked_pages(backend, shape, dtype, page_size, num_pages), seed),
        cold_l2_(backend.device()) {}

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
    return cuda_bench::time_readers(pool_.page_bytes(),
                                    [&](cuda_bench::Reader read) {
                                      cold_l2_.evict(stream_.handle());
                                      timer_.begin(stream_.handle());
                                      read(list, backend_.device().num_sms, stream_.handle());
                                      check(cudaGetLastError(), "reading pages");
                                      return timer_.end_us(stream_.handle(), "a reader");
                                    })
        .limit_us();
  }

  replay::RouteRun run(const replay::ReplayRoute& route) override {
    poison();
    Backend& engine = engine_of(route.route);
    const bool on_device = engine.capabilities().takes_device_lengths(route.route);
    const Step& planned_on_host = &engine == &backend_ ? planned_on_host_ : *host_step_;
    replay::RouteRun result;
    const auto begin = std::chrono::steady_clock::now();
    const std::unique_ptr<PreparedStep> prepared =
        engine.prepare_route(on_device ? step_ : planned_on_host, route.route, route.options);
    result.plan_us = replay::elapsed_us(begin);
    cold_l2_.evict(stream_.handle());
    timer_.begin(stream_.handle());
    prepared->run(layer_, stream_.handle());
    result.time_us = timer_.end_us(stream_.handle(), "a replayed step");

    // The table was valid when it was uploaded: an error here is the engine's.
    auto& step = dynamic_cast<CudaPreparedStep&>(*prepared);
    if (step.take_errors(stream_.handle()).any())
      throw CudaError(fmt::format("{} reports bad lengths or pages", to_string(route.route)));
    result.executed = on_device ? step.executed_for(row_lengths(*host_step_)) : step.executed();
    download();
    return result;
  }

  [[nodiscard]] std::string cache_state() const override { return cold_l2_.describe(); }

 private:
  Backend& engine_of(Route route) {
    if (backend_.capabilities().has_route(route)) return backend_;
    std::string reasons;
    for (const auto& engine : more_) {
      if (!engine->capabilities().has_route(route)) continue;
      const std::string why =
          engine->capabilities().why_not(host_step_->shape, host_step_->dtype, host_step_->page_size);
      if (why.empty()) return *engine;
      reasons += fmt::format("{}{}: {}", reasons.empty() ? ": " : "; ", engine->name(), why);
    }
    throw Unsupported(fmt::format("route is {}, which nobody has for this shape here{}", to_string(route), reasons));
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
  std::vector<std::shared_ptr<Backend>> more_;
  MirroredPool pool_;
  cuda_bench::ColdL2 cold_l2_;
  cuda::Stream stream_;
  cuda::EventTimer timer_;
  const Step* host_step_ = nullptr;
  const Layer* host_layer_ = nullptr;
  Step step_;             // all of it on the device
  Step planned_on_host_;  // lengths on the host, for schedules that need them there
  Layer layer_;
  cuda::GrowingArray lengths_, entries_, row_offsets_, row_ids_, pages_, q_, out_, lse_;
  std::int64_t out_bytes_ = 0;
  std::int64_t lse_bytes_ = 0;
  std::vector<std::int32_t> host_pages_;
  std::int32_t num_pages_ = 0;
};

}  // namespace

std::unique_ptr<replay::ReplayDevice> make_cuda_device(CudaBackend& backend, std::vector<std::shared_ptr<Backend>> more,
                                                       const AttentionShape& shape, DType dtype, int page_size,
                                                       std::int64_t num_pages, std::uint32_t seed) {
  return std::make_unique<CudaReplayDevice>(backend, std::move(more), shape, dtype, page_size, num_pages, seed);
}

}  // namespace pkv::cuda_replay
