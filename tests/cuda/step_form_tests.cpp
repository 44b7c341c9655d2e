// Which of the kernels of `stream` a step gets: those for usual steps do not ask for what these leave out.

#include "launch_params.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace pkv::cuda {
namespace {

StepParams usual_step() {
  StepParams step;
  step.batch = kFewRows;
  step.granule_log2 = kTileLog2;
  return step;
}

TEST(StepForm, OfUsualSteps) {
  StepParams step = usual_step();
  EXPECT_EQ(form_of(step, {}, false), StepForm::kUsualFewRows);
  step.batch = kFewRows + 1;
  EXPECT_EQ(form_of(step, {}, false), StepForm::kUsual);
}

TEST(StepForm, EachThingThatIsNotUsualIsAskedFor) {
  int ids = 0;
  struct Unusual {
    std::string what;
    std::function<void(StepParams&)> make;
  };
  const std::vector<Unusual> unusual = {
      {"int64 or running lengths, or CSR", [](StepParams& s) { s.plain_lengths = false; }},
      {"int64 entries", [](StepParams& s) { s.entries.is_i64 = true; }},
      {"rows of the table by ids", [&](StepParams& s) { s.row_ids.data = &ids; }},
      {"an entry for each token", [](StepParams& s) { s.entry_stride = arith::Divisor(16); }},
      {"entries that count tokens", [](StepParams& s) { s.entry_divisor = arith::Divisor(16); }},
      {"pages of half a tile", [](StepParams& s) { s.granule_log2 = 3; }},
  };
  for (const std::int32_t batch : {1, 100}) {
    for (const Unusual& u : unusual) {
      StepParams step = usual_step();
      step.batch = batch;
      u.make(step);
      EXPECT_EQ(form_of(step, {}, false), StepForm::kAny) << u.what;
    }
    StepParams step = usual_step();
    step.batch = batch;
    EXPECT_EQ(form_of(step, GroupCut::of(17, 2), false), StepForm::kAny) << "two passes over K and V";
    EXPECT_NE(form_of(step, GroupCut::of(16, 2), false), StepForm::kAny);
    EXPECT_EQ(form_of(step, {}, true), StepForm::kAny) << "costs of 2^31";
  }
}

TEST(StepForm, OfLayers) {
  int ids = 0;
  EXPECT_TRUE(is_usual(DecodeParams{}));
  DecodeParams layer;
  layer.q.row_ids.data = &ids;
  EXPECT_FALSE(is_usual(layer));
  layer = {};
  layer.out.row_ids.data = &ids;
  EXPECT_FALSE(is_usual(layer));
  layer = {};
  layer.out_is_f32 = true;
  EXPECT_FALSE(is_usual(layer));
}

}  // namespace
}  // namespace pkv::cuda
