// Points and rotations from fixed frames on a surface into the space of the surface.
#include "kernel.h"
#include "pool.h"
#include "quat.h"

namespace AVATAR_ISA {

template <class S> struct OnFramesArguments {
  int64_t count;
  const S *frames, *origins, *points, *quats;  // n 4 unit, n 3, n 3, n 4
  S *out_points, *out_quats;
};

template <class S> struct OnFramesGradientArguments {
  int64_t count;
  const S *frames, *out_points, *out_quats;
  S *points, *quats;
};

namespace {

constexpr int64_t kGrain = 4096;

template <class S> AVATAR_INLINE void store_product(const Quat<S>& a, const S* b, S* out) {
  const Quat<S> product = a * quat_at(b);
  out[0] = product.w, out[1] = product.x, out[2] = product.y, out[3] = product.z;
}

template <class S> int64_t on_frames(const OnFramesArguments<S>& a) {
  avatar_pool::parallel_chunks(a.count, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const Quat<S> frame = quat_at(a.frames + 4 * i);
      S turned[3];
      rotate(frame, a.points + 3 * i, turned);
      for (int c = 0; c < 3; c++) a.out_points[3 * i + c] = a.origins[3 * i + c] + turned[c];
      store_product(frame, a.quats + 4 * i, a.out_quats + 4 * i);
    }
  });
  return 0;
}

template <class S> int64_t on_frames_backward(const OnFramesGradientArguments<S>& a) {
  avatar_pool::parallel_chunks(a.count, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const Quat<S> inverse = conjugate(quat_at(a.frames + 4 * i));
      rotate(inverse, a.out_points + 3 * i, a.points + 3 * i);
      store_product(inverse, a.out_quats + 4 * i, a.quats + 4 * i);
    }
  });
  return 0;
}

}  // namespace
}  // namespace AVATAR_ISA

AVATAR_EXPORT(on_frames, OnFramesArguments)
AVATAR_EXPORT(on_frames_backward, OnFramesGradientArguments)
