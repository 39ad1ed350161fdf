// Where a motion is: its clock, and the pose at any time between its frames.

import type { Motion, Pose } from "../data/scene";
import { quatAt, slerp } from "./rotations";

export type Repeat = "loop" | "sway" | "once";

/** The captured pose of one row. */
export function poseOfRow(motion: Motion, row: number): Pose {
  const { numJoints, coefficients } = motion;
  const width = coefficients ? coefficients.length / motion.timesS.length : 0;
  return {
    localQuats: motion.localQuats.slice(row * numJoints * 4, (row + 1) * numJoints * 4),
    rootPosition: motion.rootPositions.slice(row * 3, row * 3 + 3),
    coefficients: coefficients && coefficients.slice(row * width, (row + 1) * width),
  };
}

/** The pose at a time, turned evenly between captured ones. */
export function poseAt(motion: Motion, timeS: number): Pose {
  const row = rowAt(motion, timeS);
  const after = Math.min(row + 1, motion.timesS.length - 1);
  const gap = motion.timesS[after] - motion.timesS[row];
  const share = gap > 0 ? Math.min(1, Math.max(0, (timeS - motion.timesS[row]) / gap)) : 0;
  const [a, b] = [poseOfRow(motion, row), poseOfRow(motion, after)];
  if (share === 0) return a;
  const localQuats = new Float32Array(a.localQuats.length);
  for (let joint = 0; joint < motion.numJoints; joint++) {
    localQuats.set(slerp(quatAt(a.localQuats, joint), quatAt(b.localQuats, joint), share), 4 * joint);
  }
  const mixed = (from: Float32Array, to: Float32Array) => from.map((value, i) => value + share * (to[i] - value));
  return {
    localQuats,
    rootPosition: mixed(a.rootPosition, b.rootPosition),
    coefficients: a.coefficients && b.coefficients && mixed(a.coefficients, b.coefficients),
  };
}

/** The last row that is not after the time. */
export function rowAt(motion: Motion, timeS: number): number {
  let [low, high] = [0, motion.timesS.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (motion.timesS[middle] <= timeS + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A motion that plays. */
export class Player {
  motion: Motion | null = null;
  isPlaying = false;
  speed = 1;
  repeat: Repeat = "loop";
  /** Runs to twice the duration where the motion goes to and fro. */
  private clockS = 0;

  get durationS(): number {
    return this.motion ? this.motion.timesS[this.motion.timesS.length - 1] : 0;
  }

  get timeS(): number {
    return this.clockS <= this.durationS ? this.clockS : 2 * this.durationS - this.clockS;
  }

  get row(): number {
    return this.motion ? rowAt(this.motion, this.timeS) : 0;
  }

  start(motion: Motion): void {
    this.motion = motion;
    this.clockS = 0;
  }

  seek(timeS: number): void {
    this.clockS = Math.min(Math.max(0, timeS), this.durationS);
  }

  seekRow(row: number): void {
    if (!this.motion) return;
    const count = this.motion.timesS.length;
    this.seek(this.motion.timesS[((row % count) + count) % count]);
  }

  advance(seconds: number): void {
    const end = this.durationS;
    if (!this.isPlaying || end <= 0) return;
    this.clockS += seconds * this.speed;
    if (this.repeat === "once" && this.clockS >= end) {
      this.clockS = end;
      this.isPlaying = false;
    } else {
      this.clockS %= this.repeat === "sway" ? 2 * end : end;
    }
  }

  setRepeat(repeat: Repeat): void {
    this.seek(this.timeS); // the way back is one of going to and fro only
    this.repeat = repeat;
  }

  pose(): Pose | null {
    return this.motion && poseAt(this.motion, this.timeS);
  }
}
