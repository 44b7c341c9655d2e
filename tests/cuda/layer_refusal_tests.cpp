// Layers that cannot be served, by steps that can.

#include "cuda/refusals.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace pkv::testing {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(CudaRefusals, RowIdsInHostMemory) {
  const std::vector<std::int32_t> ids = {0, 1, 2};
  const IndexView view = IndexView::host(ids.data(), 3);
  EXPECT_EQ(refused<Unsupported>([&](Layer& l) { l.q.row_ids = view; }),
            "q.row_ids are in host memory, must be on the device");
  EXPECT_EQ(refused<Unsupported>([&](Layer& l) { l.out.row_ids = view; }),
            "out.row_ids are in host memory, must be on the device");
  EXPECT_THAT(refused([&](Layer& l) {
                l.q.row_ids = view;
                l.q.row_ids.space = MemorySpace::kDevice;
              }),
              AllOf(HasSubstr("q is 0x"), HasSubstr("must be device memory")));
}

TEST_F(CudaRefusals, PointersInHostMemory) {
  const Layer host = problem_->host_layer();
  const auto words = [](const char* name, const void* data) {
    return fmt::format("{} is {}, must be device memory", name, data);
  };
  EXPECT_EQ(refused([&](Layer& l) { l.kv.k.data = host.kv.k.data; }), words("k", host.kv.k.data));
  EXPECT_EQ(refused([&](Layer& l) { l.kv.v.data = host.kv.v.data; }), words("v", host.kv.v.data));
  EXPECT_EQ(refused([&](Layer& l) { l.q.data = host.q.data; }), words("q", host.q.data));
  EXPECT_EQ(refused([&](Layer& l) { l.out.data = host.out.data; }), words("out", host.out.data));
  EXPECT_EQ(refused([&](Layer& l) { l.lse->data = host.lse->data; }), words("lse", host.lse->data));
}

TEST_F(CudaRefusals, PointersThatAreNotAligned) {
  const auto off = [](auto*& data) {
    data = reinterpret_cast<std::remove_reference_t<decltype(data)>>(reinterpret_cast<std::uintptr_t>(data) + 8);
  };
  const auto words = [](const char* name) {
    return AllOf(HasSubstr(fmt::format("{}.data is 0x", name)), HasSubstr("must be aligned to 16 bytes"));
  };
  EXPECT_THAT(refused([&](Layer& l) { off(l.kv.k.data); }), words("k"));
  EXPECT_THAT(refused([&](Layer& l) { off(l.kv.v.data); }), words("v"));
  EXPECT_THAT(refused([&](Layer& l) { off(l.q.data); }), words("q"));
  EXPECT_THAT(refused([&](Layer& l) { off(l.out.data); }), words("out"));
}

TEST_F(CudaRefusals, StridesThatAreNotAligned) {
  const auto words = [](const char* member, std::int64_t elements, int size = 2) {
    return fmt::format("{} is {} bytes, must be a multiple of 16 bytes", member, elements * size);
  };
  std::int64_t stride = 0;
  const auto grown = [&](std::int64_t& of) { stride = of += 4; };
  for (const bool of_k : {true, false}) {
    const std::string name = of_k ? "k" : "v";
    const auto tensor = [&](Layer& l) -> PagedTensorView& { return of_k ? l.kv.k : l.kv.v; };
    std::string said = refused([&](Layer& l) { grown(tensor(l).page_stride); });
    EXPECT_EQ(said, words((name + ".page_stride").c_str(), stride));
    said = refused([&](Layer& l) {
      tensor(l).page_stride *= 2;
      grown(tensor(l).head_stride);
    });
    EXPECT_EQ(said, words((name + ".head_stride").c_str(), stride));
    said = refused([&](Layer& l) {
      tensor(l).page_stride *= 2;
      tensor(l).head_stride *= 2;
      grown(tensor(l).token_stride);
    });
    EXPECT_EQ(said, words((name + ".token_stride").c_str(), stride));
  }
  std::string said = refused([&](Layer& l) { grown(l.q.row_stride); });
  EXPECT_EQ(said, words("q.row_stride", stride));
  said = refused([&](Layer& l) { grown(l.out.row_stride); });
  EXPECT_EQ(said, words("out.row_stride", stride));
  said = refused([&](Layer& l) {
    l.q.row_stride *= 2;
    grown(l.q.head_stride);
  });
  EXPECT_EQ(said, words("q.head_stride", stride));
  said = refused([&](Layer& l) {
    l.out.row_stride *= 2;
    grown(l.out.head_stride);
  });
  EXPECT_EQ(said, words("out.head_stride", stride));
}

/// After all that was refused, what is right still runs.
TEST_F(CudaRefusals, LeaveTheStepAsItWas) {
  (void)refused([](Layer& l) { l.q.row_stride += 4; });
  prepared_->run(problem_->device_layer(), nullptr);
  EXPECT_EQ(problem_->disagreement(), "");
}

}  // namespace

}  // namespace pkv::testing
