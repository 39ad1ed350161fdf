// How deep posed points lie, on the CPU: the equations of draw/points.ts for places alone, so that a worker can sort
// without asking the GPU, which would make the page wait.

/** What moves points, as in `BoundPoints`, and where things begin in the table of the pose, in texels. */
export interface SortPoints {
  readonly count: number;
  readonly jointIds: Uint8Array;
  readonly jointWeights: Float32Array;
  readonly jointsPerPoint: number;
  readonly controlIds: Int32Array | null;
  readonly controlWeights: Float32Array | null;
  readonly controlStart: number;
  readonly nodeIds: Int32Array | null;
  readonly nodeWeights: Float32Array | null;
  readonly nodesPerPoint: number;
  readonly nodeStart: number;
}

const CONTROLS = 4; // around a point
const JOINT = 12; // numbers of a joint here: its part in linear depth, its quaternion, twice its dual part

/** Depths of the same points again and again. */
export class PosedDepths {
  private readonly joints: Float64Array;
  private readonly place = new Float64Array(3);
  private readonly blend = new Float64Array(12);

  constructor(private readonly points: SortPoints) {
    this.joints = new Float64Array((points.controlStart / 4) * JOINT);
  }

  /**
   * Writes the depth of every point along a row of `camera_from_world`.
   *
   * `rest` has place and fraction of dual-quaternion skinning of every point; `pose` is the table of the GPU.
   */
  write(rest: Float32Array, pose: Float32Array, row: ArrayLike<number>, depths: Float32Array): void {
    this.prepareJoints(pose, row);
    const { points, place } = this;
    for (let point = 0; point < points.count; point++) {
      for (let k = 0; k < 3; k++) place[k] = rest[4 * point + k];
      if (points.nodeIds) this.followNodes(point, pose);
      if (points.controlIds) this.addControls(point, pose);
      const fraction = rest[4 * point + 3];
      const dual = fraction > 0 ? this.byDualQuats(point, row) : 0;
      depths[point] = fraction < 1 ? (1 - fraction) * this.byMatrices(point, row) + fraction * dual : dual;
    }
  }

  /** What the camera's row makes of each joint's matrix; and its dual quaternion. */
  private prepareJoints(pose: Float32Array, row: ArrayLike<number>): void {
    const { joints } = this;
    for (let joint = 0, from = 0; joint < joints.length; joint += JOINT, from += 16) {
      for (let k = 0; k < 4; k++) {
        joints[joint + k] = row[0] * pose[from + k] + row[1] * pose[from + 4 + k] + row[2] * pose[from + 8 + k];
        joints[joint + 4 + k] = pose[from + 12 + k];
      }
      const [w, x, y, z] = [pose[from + 12], pose[from + 13], pose[from + 14], pose[from + 15]];
      const [a, b, c] = [pose[from + 3], pose[from + 7], pose[from + 11]];
      joints[joint + 8] = -a * x - b * y - c * z;
      joints[joint + 9] = a * w + b * z - c * y;
      joints[joint + 10] = b * w + c * x - a * z;
      joints[joint + 11] = c * w + a * y - b * x;
    }
  }

  private byMatrices(point: number, row: ArrayLike<number>): number {
    const { points, joints, place } = this;
    const first = point * points.jointsPerPoint;
    let depth = row[3];
    for (let k = first; k < first + points.jointsPerPoint; k++) {
      const weight = points.jointWeights[k];
      if (weight === 0) break;
      const at = JOINT * points.jointIds[k];
      const part = joints[at] * place[0] + joints[at + 1] * place[1] + joints[at + 2] * place[2] + joints[at + 3];
      depth += weight * part;
    }
    return depth;
  }

  private byDualQuats(point: number, row: ArrayLike<number>): number {
    const { points, joints, place, blend } = this;
    const first = point * points.jointsPerPoint;
    blend.fill(0);
    for (let k = first; k < first + points.jointsPerPoint; k++) {
      const weight = points.jointWeights[k];
      if (weight === 0) break;
      const at = JOINT * points.jointIds[k] + 4;
      for (let i = 0; i < 8; i++) blend[i] += weight * joints[at + i];
    }
    // No arrays from here on: this runs for every point.
    const w = blend[0], x = blend[1], y = blend[2], z = blend[3];
    const a = blend[4], b = blend[5], c = blend[6], d = blend[7];
    const px = place[0], py = place[1], pz = place[2];
    const tx = 2 * (y * pz - z * py), ty = 2 * (z * px - x * pz), tz = 2 * (x * py - y * px);
    // The turn's part and the shift, both still times the squared length of the blend.
    const sx = w * tx + y * tz - z * ty + w * b - a * x + d * y - c * z;
    const sy = w * ty + z * tx - x * tz + w * c - a * y + b * z - d * x;
    const sz = w * tz + x * ty - y * tx + w * d - a * z + c * x - b * y;
    const moved = (row[0] * sx + row[1] * sy + row[2] * sz) / (w * w + x * x + y * y + z * z);
    return row[0] * px + row[1] * py + row[2] * pz + row[3] + moved;
  }

  private followNodes(point: number, pose: Float32Array): void {
    const { points, place, blend } = this;
    const first = point * points.nodesPerPoint;
    blend.fill(0);
    for (let k = first; k < first + points.nodesPerPoint; k++) {
      const weight = points.nodeWeights![k];
      const at = 4 * (points.nodeStart + 3 * points.nodeIds![k]);
      for (let i = 0; i < 12; i++) blend[i] += weight * pose[at + i];
    }
    const x = place[0], y = place[1], z = place[2];
    for (let r = 0; r < 3; r++) {
      place[r] = blend[4 * r] * x + blend[4 * r + 1] * y + blend[4 * r + 2] * z + blend[4 * r + 3];
    }
  }

  private addControls(point: number, pose: Float32Array): void {
    const { points, place } = this;
    for (let k = CONTROLS * point; k < CONTROLS * (point + 1); k++) {
      const weight = points.controlWeights![k];
      const at = 4 * (points.controlStart + 2 * points.controlIds![k]);
      for (let i = 0; i < 3; i++) place[i] += weight * pose[at + i];
    }
  }
}
