#pragma once

/// Decode attention on NVIDIA GPUs of compute capability 8.0 and later. No CUDA header is needed to include this:
/// streams and device pointers are opaque.

#include "persistentkv/cuda/timeline.hpp"
#include "persistentkv/engine/backend.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace pkv {

struct CudaBackendConfig {
  int device = -1;    ///< ordinal; -1: the calling thread's current device
  int max_ctas = 0;   ///< CTAs that `stream` may launch, e.g. beside other kernels; 0: one an SM, but for one SM, or
                      ///< two, that all but long steps leave free in runs by programmatic dependent launch
  int max_warps = 0;  ///< warps of a CTA, 1 to 8; 0: as many as shared memory holds. To study it
  int max_shared_bytes = 0;  ///< shared memory of a CTA; 0: all that the device gives. To imitate a smaller GPU
};

/// What a device offers, as the driver tells.
struct CudaDeviceInfo {
  int ordinal = 0;
  std::string name;
  int compute_capability = 0;  ///< 10 * major + minor
  int num_sms = 0;
  std::int64_t shared_bytes_per_cta = 0;
  std::int64_t l2_bytes = 0;
  std::int64_t memory_bytes = 0;
  int driver_version = 0;   ///< 1000 * major + 10 * minor
  int runtime_version = 0;  ///< likewise
};

/// Devices that this process can use; 0 where there is no driver.
[[nodiscard]] int cuda_device_count() noexcept;

/// Throws CudaError.
[[nodiscard]] CudaDeviceInfo cuda_device_info(int device = -1);

/// How one layer is launched.
struct CudaRunOptions {
  /// Programmatic dependent launch (compute capability 9.0; elsewhere it changes nothing): the kernel may begin while
  /// the one ahead of it in the stream still runs. It then reads lengths and page table, and K and V of all pages but
  /// the one that holds a row's newest token, before that kernel has finished; q, and everything it writes, only after.
  /// So lengths and page table must have been written by something earlier, and of K and V the kernel ahead may write
  /// nothing but newest tokens. A kernel ahead that was launched so too must not let this one begin before it has
  /// waited (ours do not): what is earlier might still run.
  bool programmatic_dependent_launch = false;
  /// With it: the kernel ahead writes nothing of K and V at all, and newest pages are read early too.
  bool kv_written_earlier = false;
  /// Device memory for stamps: the run is then done by instrumented twins of the kernels, somewhat slower, which exist
  /// for fp16 and head_dim 128 only. Throws Unsupported for others. Null: the kernels as they are.
  const CudaTimeline* timeline = nullptr;
};

/// What kernels found wrong in device-resident indices. They were put right so far that nothing outside the caller's
/// memory was read or written; results of the rows concerned mean nothing.
struct CudaDeviceErrors {
  bool length_over_capacity = false;  ///< a length beyond what the table's row holds: cut to it
  bool page_out_of_range = false;     ///< a page id outside [0, num_pages): page 0 was read
  bool table_out_of_range = false;    ///< a row id or offset that leaves the table: its first entry was read
  bool row_id_out_of_range = false;   ///< of q or out: row 0 was read, nothing was written

  [[nodiscard]] bool any() const noexcept {
    return length_over_capacity || page_out_of_range || table_out_of_range || row_id_out_of_range;
  }
};

/// A step on a GPU. It must outlive the work that its runs have put into streams, and the graphs that they were
/// captured in; two of them may run at once on two streams, one of them may not.
class CudaPreparedStep : public PreparedStep {
 public:
  using PreparedStep::run;
  /// One kernel, or the schedule's launches. Never allocates, never synchronises. Tensors must be on the backend's
  /// device, 16-byte aligned with strides to match; row ids must be there too. Throws InvalidArgument or Unsupported
  /// before anything is launched, CudaError where a launch fails.
  virtual void run(const Layer& layer, StreamHandle stream, const CudaRunOptions& options) = 0;
  void run(const Layer& layer, StreamHandle stream) override { run(layer, stream, {}); }

  /// Whether run() may be captured in a graph whose replays see other lengths, page ids and active rows (length 0) in
  /// the same device arrays. True for `stream` with lengths and table on the device: of other steps, a graph repeats
  /// what was planned.
  [[nodiscard]] virtual bool replays_with_other_lengths() const noexcept = 0;

  /// As executed(), of a step whose lengths only the device knows: what the last run did if they were `lengths` then.
  /// [batch] tokens.
  [[nodiscard]] virtual ExecutedCounters executed_for(std::span<const std::int32_t> lengths) const;

  /// Reads and clears the error word, and so waits for `stream`.
  [[nodiscard]] virtual CudaDeviceErrors take_errors(StreamHandle stream) = 0;
};

/// Memory for partial results and counters, one for each prepared step that may run at a time.
struct CudaWorkspace {
  void* data = nullptr;  ///< on the device, 256-byte aligned; null: the backend allocates
  std::size_t size_bytes = 0;
};

class CudaBackend : public Backend {
 public:
  [[nodiscard]] virtual const CudaDeviceInfo& device() const noexcept = 0;
  [[nodiscard]] std::string_view device_name() const noexcept override { return device().name; }

  /// Bytes that `stream` needs for any step of this shape, whatever its batch and lengths. `num_workers` as in
  /// PlanOptions.
  [[nodiscard]] virtual std::size_t stream_workspace_bytes(const AttentionShape& shape, DType dtype,
                                                           int num_workers = 0) const = 0;

  using Backend::prepare;
  /// As Backend::prepare, in a workspace of the caller's, which must be zero where it has not served `stream` before.
  /// It may serve steps of any shapes in turn, with up to 1024 workers each; the error word is that of all of them.
  /// Only for `stream`; throws Unsupported for other schedules, InvalidArgument where the workspace is too small.
  [[nodiscard]] virtual std::unique_ptr<CudaPreparedStep> prepare(const Step& step, Schedule schedule,
                                                                  const PlanOptions& options,
                                                                  const CudaWorkspace& workspace) = 0;
};

/// Throws InvalidArgument for a bad configuration, CudaError where there is no such device, Unsupported for one that is
/// older than compute capability 8.0 or that this build holds no code for.
///
/// Shapes: fp16 and bf16; head_dim 64, 80, 96, 128 and 256; any group size, those above 16 (8 for head_dim 256) by
/// reading K and V once for every 16 heads (short steps of 9 to 16: twice); any page size. `stream` plans on the GPU,
/// and takes lengths and page tables from the host or the device; its workers are CTAs, and a tile of 16 tokens serves
/// it best. All other schedules, and plans of the caller's, are planned on the host from host-resident lengths. Results
/// of every schedule are the same bits from run to run, since partials are added in the order of their tokens whoever
/// comes last.
[[nodiscard]] std::unique_ptr<CudaBackend> make_cuda_backend(const CudaBackendConfig& config = {});

}  // namespace pkv
