// Which instruction set this processor can run, and the number of threads.
#include <cstdlib>
#include <cstring>

#include "pool.h"

namespace {

const char* choose() {
#if defined(AVATAR_X86)
  const char* wanted = getenv("AVATAR_ISA");  // v2, v3 or v4: for tests of the slower variants
  auto allowed = [&](const char* name) { return !wanted || strcmp(wanted, name) >= 0; };
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
  if (v4 && allowed("v4")) return "v4";
  if (v3 && allowed("v3")) return "v3";
  return "v2";
#else
  return "native";
#endif
}

}  // namespace

#define AVATAR_VISIBLE extern "C" __attribute__((visibility("default")))
// The part of the kernels' names that says the instruction set: v4 stands for x86-64-v4.
AVATAR_VISIBLE const char* avatar_variant() {
  static const char* const chosen = choose();
  return chosen;
}
AVATAR_VISIBLE void avatar_set_threads(int threads) { avatar_pool::set_threads(threads); }
