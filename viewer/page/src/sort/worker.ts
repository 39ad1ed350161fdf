// Sorts beside the page, which never waits for it. Buffers go back and forth; none is made here.

import { DepthOrder } from "./depth_order";

/** Also what comes back, with `order`, `count` and `sortMs` filled in. */
export interface SortJob {
  readonly depths: Uint32Array<ArrayBuffer>;
  readonly order: Uint32Array<ArrayBuffer>;
  count: number;
  sortMs: number;
}

const sorter = new DepthOrder();

self.onmessage = ({ data: job }: MessageEvent<SortJob>) => {
  const start = performance.now();
  job.count = sorter.sort(job.depths, job.order);
  job.sortMs = performance.now() - start;
  self.postMessage(job, { transfer: [job.depths.buffer, job.order.buffer] });
};
