#pragma once

// A replay in host memory, by the wall clock.

#include "device.hpp"
#include "kv_pool.hpp"
#include "persistentkv/measure/kv_readers.hpp"

#include <cstdint>

namespace pkv::replay {

class HostDevice final : public ReplayDevice {
 public:
  /// For a backend that works in host memory. `num_threads` are those that read: as in CpuBackendConfig. Throws
  /// InvalidArgument where the pool does not fit in memory.
  HostDevice(Backend& backend, const AttentionShape& shape, DType dtype, int page_size, std::int64_t num_pages,
             std::uint32_t seed, int num_threads);

  [[nodiscard]] const KvCacheView& host_kv() const noexcept override { return pool_.view(); }
  void begin_step(const Step& step, const Layer& layer) override;
  void warm_up(std::span<const ReplayRoute> routes) override;
  [[nodiscard]] double read_limit_us() override;
  RouteRun run(const ReplayRoute& route) override;

  [[nodiscard]] std::string cache_state() const override;

  [[nodiscard]] int num_threads() const noexcept { return readers_.num_threads(); }

 private:
  Backend& backend_;
  KvPool pool_;
  KvReaders readers_;
  CacheEvictor evictor_;
  const Step* step_ = nullptr;
  const Layer* layer_ = nullptr;
};

}  // namespace pkv::replay
