#include "mlp_proxy.hpp"

#include "cublas.hpp"
#include "cuda_bench/bench_kernels.hpp"
#include "cuda_bench/graph_timer.hpp"
#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "cuda_support/stream.hpp"
#include "persistentkv/core/error.hpp"
#include "silu_mul.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <vector>

namespace pkv::cuda_mlp {

namespace {

using cuda::check;
using cuda::DeviceArray;

constexpr int kMaxBatch = 4096;
constexpr int kMaxWidth = 1 << 20;
constexpr int kRounds = 7;
constexpr int kLayersOfGraph = 12;  // at least: the launch of a graph is shared by that many

void require(const char* name, int value, int least, int most) {
  if (value < least || value > most)
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name, value, least, most));
}

DeviceArray<std::uint16_t> normal(std::int64_t elements, std::uint32_t seed) {
  DeviceArray<std::uint16_t> array(elements);
  cuda_bench::fill_normal(array.get(), DType::kF16, elements, seed, nullptr);
  return array;
}

struct LayerWeights {
  DeviceArray<std::uint16_t> gate_up;
  DeviceArray<std::uint16_t> down;
};

}  // namespace

struct MlpProxy::State {
  State(int batch, const MlpShape& of, int num_layers)
      : shape(of),
        max_batch(batch),
        input(normal(std::int64_t{batch} * of.hidden, 1)),
        wide(std::int64_t{2} * batch * of.intermediate),
        narrow(std::int64_t{batch} * of.intermediate),
        output(std::int64_t{batch} * of.hidden) {
    const std::int64_t weights = std::int64_t{of.hidden} * of.intermediate;
    layers.reserve(static_cast<std::size_t>(num_layers));
    for (int i = 0; i < num_layers; ++i) {
      const auto seed = static_cast<std::uint32_t>(2 + 2 * i);
      layers.push_back({normal(2 * weights, seed), normal(weights, seed + 1)});
    }
    check(cudaDeviceSynchronize(), "filling weights");
  }

  Cublas cublas;
  MlpShape shape;
  int max_batch;
  std::vector<LayerWeights> layers;
  DeviceArray<std::uint16_t> input, wide, narrow, output;
  cuda::Stream stream;
  std::map<int, double> times_us;
  std::size_t next = 0;
};

MlpProxy::MlpProxy(int max_batch, const MlpShape& shape, int num_layers) {
  require("max_batch", max_batch, 1, kMaxBatch);
  require("hidden", shape.hidden, 1, kMaxWidth);
  require("intermediate", shape.intermediate, 2, kMaxWidth);
  require("num_layers", num_layers, 1, 64);
  if (shape.intermediate % 2 != 0)
    throw InvalidArgument(fmt::format("intermediate is {}, must be even", shape.intermediate));
  state_ = std::make_unique<State>(max_batch, shape, num_layers);
}

MlpProxy::~MlpProxy() = default;

void MlpProxy::run(int batch, StreamHandle stream) {
  State& s = *state_;
  require("batch", batch, 1, s.max_batch);
  const LayerWeights& layer = s.layers[s.next];
  s.next = (s.next + 1) % s.layers.size();
  const auto [hidden, intermediate] = s.shape;
  s.cublas.linear(layer.gate_up.get(), s.input.get(), s.wide.get(), batch, hidden, 2 * intermediate, gate_up_scale(),
                  stream);
  silu_mul(s.wide.get(), s.narrow.get(), batch, intermediate, stream);
  s.cublas.linear(layer.down.get(), s.narrow.get(), s.output.get(), batch, intermediate, hidden, down_scale(), stream);
}

double MlpProxy::time_us(int batch) {
  State& s = *state_;
  require("batch", batch, 1, s.max_batch);
  if (const auto known = s.times_us.find(batch); known != s.times_us.end()) return known->second;
  const auto layers = static_cast<int>(s.layers.size());
  const int runs = (kLayersOfGraph + layers - 1) / layers * layers;
  cuda_bench::TimedGraph graph(s.stream.handle(), [&] {
    for (int i = 0; i < runs; ++i) run(batch, s.stream.handle());
  });
  const double us = graph.time_us(kRounds)[kRounds / 2] / runs;
  s.times_us.emplace(batch, us);
  return us;
}

std::int64_t MlpProxy::weight_bytes() const noexcept {
  return std::int64_t{3} * state_->shape.hidden * state_->shape.intermediate * 2;
}
const MlpShape& MlpProxy::shape() const noexcept { return state_->shape; }
std::string MlpProxy::cublas_version() const { return state_->cublas.version(); }
const void* MlpProxy::input() const noexcept { return state_->input.get(); }
const void* MlpProxy::gate_up(int layer) const noexcept {
  return state_->layers[static_cast<std::size_t>(layer)].gate_up.get();
}
const void* MlpProxy::down(int layer) const noexcept {
  return state_->layers[static_cast<std::size_t>(layer)].down.get();
}
const void* MlpProxy::output() const noexcept { return state_->output.get(); }
float MlpProxy::gate_up_scale() const noexcept { return 1.0F / std::sqrt(static_cast<float>(state_->shape.hidden)); }
float MlpProxy::down_scale() const noexcept { return 1.0F / std::sqrt(static_cast<float>(state_->shape.intermediate)); }

}  // namespace pkv::cuda_mlp
