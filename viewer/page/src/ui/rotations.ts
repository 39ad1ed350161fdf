// Turns of joints by hand, and what is between two captured ones; unit quaternions `wxyz`.

import { product } from "../pose/kinematics";

export type Quat = ArrayLike<number>;
export type Angles = readonly [number, number, number];

/** Turns about x, then y, then z of what stands still; degrees. */
export function fromAngles([x, y, z]: Angles): Quat {
  return product(about(3, z), product(about(2, y), about(1, x)));
}

function about(axis: number, degrees: number): Quat {
  const half = (degrees * Math.PI) / 360;
  return [Math.cos(half), 0, 0, 0].with(axis, Math.sin(half));
}

export function quatAt(quats: Float32Array, row: number): Float32Array {
  return quats.subarray(4 * row, 4 * row + 4);
}

/** The shorter way from `a` to `b` at an even pace. */
export function slerp(a: Quat, b: Quat, share: number): Quat {
  const cosine = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
  const angle = Math.acos(Math.min(1, Math.abs(cosine)));
  const [from, to] = angle < 1e-4 ? [1 - share, share] : [Math.sin((1 - share) * angle), Math.sin(share * angle)];
  const sign = cosine < 0 ? -1 : 1;
  const mixed = [0, 1, 2, 3].map((k) => from * a[k] + sign * to * b[k]);
  const length = Math.hypot(...mixed);
  return mixed.map((value) => value / length);
}
