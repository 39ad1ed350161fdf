#include "pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace avatar_pool {
namespace {

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // "yield" takes no time on most of these processors
#endif
}

// Waits for what is about to happen without going to sleep: stages of a render follow each other in microseconds, and to be
// woken takes tens of them. False where it took too long.
template <class F> bool spin_until(F&& happened) {
  constexpr auto kPatience = std::chrono::microseconds(30);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < 16; i++) {
      if (happened()) return true;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < end);
  return happened();
}

// A call of `run`. It lives on the caller's stack, so no worker may touch it after it has left.
struct Job {
  Task task;
  void* closure;
  int tasks;
  int places;  // workers that may still join
  Job* next_job = nullptr;
  std::atomic<int> next_task{0};
  std::atomic<int> workers{0};  // those inside

  void work() {
    for (int i; (i = next_task.fetch_add(1, std::memory_order_relaxed)) < tasks;) task(closure, i);
  }
};

// The workers of this process and the jobs that they may join. A caller works on its own job and waits only for workers
// that did join: one that wakes late, or is kept from its core by another program, delays nobody. Whoever waits does so for
// tasks nested in its own, so no circle can close.
class Pool {
 public:
  void run(Job& job, int threads) {
    open(job, threads);
    job.work();
    if (close(job)) return;
    const auto is_left = [&] { return job.workers.load(std::memory_order_acquire) == 0; };
    if (spin_until(is_left)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    left_.wait(lock, is_left);
  }

 private:
  void open(Job& job, int threads) {
    int sleepers;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      grow(threads - 1);
      job.places = std::min({threads - 1, job.tasks - 1, workers_});
      job.next_job = jobs_;
      jobs_ = &job;
      places_.fetch_add(job.places, std::memory_order_relaxed);
      sleepers = std::min(job.places, sleeping_);
    }
    for (int i = 0; i < sleepers; i++) wake_.notify_one();
  }
  // No more workers join; true where none is inside.
  bool close(Job& job) {
    std::lock_guard<std::mutex> lock(mutex_);
    Job** link = &jobs_;
    while (*link != &job) link = &(*link)->next_job;
    *link = job.next_job;
    places_.fetch_sub(job.places, std::memory_order_relaxed);
    return job.workers.load(std::memory_order_acquire) == 0;
  }
  void grow(int workers) {
    try {
      for (; workers_ < workers; workers_++) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // As many as the system grants: the caller needs none.
    }
  }
  void serve() {
    for (;;) {
      spin_until([this] { return places_.load(std::memory_order_relaxed) > 0; });
      Job& job = join();
      job.work();
      leave(job);
    }
  }
  Job& join() {
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_++;
    Job* job;
    wake_.wait(lock, [&] { return (job = find()) != nullptr; });
    sleeping_--;
    job->places--;
    job->workers.fetch_add(1, std::memory_order_relaxed);
    places_.fetch_sub(1, std::memory_order_relaxed);
    return *job;
  }
  Job* find() const {
    Job* job = jobs_;
    while (job && (job->places == 0 || job->next_task.load(std::memory_order_relaxed) >= job->tasks)) job = job->next_job;
    return job;
  }
  void leave(Job& job) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (job.workers.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable wake_, left_;
  Job* jobs_ = nullptr;          // the latest first
  int workers_ = 0, sleeping_ = 0;
  std::atomic<int> places_{0};  // in all jobs
};

std::atomic<int> wanted_threads{1};
std::atomic<Pool*> pool{nullptr};  // never destroyed: its threads outlive static objects

#if !defined(_WIN32)
// A child has none of the workers, and whatever another thread of its parent held at the fork stays held: it starts anew.
const int forks_watched = pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr); });
#endif

Pool& pool_of_this_process() {
  Pool* found = pool.load();
  if (found) return *found;
  Pool* made = new Pool;
  if (pool.compare_exchange_strong(found, made)) return *made;
  delete made;  // another thread was quicker
  return *found;
}

}  // namespace

void set_threads(int threads) { wanted_threads.store(std::max(threads, 1), std::memory_order_relaxed); }

void run(int tasks, Task task, void* closure) {
  const int threads = wanted_threads.load(std::memory_order_relaxed);
  if (tasks <= 1 || threads == 1) {
    for (int i = 0; i < tasks; i++) task(closure, i);
    return;
  }
  Job job{task, closure, tasks, 0};
  pool_of_this_process().run(job, threads);
}

}  // namespace avatar_pool
