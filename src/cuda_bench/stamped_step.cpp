#include "stamped_step.hpp"

#include "clock_pairs.hpp"
#include "cold_l2.hpp"
#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "cuda_support/stream.hpp"
#include "elapsed.hpp"
#include "persistentkv/core/error.hpp"
#include "readers.hpp"
#include "rotating_pool.hpp"
#include "samples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <span>
#include <utility>

namespace pkv::cuda_bench {

using cuda::check;
using cuda::DeviceArray;

namespace {

/// Room for stamps: `stream` has few warps with many segments, listed plans have many with few.
struct Room {
  int warps;
  int stamps_per_warp;
};
constexpr Room kStreamRoom{1 << 13, 1 << 9};
constexpr Room kListedRoom{1 << 17, 1 << 5};
static_assert(kStreamRoom.warps * kStreamRoom.stamps_per_warp == kListedRoom.warps * kListedRoom.stamps_per_warp);

constexpr const Room& room_of(Schedule schedule) { return schedule == Schedule::kStream ? kStreamRoom : kListedRoom; }

timeline::Event event_of(CudaStampKind kind) {
  switch (kind) {
    case CudaStampKind::kStart:
      return timeline::Event::kStart;
    case CudaStampKind::kPlanned:
      return timeline::Event::kPlanned;
    case CudaStampKind::kFirstData:
      return timeline::Event::kFirstData;
    case CudaStampKind::kSegment:
      return timeline::Event::kSegment;
    case CudaStampKind::kArrived:
      return timeline::Event::kArrived;
    case CudaStampKind::kJoined:
      return timeline::Event::kJoined;
    case CudaStampKind::kMerged:
      return timeline::Event::kMerged;
    case CudaStampKind::kExit:
      break;
  }
  return timeline::Event::kExit;
}

template <class T>
void download(std::vector<T>& to, const T* from, std::size_t count) {
  to.resize(count);
  check(cudaMemcpy(to.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost), "downloading stamps");
}

std::int64_t pages_of(const std::vector<std::int32_t>& lengths, int page_size) {
  std::int64_t pages = 0;
  for (const std::int32_t tokens : lengths) pages += (tokens + page_size - 1) / page_size;
  return pages;
}

}  // namespace

struct StampedSteps::State {
  State(const StampedStepConfig& of, const std::vector<std::int32_t>& lengths)
      : config(of),
        backend(make_cuda_backend(of.backend)),
        pages(pages_of(lengths, of.page_size)),
        pool(of.shape, of.dtype, of.page_size, std::max<std::int64_t>(2 * pages, 1), of.seed),
        l2(backend->device()),
        pairs(2 * clock_pairs_count(backend->device().num_sms)),
        warps(kListedRoom.warps),
        stamps(std::int64_t{kListedRoom.warps} * kListedRoom.stamps_per_warp) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(2 * pages));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(of.seed));
    const auto half = static_cast<std::size_t>(pages);
    for (const std::size_t first : {std::size_t{0}, half})
      steps.push_back(
          std::make_unique<DeviceStep>(pool, of.shape, of.dtype, lengths, std::span(order).subspan(first, half)));
    const std::int64_t elements =
        std::max<std::int64_t>(static_cast<std::int64_t>(lengths.size()) * of.shape.num_q_heads * of.shape.head_dim, 1);
    q = DeviceArray<unsigned char>(elements * size_bytes(of.dtype));
    outs = DeviceArray<unsigned char>(2 * elements * size_bytes(of.dtype));
    out_bytes = elements * size_bytes(of.dtype);
    fill_normal(q.get(), of.dtype, elements, of.seed + 2, stream.handle());
    stream.wait("filling q");
  }

  /// Microseconds of `enqueue` on a cold L2; median.
  double cold_us(const std::function<void()>& enqueue) {
    std::vector<double> times;
    for (int round = 0; round <= config.rounds; ++round) {
      l2.evict(stream.handle());
      timer.begin(stream.handle());
      enqueue();
      const double us = timer.end_us(stream.handle(), "a cold step");
      if (round > 0) times.push_back(us);  // the first loads code
    }
    return median(times);
  }

  std::unique_ptr<CudaPreparedStep> prepare(std::size_t which, Schedule schedule, const PlanOptions& options) {
    const DeviceStep& step = *steps[which];
    std::unique_ptr<PreparedStep> prepared =
        backend->prepare(schedule == Schedule::kStream ? step.step() : step.host_step(), schedule, options);
    return std::unique_ptr<CudaPreparedStep>(dynamic_cast<CudaPreparedStep*>(prepared.release()));
  }

  void run(CudaPreparedStep& prepared, std::size_t which, const CudaRunOptions& options) {
    const Layer layer = Layer::dense(steps[which]->step(), pool.view(), q.get(),
                                     outs.get() + static_cast<std::int64_t>(which) * out_bytes);
    prepared.run(layer, stream.handle(), options);
  }

  timeline::StampedRun take_stamps(Schedule schedule);

  StampedStepConfig config;
  std::unique_ptr<CudaBackend> backend;
  std::int64_t pages;
  Pool pool;
  ColdL2 l2;
  DeviceArray<DeviceClockPair> pairs;  // before, and after
  DeviceArray<CudaStampedWarp> warps;
  DeviceArray<CudaStamp> stamps;
  cuda::Stream stream;
  cuda::EventTimer timer;
  std::vector<std::unique_ptr<DeviceStep>> steps;  // the one to be stamped, and one to go ahead of it
  DeviceArray<unsigned char> q, outs;
  std::int64_t out_bytes = 0;
};

