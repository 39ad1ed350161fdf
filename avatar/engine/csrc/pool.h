// The engine's thread pool: dynamic scheduling, short spin then sleep, no OpenMP.
// Results never depend on the number of threads: tasks write to their own places and partial sums are added in task order.
#pragma once
#include <cstdint>

namespace avatar_pool {

typedef void (*Task)(void* closure, int task);

// Runs task(closure, 0 .. tasks - 1) on the caller's thread and those workers that come to help. Any thread may call it, also
// from within a task, and a forked child makes workers of its own.
void run(int tasks, Task task, void* closure);
// How many threads a job started from now on may have, the caller's included. Workers above that sleep.
void set_threads(int threads);

template <class F> inline void parallel(int tasks, F&& f) {
  run(tasks, [](void* closure, int task) { (*static_cast<F*>(closure))(task); }, const_cast<void*>(static_cast<const void*>(&f)));
}

// f(begin, end, chunk) over fixed chunks of `grain` items.
template <class F> inline void parallel_chunks(int64_t items, int64_t grain, F&& f) {
  const int chunks = static_cast<int>((items + grain - 1) / grain);
  parallel(chunks, [&](int chunk) {
    const int64_t begin = chunk * grain, end = begin + grain < items ? begin + grain : items;
    f(begin, end, chunk);
  });
}

}  // namespace avatar_pool
