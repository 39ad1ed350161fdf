// Forward kinematics in double precision: what `avatar.geometry.forward_kinematics` and the skinning make of a pose.

const ROW = 16; // numbers of a joint: `posed_from_rest` 3 x 4 row by row, then its rotation `wxyz`

/** A tree of joints; parents come before their children. */
export interface Skeleton {
  readonly parents: readonly number[];
  /** `j 3`, metres. */
  readonly jointsRest: Float32Array;
}

/**
 * Of every joint 16 numbers: the 3 x 4 matrix that takes its points at rest to the world, and its rotation as a unit
 * quaternion whose sign agrees with its parent's, so that neighbours may be averaged.
 */
export function jointRows(skeleton: Skeleton, localQuats: ArrayLike<number>, root: ArrayLike<number>): Float64Array {
  const { parents, jointsRest } = skeleton;
  const rows = new Float64Array(parents.length * ROW);
  parents.forEach((parent, joint) => {
    const place = joint * ROW;
    const quat = unit([0, 1, 2, 3].map((k) => localQuats[4 * joint + k]));
    const turned = parent < 0 ? quat : product(rows.subarray(parent * ROW + 12, parent * ROW + 16), quat);
    const reference = parent < 0 ? [1, 0, 0, 0] : rows.subarray(parent * ROW + 12, parent * ROW + 16);
    const sign = dot(turned, reference) < 0 ? -1 : 1;
    for (let k = 0; k < 4; k++) rows[place + 12 + k] = sign * turned[k];
    const matrix = matrixOf(turned);
    const head = parent < 0 ? root : moved(rows, parent, jointsRest, joint);
    for (let r = 0; r < 3; r++) {
      let shift = head[r];
      for (let c = 0; c < 3; c++) {
        rows[place + 4 * r + c] = matrix[3 * r + c];
        shift -= matrix[3 * r + c] * jointsRest[3 * joint + c];
      }
      rows[place + 4 * r + 3] = shift;
    }
  });
  return rows;
}

/** Point `index` of `points` at rest, as a joint of `jointRows` carries it to the world. */
export function moved(rows: Float64Array, joint: number, points: ArrayLike<number>, index: number): number[] {
  const at = joint * ROW;
  const [x, y, z] = [points[3 * index], points[3 * index + 1], points[3 * index + 2]];
  return [0, 4, 8].map((r) => rows[at + r] * x + rows[at + r + 1] * y + rows[at + r + 2] * z + rows[at + r + 3]);
}

/** Hamilton product: `right` turns first. */
export function product(left: ArrayLike<number>, right: ArrayLike<number>): number[] {
  const [w, x, y, z] = [left[0], left[1], left[2], left[3]];
  const [a, b, c, d] = [right[0], right[1], right[2], right[3]];
  return [
    w * a - x * b - y * c - z * d,
    w * b + x * a + y * d - z * c,
    w * c - x * d + y * a + z * b,
    w * d + x * c - y * b + z * a,
  ];
}

/** Row by row. */
export function matrixOf(quat: ArrayLike<number>): number[] {
  const [w, x, y, z] = [quat[0], quat[1], quat[2], quat[3]];
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

function unit(quat: number[]): number[] {
  const length = Math.hypot(...quat);
  return length > 0 ? quat.map((value) => value / length) : [1, 0, 0, 0];
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
}
