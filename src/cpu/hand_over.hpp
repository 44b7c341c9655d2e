#pragma once

// The thread pool orders what its threads do, but distributions build it without ThreadSanitizer, which then sees no
// order at all. These two tell it; in other builds they are nothing.

#if defined(__SANITIZE_THREAD__)
#define PKV_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PKV_TSAN 1
#endif
#endif

#ifdef PKV_TSAN
extern "C" void __tsan_acquire(void* address);  // NOLINT(bugprone-reserved-identifier): the sanitizer's own names
extern "C" void __tsan_release(void* address);  // NOLINT(bugprone-reserved-identifier)
#endif

namespace pkv::detail {

/// What this thread did before is visible to whoever takes over the same object afterwards.
inline void hand_over([[maybe_unused]] void* object) {
#ifdef PKV_TSAN
  __tsan_release(object);
#endif
}
inline void take_over([[maybe_unused]] void* object) {
#ifdef PKV_TSAN
  __tsan_acquire(object);
#endif
}

}  // namespace pkv::detail
