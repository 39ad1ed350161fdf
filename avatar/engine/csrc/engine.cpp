// The exported C functions: they pick the compiled variant for this processor and keep forward states for backward passes.
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "api.h"
#include "pool.h"

#define AVATAR_DECLARE(isa)        \
  namespace isa {                  \
  extern const Kernels kernels;    \
  }
#if defined(AVATAR_X86)
AVATAR_DECLARE(avatar_v2)
AVATAR_DECLARE(avatar_v3)
AVATAR_DECLARE(avatar_v4)
#else
AVATAR_DECLARE(avatar_native)
#endif

namespace {

struct Variant {
  const char* name;
  const Kernels* kernels;
};

Variant choose() {
#if defined(AVATAR_X86)
  const char* wanted = getenv("AVATAR_ISA");  // x86-64-v2, -v3 or -v4: for tests of the slower variants
  auto allowed = [&](const char* name) { return !wanted || strcmp(wanted, name) >= 0; };
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
  if (v4 && allowed("x86-64-v4")) return {"x86-64-v4", &avatar_v4::kernels};
  if (v3 && allowed("x86-64-v3")) return {"x86-64-v3", &avatar_v3::kernels};
  return {"x86-64-v2", &avatar_v2::kernels};
#else
  return {"native", &avatar_native::kernels};
#endif
}

const Variant& variant() {
  static const Variant chosen = choose();
  return chosen;
}

// A few forward states by id. They are a cache: a backward pass whose state has been reused runs its forward again.
template <class S> class StateCache {
 public:
  // A state under a new id; it belongs to the caller until `put` returns it.
  void* take_oldest(int64_t* id) {
    std::lock_guard<std::mutex> lock(mutex_);
    Slot* oldest = nullptr;
    for (Slot& slot : slots_) {
      if (!slot.taken && (!oldest || slot.id < oldest->id)) oldest = &slot;
    }
    if (!oldest || (oldest->id && slots_.size() < kKept)) oldest = &slots_.emplace_back(Slot{make(), 0, false});
    oldest->taken = true, oldest->id = *id = ++last_id_;
    return oldest->state;
  }
  void* take(int64_t id) {
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

 private:
  struct Slot {
    void* state;
    int64_t id;  // 0: spent
    bool taken;
  };
  static constexpr size_t kKept = 8;
  static void* make();
  std::mutex mutex_;
  std::deque<Slot> slots_;  // more than kKept only where more threads render at once
  int64_t last_id_ = 0;
};
template <> void* StateCache<float>::make() { return variant().kernels->new_state_f(); }
template <> void* StateCache<double>::make() { return variant().kernels->new_state_d(); }

template <class S> StateCache<S>& cache() {
  static auto* states = new StateCache<S>;
  return *states;
}

inline auto forward_of(float) { return variant().kernels->forward_f; }
inline auto forward_of(double) { return variant().kernels->forward_d; }
inline auto backward_of(float) { return variant().kernels->backward_f; }
inline auto backward_of(double) { return variant().kernels->backward_d; }

// Returns the id of the kept state.
template <class S> int64_t forward(const RasterizeScene<S>* scene, RasterizeOutput<S>* out, int keep) {
  int64_t id;
  void* state = cache<S>().take_oldest(&id);
  forward_of(S())(state, scene, out);
  cache<S>().put(id, !keep);
  return id;
}

template <class S> int backward(int64_t id, const RasterizeScene<S>* scene, const RasterizeGradients<S>* gradients) {
  void* state = cache<S>().take(id);
  if (!state) return 1;
  backward_of(S())(state, scene, gradients);
  cache<S>().put(id, true);
  return 0;
}

template <class S> bool has_joints(const SkinScene<S>& scene) {
  bool is_outside = false;
  for (int64_t i = 0; i < scene.num_points * scene.num_influences; i++) {
    is_outside |= scene.ids[i] < 0 || scene.ids[i] >= scene.num_joints;
  }
  return !is_outside;
}

}  // namespace

#define AVATAR_EXPORT extern "C" __attribute__((visibility("default")))
AVATAR_EXPORT const char* avatar_variant() { return variant().name; }
AVATAR_EXPORT void avatar_set_threads(int threads) { avatar_pool::set_threads(threads); }
AVATAR_EXPORT int64_t avatar_rasterize_f(const RasterizeScene<float>* scene, RasterizeOutput<float>* out, int keep) {
  return forward(scene, out, keep);
}
AVATAR_EXPORT int64_t avatar_rasterize_d(const RasterizeScene<double>* scene, RasterizeOutput<double>* out, int keep) {
  return forward(scene, out, keep);
}
AVATAR_EXPORT int avatar_rasterize_backward_f(int64_t id, const RasterizeScene<float>* scene,
                                              const RasterizeGradients<float>* gradients) {
  return backward(id, scene, gradients);
}
AVATAR_EXPORT int avatar_rasterize_backward_d(int64_t id, const RasterizeScene<double>* scene,
                                              const RasterizeGradients<double>* gradients) {
  return backward(id, scene, gradients);
}
AVATAR_EXPORT double avatar_ssim_f(const float* x, const float* y, float* gradient, int64_t planes, int64_t height, int64_t width) {
  return variant().kernels->ssim_f(x, y, gradient, planes, height, width);
}
AVATAR_EXPORT double avatar_ssim_d(const double* x, const double* y, double* gradient, int64_t planes, int64_t height, int64_t width) {
  return variant().kernels->ssim_d(x, y, gradient, planes, height, width);
}
AVATAR_EXPORT int avatar_skin_f(const SkinScene<float>* scene, SkinOutput<float>* out) {
  return has_joints(*scene) ? variant().kernels->skin_f(scene, out), 0 : 1;
}
AVATAR_EXPORT int avatar_skin_d(const SkinScene<double>* scene, SkinOutput<double>* out) {
  return has_joints(*scene) ? variant().kernels->skin_d(scene, out), 0 : 1;
}
AVATAR_EXPORT void avatar_skin_backward_f(const SkinScene<float>* scene, const SkinGradients<float>* gradients) {
  variant().kernels->skin_backward_f(scene, gradients);
}
AVATAR_EXPORT void avatar_skin_backward_d(const SkinScene<double>* scene, const SkinGradients<double>* gradients) {
  variant().kernels->skin_backward_d(scene, gradients);
}
