// Device-resident indices that are wrong: nothing outside the caller's memory is read or written, the error word says
// what was found, and rows that are right come out right. What stands in for a bad index is documented, so the rows
// concerned are compared too: a value read from anywhere else, the NaN beside the pools above all, would show.

#include "cuda/paged_problem.hpp"

namespace pkv::testing {

namespace {

constexpr int kBatch = 6;
constexpr std::int64_t kPages = 8;

class CudaBadIndices : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (IsSkipped()) return;
    Dimensions d;
    d.batch = kBatch;
    d.pages_per_row = kPages;
    d.fill_unused = true;
    problem_ = std::make_unique<PagedProblem>(d, random_);
    most_ = d.capacity_tokens();
    problem_->draw(std::vector<std::int32_t>{most_, 50, 0, 17, most_ - 1, 100});
  }

  /// Runs a step that is bad, and then the one that is good, on the same prepared memory. What the host holds by then
  /// is the step put right.
  void expect(const Step& bad, const CudaDeviceErrors& expected) {
    const auto prepared = prepare(bad);
    for (int i = 0; i < 2; ++i) {
      problem_->poison_outputs();
      prepared->run(problem_->device_layer(), nullptr);
      const CudaDeviceErrors errors = prepared->take_errors(nullptr);
      EXPECT_EQ(errors.length_over_capacity, expected.length_over_capacity);
      EXPECT_EQ(errors.page_out_of_range, expected.page_out_of_range);
      EXPECT_EQ(errors.table_out_of_range, expected.table_out_of_range);
      EXPECT_EQ(errors.row_id_out_of_range, expected.row_id_out_of_range);
      EXPECT_FALSE(prepared->take_errors(nullptr).any()) << "taken errors are cleared";
      EXPECT_EQ(problem_->disagreement(), "");
    }
  }

  std::int32_t& entry(int row, int page) { return problem_->entries()[static_cast<std::size_t>(row * kPages + page)]; }
  std::int32_t& length(int row) { return problem_->lengths()[static_cast<std::size_t>(row)]; }

  std::unique_ptr<PagedProblem> problem_;
  std::int32_t most_ = 0;
};

TEST_F(CudaBadIndices, NoneWhereAllIsRight) { expect(problem_->device_step(), {}); }

TEST_F(CudaBadIndices, LengthsOverCapacity) {
  std::vector<std::int32_t> bad = problem_->lengths();
  bad[1] = most_ + 1;
  bad[3] = INT32_MAX;
  bad[5] = INT32_MIN;
  const DeviceIndices<std::int32_t> lengths(bad);
  Step step = problem_->device_step();
  step.lengths.values = lengths.view();
  // The table of rows 1 and 3 holds garbage past their ends: give them pages.
  for (int page = 0; page < kPages; ++page) entry(1, page) = entry(3, page) = page;
  const DeviceIndices<std::int32_t> entries(problem_->entries());
  step.table.entries = entries.view();
  length(1) = length(3) = most_;
  length(5) = 0;
  expect(step, {.length_over_capacity = true});
}

TEST_F(CudaBadIndices, WideLengthsOverCapacity) {
  std::vector<std::int64_t> bad(problem_->lengths().begin(), problem_->lengths().end());
  bad[4] = std::int64_t{1} << 40;
  bad[5] = -(std::int64_t{1} << 40);
  const DeviceIndices<std::int64_t> lengths(bad);
  Step step = problem_->device_step();
  step.lengths.values = lengths.view();
  length(4) = most_;
  length(5) = 0;
  expect(step, {.length_over_capacity = true});
}

TEST_F(CudaBadIndices, PagesOutOfRange) {
  std::vector<std::int32_t> bad = problem_->entries();
  const auto num_pages = static_cast<std::int32_t>(problem_->device_step().num_pages);
  const std::int32_t values[] = {-1, num_pages, INT32_MAX, INT32_MIN};
  const int rows[] = {0, 1, 3, 4};
  for (int i = 0; i < 4; ++i) {
    bad[static_cast<std::size_t>(rows[i] * kPages + 1)] = values[i];
    entry(rows[i], 1) = 0;
  }
  const DeviceIndices<std::int32_t> entries(bad);
  Step step = problem_->device_step();
  step.table.entries = entries.view();
  expect(step, {.page_out_of_range = true});
}

TEST_F(CudaBadIndices, WideTokenSlotsOutOfRange) {
  std::vector<std::int64_t> bad(problem_->entries().begin(), problem_->entries().end());
  for (std::int64_t& slot : bad) slot *= 16;
  const std::int64_t values[] = {-1, problem_->device_step().num_pages * 16, INT64_MAX, INT64_MIN};
  const int rows[] = {0, 1, 3, 4};
  for (int i = 0; i < 4; ++i) {
    bad[static_cast<std::size_t>(rows[i] * kPages)] = values[i];
    entry(rows[i], 0) = 0;
  }
  const DeviceIndices<std::int64_t> entries(bad);
  Step step = problem_->device_step();
  step.table.entries = entries.view();
  step.table.entry_divisor = 16;
  expect(step, {.page_out_of_range = true});
}

TEST_F(CudaBadIndices, TableRowsOutOfRange) {
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{kBatch}, std::int64_t{1} << 40}) {
    SCOPED_TRACE(::testing::Message() << "row id " << id);
    std::vector<std::int64_t> bad = {0, 1, 2, id, 4, 5};
    const DeviceIndices<std::int64_t> ids(bad);
    Step step = problem_->device_step();
    step.table.row_ids = ids.view();
    for (int page = 0; page < kPages; ++page) entry(3, page) = entry(0, 0);
    expect(step, {.table_out_of_range = true});
  }
}

