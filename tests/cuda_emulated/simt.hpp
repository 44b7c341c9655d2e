#pragma once

// CUDA's threads on a CPU, to run kernels where there is no GPU: not how fast they are, but whether they are right. One
// CTA after the other, in any order; its threads are fibers of one thread of the host, which change at barriers and
// where a warp's lanes exchange something. Whoever would wait for what never comes is found out.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace pkv::emulation {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

/// Of the fiber that runs.
extern Index3 thread_index, block_index, block_size, grid_size;
/// The CTA's dynamic shared memory, and how much of it a launch may have.
inline constexpr std::size_t kSharedBytes = 227 << 10;
extern unsigned char* const shared_memory;  // kernels know it as pkv::cuda::dynamic_shared

/// All CTAs, one after the other; every thread calls `kernel`. Shared memory holds garbage at first. Throws
/// std::runtime_error where threads wait for each other for ever.
void launch(unsigned grid, unsigned block, const std::function<void()>& kernel);

/// __syncthreads().
void wait_for_cta();

/// What the lanes of a warp get for what they give.
using Exchange = void (*)(const std::array<const void*, 32>& given, const std::array<void*, 32>& got, const void* with);
/// Waits for all lanes; the last to come does `exchange`, with what it was given. `got` is written before it returns.
void exchange_in_warp(const void* given, void* got, Exchange exchange, const void* with);

/// got[i] = what all(given, i) says for lane i.
template <class Got, class Given, class All>
Got in_warp(const Given& given, const All& all) {
  Got got{};
  exchange_in_warp(
      &given, &got,
      [](const std::array<const void*, 32>& from, const std::array<void*, 32>& to, const void* with) {
        std::array<Given, 32> values{};
        for (std::size_t i = 0; i < 32; ++i) values[i] = *static_cast<const Given*>(from[i]);
        for (std::size_t i = 0; i < 32; ++i) *static_cast<Got*>(to[i]) = (*static_cast<const All*>(with))(values, i);
      },
      &all);
  return got;
}

/// A copy from global to shared memory, of zeros where `from` is null: it arrives at once, or only when it is waited
/// for, by a coin that falls alike in each run of a program.
void copy_async(void* to, const void* from, std::size_t bytes);
void commit_copies();
/// Until no more than `pending` committed groups of the thread are under way.
void wait_for_copies(int pending);

/// A kernel that can be launched by its address: makes a call of it, with copies of these parameters.
using Thunk = std::function<std::function<void()>(void** params)>;
void add_kernel(const void* function, Thunk thunk);
/// Null where it is not known.
const Thunk* find_kernel(const void* function);

template <class... Params>
const void* kernel(void (*function)(Params...)) {
  const auto* address = reinterpret_cast<const void*>(function);
  add_kernel(address, [function](void** params) -> std::function<void()> {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      using Copies = std::tuple<std::remove_cvref_t<Params>...>;
      return [function, copies = Copies(*static_cast<std::remove_cvref_t<Params>*>(params[i])...)] {
        std::apply(function, copies);
      };
    }
    (std::index_sequence_for<Params...>());
  });
  return address;
}

}  // namespace pkv::emulation
