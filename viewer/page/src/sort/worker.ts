// Sorts beside the page, which never waits for it. Buffers go back and forth; none is made for a job.

import { DepthOrder } from "./depth_order";
import type { SortPoints } from "./posed_depths";

/** A pose to sort in, with a place for the order; it comes back with `count` and `sortMs` filled in. */
export interface SortJob {
  readonly pose: Float32Array<ArrayBuffer>;
  readonly row: readonly number[];
  readonly order: Uint32Array<ArrayBuffer>;
  count: number;
  sortMs: number;
}

/** `points` come first and once; `rest` whenever it changes. */
export type SortMessage = { points: SortPoints } | { rest: Float32Array } | { job: SortJob };

let sorter: DepthOrder | null = null;
let rest = new Float32Array();

self.onmessage = ({ data }: MessageEvent<SortMessage>) => {
  if ("points" in data) sorter = new DepthOrder(data.points);
  else if ("rest" in data) rest = data.rest as typeof rest;
  else finish(data.job);
};

function finish(job: SortJob): void {
  const start = performance.now();
  job.count = sorter!.sort(rest, job.pose, job.row, job.order);
  job.sortMs = performance.now() - start;
  self.postMessage(job, { transfer: [job.pose.buffer, job.order.buffer] });
}
