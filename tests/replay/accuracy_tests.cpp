// The replay's check finds what it is there to find.

#include "replay/accuracy.hpp"

#include "persistentkv/cpu/cpu_backend.hpp"
#include "replay/kv_pool.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace pkv::replay {
namespace {

class ReplayAccuracy : public ::testing::Test {
 protected:
  ReplayAccuracy() {
    std::iota(table_.begin(), table_.end(), 0);
    std::mt19937 rng(std::random_device{}());
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < q_.size(); ++i)
      store_element(q_.data(), DType::kF16, static_cast<std::int64_t>(i), normal(rng));
    step_.shape = kShape;
    step_.num_pages = 16;
    step_.batch = 2;
    step_.lengths.values = IndexView::host(lengths_.data(), 2);
    step_.table = PageTableView::dense(table_.data(), 2, 8);
    layer_ = Layer::dense(step_, pool_.view(), q_.data(), out_.data());
    make_cpu_backend()->prepare(step_, Schedule::kStream, {})->run(layer_);
  }

  Accuracy compare() const {
    Accuracy accuracy;
    StepOracle(step_, layer_).compare(layer_, accuracy);
    return accuracy;
  }

  static constexpr AttentionShape kShape{4, 2, 32};
  std::vector<std::int32_t> lengths_{100, 37};
  std::vector<std::int32_t> table_ = std::vector<std::int32_t>(16);
  KvPool pool_{kShape, DType::kF16, 16, 16, 7};
  std::vector<std::uint16_t> q_ = std::vector<std::uint16_t>(2 * 4 * 32);
  std::vector<std::uint16_t> out_ = std::vector<std::uint16_t>(2 * 4 * 32);
  Step step_;
  Layer layer_;
};

TEST_F(ReplayAccuracy, ARightResultPasses) {
  const Accuracy accuracy = compare();
  EXPECT_EQ(accuracy.outputs, 8);
  EXPECT_EQ(why_inaccurate(accuracy, accuracy_bounds(DType::kF16)), "");
}

TEST_F(ReplayAccuracy, AWrongTokenCountFails) {
  lengths_[0] = 99;
  EXPECT_NE(why_inaccurate(compare(), accuracy_bounds(DType::kF16)), "");
}

TEST_F(ReplayAccuracy, ANanFails) {
  out_[77] = 0x7e00;
  EXPECT_NE(why_inaccurate(compare(), accuracy_bounds(DType::kF16)), "");
}

}  // namespace
}  // namespace pkv::replay