timeline::StampedRun StampedSteps::State::take_stamps(Schedule schedule) {
  const Room& room = room_of(schedule);
  timeline::StampedRun run;
  run.num_sms = backend->device().num_sms;
  std::vector<DeviceClockPair> host_pairs;
  download(host_pairs, pairs.get(), static_cast<std::size_t>(2 * clock_pairs_count(run.num_sms)));
  run.clocks.reserve(host_pairs.size());
  for (const DeviceClockPair& pair : host_pairs) run.clocks.push_back({pair.sm, pair.clock, pair.ns});
  std::vector<CudaStampedWarp> host_warps;
  download(host_warps, warps.get(), static_cast<std::size_t>(room.warps));
  if (host_warps.back().stamps != 0) {
    throw Unsupported(fmt::format("{} launches {} warps or more for this step, must be fewer for a timeline",
                                  to_string(schedule), room.warps));
  }
  while (!host_warps.empty() && host_warps.back().stamps == 0) host_warps.pop_back();
  std::vector<CudaStamp> host_stamps;
  download(host_stamps, stamps.get(), host_warps.size() * static_cast<std::size_t>(room.stamps_per_warp));
  for (std::size_t w = 0; w < host_warps.size(); ++w) {
    const CudaStampedWarp& warp = host_warps[w];
    const int kept = std::min(warp.stamps, room.stamps_per_warp);
    run.dropped += warp.stamps - kept;
    for (int i = 0; i < kept; ++i) {
      const CudaStamp& s =
          host_stamps[w * static_cast<std::size_t>(room.stamps_per_warp) + static_cast<std::size_t>(i)];
      run.stamps.push_back({event_of(s.kind), warp.launch, warp.cta, warp.warp, s.sm, s.clock, s.row, s.kv_head,
                            s.token_begin, s.token_end});
    }
  }
  return run;
}

StampedSteps::StampedSteps(const StampedStepConfig& config, const std::vector<std::int32_t>& lengths)
    : state_(std::make_unique<State>(config, lengths)) {}

StampedSteps::~StampedSteps() = default;

const CudaDeviceInfo& StampedSteps::device() const noexcept { return state_->backend->device(); }

std::int64_t StampedSteps::kv_bytes() const noexcept { return state_->steps.front()->host_step().useful_kv_bytes(); }

double StampedSteps::limit_us() {
  State& s = *state_;
  const PageList list = s.steps.front()->pages(s.pool);
  const int sms = device().num_sms;
  const auto cold_us = [&](Reader read) { return s.cold_us([&] { read(list, sms, s.stream.handle()); }); };
  return time_readers(s.pool.page_bytes(), cold_us).limit_us();
}

StampedStep StampedSteps::run(Schedule schedule, const PlanOptions& options) {
  State& s = *state_;
  StampedStep result;
  const auto begin = std::chrono::steady_clock::now();
  const std::unique_ptr<CudaPreparedStep> prepared = s.prepare(0, schedule, options);
  result.plan_us = elapsed_us(begin);
  const std::unique_ptr<CudaPreparedStep> ahead = s.prepare(1, schedule, options);

  const Room& room = room_of(schedule);
  const CudaTimeline buffer{s.stamps.get(), s.warps.get(), room.warps, room.stamps_per_warp};
  CudaRunOptions stamped;
  stamped.timeline = &buffer;
  stamped.programmatic_dependent_launch = s.config.chained;
  if (!s.config.chained) {
    result.time_us = s.cold_us([&] { s.run(*prepared, 0, {}); });
    result.stamped_time_us = s.cold_us([&] { s.run(*prepared, 0, stamped); });
  }
  std::vector<timeline::StepTimeline> rounds;
  for (int round = 0; round <= s.config.rounds; ++round) {
    check(cudaMemsetAsync(s.warps.get(), 0, static_cast<std::size_t>(room.warps) * sizeof(CudaStampedWarp),
                          s.stream.handle()),
          "cudaMemset");
    s.l2.evict(s.stream.handle());
    const int sms = device().num_sms;
    read_clock_pairs(s.pairs.get(), sms, s.stream.handle());
    if (s.config.chained) s.run(*ahead, 1, {});
    s.run(*prepared, 0, stamped);
    read_clock_pairs(s.pairs.get() + clock_pairs_count(sms), sms, s.stream.handle());
    s.stream.wait("a stamped step");
    if (round > 0) rounds.push_back(timeline::make_timeline(s.take_stamps(schedule)));
  }
  std::sort(rounds.begin(), rounds.end(), [](const auto& a, const auto& b) { return a.duration_us < b.duration_us; });
  for (const timeline::StepTimeline& round : rounds) result.durations_us.push_back(round.duration_us);
  result.timeline = std::move(rounds[rounds.size() / 2]);
  return result;
}

}  // namespace pkv::cuda_bench
