// Callers from many threads, nested jobs and changing numbers of threads, for the thread sanitizer (`make sanitize`): each job
// must run every task once, and see all of its results.
#include <cstdio>
#include <thread>
#include <vector>

#include "pool.h"

namespace {

constexpr int kCallers = 8, kRounds = 400, kTasks = 37, kNested = 5;

bool job_is_right(int threads) {
  std::vector<int> runs(kTasks * kNested, 0);
  avatar_pool::set_threads(threads);
  avatar_pool::parallel(kTasks, [&](int task) {
    avatar_pool::parallel(kNested, [&](int inner) { runs[task * kNested + inner]++; });
  });
  for (int count : runs) {
    if (count != 1) return false;
  }
  return true;
}

}  // namespace

int main() {
  std::vector<std::thread> callers;
  std::vector<int> wrong(kCallers, 0);
  for (int caller = 0; caller < kCallers; caller++) {
    callers.emplace_back([&wrong, caller] {
      for (int round = 0; round < kRounds; round++) wrong[caller] += !job_is_right(1 + (round + caller) % 5);
    });
  }
  int total = 0;
  for (int caller = 0; caller < kCallers; caller++) {
    callers[caller].join();
    total += wrong[caller];
  }
  printf("%d callers x %d jobs x %d tasks x %d nested tasks: %d wrong\n", kCallers, kRounds, kTasks, kNested, total);
  return total != 0;
}