/// CSR offsets that leave the entries at either end.
TEST_F(CudaBadIndices, OffsetsOutOfRange) {
  const std::int64_t size = kBatch * kPages;
  std::vector<std::int64_t> offsets = {-1, 8, 16, 24, 32, 40, size + 5};
  length(0) = length(5) = most_;
  Step step = problem_->device_step();
  for (int page = 0; page < kPages; ++page) entry(0, page) = entry(5, page) = page;
  DeviceIndices<std::int32_t> entries(problem_->entries());
  const DeviceIndices<std::int32_t> lengths(problem_->lengths());
  const DeviceIndices<std::int64_t> device_offsets(offsets);
  step.lengths.values = lengths.view();
  step.table.entries = entries.view();
  step.table.row_offsets = device_offsets.view();
  step.table.row_stride = step.table.entries_per_row = 0;
  // Row 0's entries begin one too early; its first is the table's first, as is its second.
  for (int page = kPages - 1; page > 0; --page) entry(0, page) = entry(0, page - 1);
  expect(step, {.table_out_of_range = true});

  // Rows of which the entries hold a part, or nothing.
  offsets = {0, 8, size + 8, std::int64_t{1} << 40, 32, 40, size};
  DeviceIndices<std::int64_t> others(offsets);
  step.table.row_offsets = others.view();
  for (int page = 0; page < kPages; ++page) entry(0, page) = page;
  entries.upload(problem_->entries());
  length(1) = 50;
  length(2) = 0;  // [size + 8, 2^40): none of them there
  length(3) = 0;  // [2^40, 32): falls
  const std::vector<std::int32_t> asked = {most_, 50, 20, 17, most_ - 1, 100};
  const DeviceIndices<std::int32_t> device_asked(asked);
  step.lengths.values = device_asked.view();
  length(0) = most_, length(4) = most_ - 1, length(5) = 100;
  expect(step, {.length_over_capacity = true});
}

/// Rows of q and out, for the plan of the device and for one of the host.
TEST_F(CudaBadIndices, TensorRowsOutOfRange) {
  const DeviceIndices<std::int64_t> good({0, 1, 2, 3, 4, 5});
  for (const Schedule schedule : {Schedule::kStream, Schedule::kWorkqueueFused, Schedule::kWorkqueue}) {
    const bool planned_there = schedule == Schedule::kStream;
    const auto prepared =
        backend_->prepare(planned_there ? problem_->device_step() : problem_->host_step(), schedule, stream_options());
    auto& step = dynamic_cast<CudaPreparedStep&>(*prepared);
    for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{kBatch}, INT64_MAX, INT64_MIN}) {
      SCOPED_TRACE(::testing::Message() << to_string(schedule) << ", row id " << id);
      const DeviceIndices<std::int64_t> bad({0, 1, id, 3, id, 5});  // row 2 is empty
      Layer layer = problem_->device_layer();
      layer.out.row_ids = bad.view();
      problem_->poison_outputs();
      step.run(layer, nullptr);
      CudaDeviceErrors errors = step.take_errors(nullptr);
      EXPECT_TRUE(errors.row_id_out_of_range);
      EXPECT_FALSE(errors.length_over_capacity || errors.page_out_of_range || errors.table_out_of_range);
      ASSERT_EQ(problem_->download(), "");
      for (int row = 0; row < kBatch; ++row) {
        if (row == 2 || row == 4)
          EXPECT_TRUE(problem_->row_is_poison(row)) << "row " << row << " was written";
        else
          EXPECT_EQ(problem_->wrong_row(row), "");
      }

      layer.out.row_ids = good.view();
      layer.q.row_ids = bad.view();
      problem_->poison_outputs();
      step.run(layer, nullptr);
      errors = step.take_errors(nullptr);
      EXPECT_TRUE(errors.row_id_out_of_range);
      ASSERT_EQ(problem_->download(), "");
      for (const int row : {0, 1, 2, 3, 5}) EXPECT_EQ(problem_->wrong_row(row), "");
    }
    const DeviceIndices<std::int32_t> fine({0, 1, 2, 3, 4, 5});
    Layer layer = problem_->device_layer();
    layer.out.row_ids = layer.q.row_ids = fine.view();
    problem_->poison_outputs();
    step.run(layer, nullptr);
    EXPECT_FALSE(step.take_errors(nullptr).any());
    EXPECT_EQ(problem_->disagreement(), "");
  }
}

/// Memory goes from step to step; what one has found is not the next one's.
TEST_F(CudaBadIndices, AreTheStepsOwn) {
  std::vector<std::int32_t> bad = problem_->lengths();
  bad[1] = INT32_MIN;
  bad[3] = most_ + 1;
  const DeviceIndices<std::int32_t> lengths(bad);
  {
    Step step = problem_->device_step();
    step.lengths.values = lengths.view();
    const auto prepared = prepare(step);
    prepared->run(problem_->device_layer(), nullptr);
    check(cudaDeviceSynchronize());
  }
  const auto next = prepare(problem_->device_step());
  next->run(problem_->device_layer(), nullptr);
  EXPECT_FALSE(next->take_errors(nullptr).any());
}

}  // namespace

}  // namespace pkv::testing
