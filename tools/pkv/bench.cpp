#include "bench.hpp"

#include "commands.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Times decode against the fastest readers of the same pages, in one run, with nothing in a cache.\n"
    "cpu: buffers rotate over --pool-gib; readers go page by page, contiguous and non-temporal, with the same "
    "threads.\n"
    "cuda: pages rotate so that L2 is cold; every step of a suite, in graph replay and eager, alone and chained by\n"
    "programmatic dependent launch; planning on the GPU is inside the time, planning on the host is told apart.";

constexpr const char* kExamples = R"(Examples:
  pkv bench --backend cpu --dtypes fp16,bf16 --simd best,AVX2 --json docs/results/cpu-bench.json
  pkv bench --backend cuda
  pkv bench --backend cuda --suite decode --kv-heads 8,4 --dtypes fp16,bf16 --processes 3 --json h200-bench.json
  pkv bench --backend cuda --suite my-rows.json --routes stream,workqueue,workqueue-fused
  pkv bench --backend cuda --kv-heads 8,4 --routes stream,flashinfer-cuda-core,flashinfer-tensor-core)";

void add_cuda_options(CLI::App& command, BenchOptions& options) {
  command.add_option("--suite", options.suite, "Workloads: decode, hpc-ops-skewed, paper, or a JSON file of that form")
      ->capture_default_str()
      ->group("CUDA");
  command.add_option("--only", options.only, "Only workloads whose name contains this")->group("CUDA");
  command.add_option("--kv-heads", options.kv_heads, "Numbers of KV heads, one after the other (default: as --hkv)")
      ->delimiter(',')
      ->group("CUDA");
  command
      .add_option("--chained", options.chained,
                  "Programmatic dependent launch between steps, as between layers: no, yes or both")
      ->capture_default_str()
      ->group("CUDA");
  command
      .add_option("--processes", options.processes,
                  "Processes that measure all of it one after the other; medians are reported, and the worst")
      ->capture_default_str()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group("CUDA");
  command.add_option("--max-ctas", options.max_ctas, "CTAs that stream may use (default: one for each SM)")
      ->group("CUDA");
  command.add_option("--max-warps", options.max_warps, "Warps of a CTA (default: what shared memory holds, up to 8)")
      ->group("CUDA");
  command
      .add_option("--max-shared-kib", options.max_shared_kib,
                  "Shared memory of a CTA, to imitate a smaller GPU (default: the device's)")
      ->group("CUDA");
}

void add_cpu_options(CLI::App& command, BenchOptions& options) {
  command.add_option("--simd", options.simd, "Instruction sets: best, or names that pkv info lists")
      ->delimiter(',')
      ->group("CPU");
  command.add_option("--threads", options.threads, "Threads, of decode and readers alike (default: all)")->group("CPU");
  command.add_option("--pool-gib", options.pool_gib, "KV that the buffers rotate over")
      ->capture_default_str()
      ->group("CPU");
}

void run(const BenchOptions& options) {
  if (options.backend == "cpu") return bench_cpu(options);
  if (options.backend == "cuda") return bench_cuda(options);
  throw InvalidArgument(fmt::format("backend is '{}', must be cpu or cuda", options.backend));
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<BenchOptions>();
  command->add_option("--backend", options->backend, "What to time: cpu or cuda")->capture_default_str();
  command->add_option("--dtypes", options->dtypes, "Dtypes, one after the other")->delimiter(',');
  command->add_option("--lengths", options->lengths, "Tokens of each row of one step, instead of a suite")
      ->delimiter(',');
  command
      ->add_option("--route,--routes", options->routes,
                   "Routes, FlashInfer's too where the build has it (cpu: one schedule)")
      ->delimiter(',');
  command->add_option("--rounds", options->rounds, "Times that everything takes its turn (default: cpu 21, cuda 7)");
  command->add_option("--json", options->json, "Also write results to this file")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_cpu_options(*command, *options);
  add_cuda_options(*command, *options);
  options->shape.add_to(*command);
  options->cut.add_to(*command);
  command->remove_option(command->get_option("--dtype"));
  command->callback([options] { run(*options); });
}

}  // namespace pkv::cli
