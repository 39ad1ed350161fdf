#pragma once
#include <cstdint>
#include <deque>
#include <mutex>
#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "kernel.h"

namespace AVATAR_ISA {

// A few forward states by id. They are a cache: a backward pass whose state has been reused runs its forward again.
template <class State> class StateCache {
 public:
  // A state under a new id; it belongs to the caller until `put` returns it.
  State* take_oldest(int64_t* id) {
    std::lock_guard<std::mutex> lock(mutex_);
    Slot* oldest = nullptr;
    for (Slot& slot : slots_) {
      if (!slot.taken && (!oldest || slot.id < oldest->id)) oldest = &slot;
    }
    if (!oldest || (oldest->id && slots_.size() < kKept)) oldest = &slots_.emplace_back(Slot{new State, 0, false});
    oldest->taken = true, oldest->id = *id = ++last_id_;
    return oldest->state;
  }
  State* take(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Slot& slot : slots_) {
      if (slot.id == id && !slot.taken) {
        slot.taken = true;
        return slot.state;
      }
    }
    return nullptr;
  }
  // Gives a state back; `spent` ones are the first to be reused.
  void put(int64_t id, bool spent) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Slot& slot : slots_) {
      if (slot.id == id && slot.taken) slot.taken = false, slot.id = spent ? 0 : id;
    }
  }
  void hold() { mutex_.lock(); }
  void release() { mutex_.unlock(); }

 private:
  struct Slot {
    State* state;
    int64_t id;  // 0: spent
    bool taken;
  };
  static constexpr size_t kKept = 8;
  std::mutex mutex_;
  std::deque<Slot> slots_;  // more than kKept only where more threads render at once
  int64_t last_id_ = 0;
};

// Never destroyed: threads may still render while the process ends. A fork waits until no thread is at the list, or the child
// would find it locked for ever.
template <class State> StateCache<State>& state_cache() {
  static auto* const states = [] {
    auto* made = new StateCache<State>;
#if !defined(_WIN32)
    pthread_atfork([] { state_cache<State>().hold(); }, [] { state_cache<State>().release(); }, [] { state_cache<State>().release(); });
#endif
    return made;
  }();
  return *states;
}

}  // namespace AVATAR_ISA
