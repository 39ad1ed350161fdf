// Gaussians from back to front: a radix sort over the bits of their depths, exact and stable.

import { PosedDepths, type SortPoints } from "./posed_depths";

const RADIX_BITS = 11;
const BUCKETS = 1 << RADIX_BITS;
const PASSES = 3; // three times eleven bits hold all 32
const NEAREST_M = 0.01; // what is nearer is not drawn

/** Sorts the same points again and again without allocating. */
export class DepthOrder {
  private readonly posed: PosedDepths;
  private readonly depths: Float32Array;
  private readonly bits: Uint32Array;
  private readonly ids: Uint32Array;
  private readonly other: Uint32Array;
  private readonly counts = new Uint32Array(PASSES * BUCKETS);

  constructor(private readonly points: SortPoints) {
    this.posed = new PosedDepths(points);
    this.depths = new Float32Array(points.count);
    this.bits = new Uint32Array(this.depths.buffer);
    this.ids = new Uint32Array(points.count);
    this.other = new Uint32Array(points.count);
  }

  /**
   * Writes the points before the camera to `order`, the farthest first; of points at one depth the later ones first, as
   * a stable sort from front to back has them. Returns how many there are. Arguments as for `PosedDepths.write`.
   */
  sort(rest: Float32Array, pose: Float32Array, row: ArrayLike<number>, order: Uint32Array): number {
    this.posed.write(rest, pose, row, this.depths);
    const { bits } = this; // the order of positive floats is that of their bits
    const count = this.countDigits();
    let [from, to] = [this.ids, this.other];
    for (let pass = 0; pass < PASSES; pass++) {
      const counts = this.counts.subarray(pass * BUCKETS, (pass + 1) * BUCKETS);
      const shift = pass * RADIX_BITS;
      for (let bucket = 0, start = 0; bucket < BUCKETS; bucket++) {
        const size = counts[bucket];
        counts[bucket] = start;
        start += size;
      }
      for (let k = 0; k < count; k++) {
        const id = from[k];
        to[counts[(bits[id] >>> shift) & (BUCKETS - 1)]++] = id;
      }
      [from, to] = [to, from];
    }
    for (let k = 0; k < count; k++) order[k] = from[count - 1 - k];
    return count;
  }

  private countDigits(): number {
    const { bits, counts, depths, ids } = this;
    counts.fill(0);
    let count = 0;
    for (let point = 0; point < this.points.count; point++) {
      if (!(depths[point] >= NEAREST_M)) continue;
      ids[count++] = point;
      counts[bits[point] & (BUCKETS - 1)]++;
      counts[BUCKETS + ((bits[point] >>> RADIX_BITS) & (BUCKETS - 1))]++;
      counts[2 * BUCKETS + (bits[point] >>> (2 * RADIX_BITS))]++;
    }
    return count;
  }
}
