#include "pool.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace avatar_pool {
namespace {

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int kSpins = 2000;  // some tens of microseconds: back-to-back stages of one render find the workers awake

class Pool {
 public:
  explicit Pool(int threads) : owner_(getpid()) {
    for (int i = 1; i < threads; i++) workers_.emplace_back([this] { loop(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  bool forked() const { return owner_ != getpid(); }

  void run(int tasks, Task task, void* closure) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = task;
      closure_ = closure;
      tasks_ = tasks;
      next_.store(0);
      busy_.store(static_cast<int>(workers_.size()));
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    work();
    for (int i = 0; i < kSpins && busy_.load(std::memory_order_acquire); i++) pause_briefly();
    if (busy_.load(std::memory_order_acquire)) {
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, [this] { return busy_.load() == 0; });
    }
  }

 private:
  void work() {
    for (int i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) task_(closure_, i);
  }
  void loop() {
    int seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && generation_.load(std::memory_order_acquire) == seen; i++) pause_briefly();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load() != seen; });
      }
      if (stop_.load()) return;
      seen = generation_.load(std::memory_order_acquire);
      work();
      if (busy_.fetch_sub(1) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        done_.notify_one();
      }
    }
  }

  const pid_t owner_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<int> generation_{0}, next_{0}, busy_{0};
  std::atomic<bool> stop_{false};
  Task task_ = nullptr;
  void* closure_ = nullptr;
  int tasks_ = 0;
};

std::atomic<int> wanted_threads{1};
std::atomic<pid_t> user{0};  // the process whose thread uses the pool, or 0
Pool* pool = nullptr;        // never destroyed at exit: its threads may outlive static destructors

bool acquire() {
  const pid_t self = getpid();
  pid_t holder = 0;
  if (user.compare_exchange_strong(holder, self)) return true;
  return holder != self && user.compare_exchange_strong(holder, self);  // this child was forked while its parent rendered
}

}  // namespace

void set_threads(int threads) { wanted_threads.store(threads < 1 ? 1 : threads); }

void run(int tasks, Task task, void* closure) {
  const int threads = wanted_threads.load();
  if (tasks <= 1 || threads == 1 || !acquire()) {
    for (int i = 0; i < tasks; i++) task(closure, i);
    return;
  }
  if (pool && pool->forked()) pool = nullptr;  // the threads stayed with the parent; the object is left behind
  if (pool && pool->threads() != threads) {
    delete pool;
    pool = nullptr;
  }
  if (!pool) pool = new Pool(threads);
  pool->run(tasks, task, closure);
  user.store(0);
}

}  // namespace avatar_pool
