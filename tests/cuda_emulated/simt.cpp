#include "simt.hpp"

#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <vector>

namespace pkv::cuda {
extern unsigned char dynamic_shared[];
alignas(1024) unsigned char dynamic_shared[emulation::kSharedBytes];
}  // namespace pkv::cuda

namespace pkv::emulation {

Index3 thread_index, block_index, block_size, grid_size;

namespace {

constexpr std::size_t kStackBytes = 256 << 10;

std::mt19937& random() {
  static std::mt19937 engine(20260623);
  return engine;
}

struct Copy {
  unsigned char* to;
  std::vector<unsigned char> bytes;  // as they were when the copy began

  void arrive() const { std::copy(bytes.begin(), bytes.end(), to); }
};

struct Fiber {
  ucontext_t context{};  // to begin with; then jumps, which ask nothing of the kernel
  std::jmp_buf at{};
  bool begun = false;
  std::unique_ptr<unsigned char[]> stack;
  unsigned index = 0;
  bool done = false;
  bool waits = false;  // in a warp or at the CTA's barrier
  const void* given = nullptr;
  void* got = nullptr;
  std::vector<Copy> uncommitted;
  std::deque<std::vector<Copy>> groups;
};

struct Warp {
  unsigned arrived = 0;
};

/// The CTA that runs.
struct Cta {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  unsigned live = 0, at_barrier = 0;
  Fiber* current = nullptr;
  std::jmp_buf scheduler{};
  const std::function<void()>* kernel = nullptr;
  std::exception_ptr thrown;
};

Cta* cta = nullptr;

void apply(std::vector<Copy>& copies) {
  for (const Copy& copy : copies) copy.arrive();
  copies.clear();
}

Warp& warp_of(const Fiber& fiber) { return cta->warps[fiber.index / 32]; }

void wake_warp(Warp& warp) {
  warp.arrived = 0;
  const auto first = static_cast<std::size_t>(&warp - cta->warps.data()) * 32;
  for (std::size_t i = first; i < std::min(first + 32, cta->fibers.size()); ++i) cta->fibers[i].waits = false;
}

void wake_cta() {
  cta->at_barrier = 0;
  for (Fiber& fiber : cta->fibers) fiber.waits = false;
}

void run_fiber() {
  try {
    (*cta->kernel)();
  } catch (...) {
    cta->thrown = std::current_exception();
  }
  Fiber& self = *cta->current;
  for (auto& group : self.groups) apply(group);
  self.done = true;
  --cta->live;
  // Those who left need not come to a barrier.
  if (cta->live > 0 && cta->at_barrier == cta->live) wake_cta();
  _longjmp(cta->scheduler, 1);
}

/// Back to the scheduler, which comes back here.
void leave() {
  if (_setjmp(cta->current->at) == 0) _longjmp(cta->scheduler, 1);
}

void resume(Fiber& fiber) {
  if (_setjmp(cta->scheduler) != 0) return;
  if (fiber.begun) _longjmp(fiber.at, 1);
  fiber.begun = true;
  setcontext(&fiber.context);
}

/// Lets a warp run until it waits, then another one: in an order of chance, as a GPU's.
void run_all() {
  std::vector<std::size_t> order(cta->warps.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  while (cta->live > 0) {
    bool any = false;
    std::shuffle(order.begin(), order.end(), random());
    for (const std::size_t warp : order) {
      const std::size_t end = std::min(warp * 32 + 32, cta->fibers.size());
      for (std::size_t i = warp * 32; i < end; ++i) {
        Fiber& fiber = cta->fibers[i];
        if (fiber.done || fiber.waits) continue;
        any = true;
        cta->current = &fiber;
        thread_index.x = fiber.index;
        resume(fiber);
        if (cta->thrown) std::rethrow_exception(cta->thrown);
      }
    }
    if (!any) throw std::runtime_error("threads of a CTA wait for some that do not come");
  }
}

void run_cta(Cta& state, unsigned block) {
  state.fibers.resize(block);
  state.warps.assign((block + 31) / 32, {});
  state.live = block;
  state.at_barrier = 0;
  for (unsigned i = 0; i < block; ++i) {
    Fiber& fiber = state.fibers[i];
    if (!fiber.stack) fiber.stack = std::make_unique<unsigned char[]>(kStackBytes);
    fiber.index = i;
    fiber.done = fiber.waits = fiber.begun = false;
    fiber.groups.clear();
    fiber.uncommitted.clear();
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_fiber, 0);
  }
  run_all();
}

std::map<const void*, Thunk>& kernels() {
  static std::map<const void*, Thunk> all;
  return all;
}

}  // namespace

unsigned char* const shared_memory = cuda::dynamic_shared;

void launch(unsigned grid, unsigned block, const std::function<void()>& kernel) {
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  static Cta state;  // keeps its stacks
  cta = &state;
  state.kernel = &kernel;
  state.thrown = nullptr;
  grid_size = {grid, 1, 1};
  block_size = {block, 1, 1};
  std::vector<unsigned> order(grid);
  for (unsigned i = 0; i < grid; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random());
  for (const unsigned index : order) {
    block_index = {index, 0, 0};
    std::memset(shared_memory, 0xff, kSharedBytes);
    run_cta(state, block);
  }
}

void wait_for_cta() {
  Fiber& self = *cta->current;
  if (++cta->at_barrier == cta->live) {
    wake_cta();
    return;
  }
  self.waits = true;
  leave();
}

void exchange_in_warp(const void* given, void* got, Exchange exchange, const void* with) {
  Fiber& self = *cta->current;
  Warp& warp = warp_of(self);
  self.given = given;
  self.got = got;
  if (++warp.arrived < 32) {
    self.waits = true;
    leave();
    return;
  }
  std::array<const void*, 32> from{};
  std::array<void*, 32> to{};
  const std::size_t first = self.index / 32 * 32;
  for (std::size_t i = 0; i < 32; ++i) {
    from[i] = cta->fibers[first + i].given;
    to[i] = cta->fibers[first + i].got;
  }
  exchange(from, to, with);
  wake_warp(warp);
}

void copy_async(void* to, const void* from, std::size_t bytes) {
  std::vector<Copy>& copies = cta->current->uncommitted;
  Copy& copy = copies.emplace_back(Copy{static_cast<unsigned char*>(to), std::vector<unsigned char>(bytes)});
  if (from != nullptr) std::memcpy(copy.bytes.data(), from, bytes);
  if ((random()() & 1) == 0) return;
  copy.arrive();
  copies.pop_back();
}

void commit_copies() {
  cta->current->groups.push_back(std::move(cta->current->uncommitted));
  cta->current->uncommitted.clear();
}

void wait_for_copies(int pending) {
  auto& groups = cta->current->groups;
  while (groups.size() > static_cast<std::size_t>(pending)) {
    apply(groups.front());
    groups.pop_front();
  }
}

void add_kernel(const void* function, Thunk thunk) { kernels()[function] = std::move(thunk); }

const Thunk* find_kernel(const void* function) {
  const auto found = kernels().find(function);
  return found != kernels().end() ? &found->second : nullptr;
}

}  // namespace pkv::emulation
