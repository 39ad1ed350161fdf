// Gaussians from back to front: a radix sort over the bits of their depths, exact and stable.

const RADIX_BITS = 11;
const BUCKETS = 1 << RADIX_BITS;
const PASSES = 3; // three times eleven bits hold all 32

/** As deep as nothing in the picture is. */
export const HIDDEN = 0xffffffff;

/** Sorts again and again without allocating. */
export class DepthOrder {
  private ids = new Uint32Array(0);
  private other = new Uint32Array(0);
  private readonly counts = new Uint32Array(PASSES * BUCKETS);

  /**
   * Writes the visible ones of `order.length` points to `order`, the farthest first; of points at one depth the later
   * ones first, as a stable sort from front to back has them. Returns how many there are.
   *
   * `depths` are positive floats as bits, whose order is that of the numbers; `HIDDEN` leaves a point out.
   */
  sort(depths: Uint32Array, order: Uint32Array): number {
    if (this.ids.length < order.length) {
      this.ids = new Uint32Array(order.length);
      this.other = new Uint32Array(order.length);
    }
    const visible = this.count(depths, order.length);
    let [from, to] = [this.ids, this.other];
    for (let pass = 0; pass < PASSES; pass++) {
      const counts = this.counts.subarray(pass * BUCKETS, (pass + 1) * BUCKETS);
      const shift = pass * RADIX_BITS;
      for (let bucket = 0, start = 0; bucket < BUCKETS; bucket++) {
        const size = counts[bucket];
        counts[bucket] = start;
        start += size;
      }
      for (let k = 0; k < visible; k++) {
        const id = from[k];
        to[counts[(depths[id] >>> shift) & (BUCKETS - 1)]++] = id;
      }
      [from, to] = [to, from];
    }
    for (let k = 0; k < visible; k++) order[k] = from[visible - 1 - k];
    return visible;
  }

  private count(depths: Uint32Array, points: number): number {
    const { counts, ids } = this;
    counts.fill(0);
    let visible = 0;
    for (let point = 0; point < points; point++) {
      const depth = depths[point];
      if (depth === HIDDEN) continue;
      ids[visible++] = point;
      counts[depth & (BUCKETS - 1)]++;
      counts[BUCKETS + ((depth >>> RADIX_BITS) & (BUCKETS - 1))]++;
      counts[2 * BUCKETS + (depth >>> (2 * RADIX_BITS))]++;
    }
    return visible;
  }
}
