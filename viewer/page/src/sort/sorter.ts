// The order of the Gaussians that are being looked at, made by a worker; nobody waits for it.

import { DepthOrder } from "./depth_order";
import type { SortPoints } from "./posed_depths";
import type { SortJob, SortMessage } from "./worker";
import SortWorker from "./worker?worker&inline";

/** Which Gaussians to draw, the farthest first: the first `count` of `ids`. */
export interface Order {
  readonly ids: Uint32Array;
  readonly count: number;
}

/** Sorts one scene, one job at a time. */
export class Sorter {
  private readonly worker = new SortWorker();
  private readonly here: DepthOrder;
  private poseCopy: Float32Array<ArrayBuffer>;
  private spare: Uint32Array<ArrayBuffer>;
  private shown: Uint32Array<ArrayBuffer>;
  isBusy = false;

  /** `rest` and `pose` are the tables of the GPU; `onOrder` takes a new order and how long it took. */
  constructor(
    private readonly points: SortPoints,
    private readonly rest: Float32Array,
    private readonly pose: Float32Array,
    private readonly onOrder: (order: Order, sortMs: number) => void,
  ) {
    this.here = new DepthOrder(points);
    this.poseCopy = new Float32Array(pose.length);
    this.spare = new Uint32Array(points.count);
    this.shown = new Uint32Array(points.count);
    this.worker.onmessage = ({ data }: MessageEvent<SortJob>) => this.finish(data);
    this.tell({ points });
  }

  /** Points have a place at rest, or another one, or are skinned otherwise. */
  changeRest(): void {
    this.tell({ rest: this.rest.subarray(0, 4 * this.points.count) });
  }

  /** Begins to sort along a row of `camera_from_world`; not while it is busy. */
  start(row: readonly number[]): void {
    this.isBusy = true;
    this.poseCopy.set(this.pose);
    const job: SortJob = { pose: this.poseCopy, row, order: this.spare, count: 0, sortMs: 0 };
    this.tell({ job }, [job.pose.buffer, job.order.buffer]);
  }

  /** The order along a row, at once. */
  sortNow(row: readonly number[]): Order {
    const ids = new Uint32Array(this.points.count);
    return { ids, count: this.here.sort(this.rest, this.pose, row, ids) };
  }

  dispose(): void {
    this.worker.terminate();
  }

  private tell(message: SortMessage, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  private finish(job: SortJob): void {
    this.poseCopy = job.pose;
    this.spare = this.shown;
    this.shown = job.order;
    this.isBusy = false;
    this.onOrder({ ids: job.order, count: job.count }, job.sortMs);
  }
}
