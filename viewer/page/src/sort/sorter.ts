// The order of the Gaussians that are being looked at: the GPU says how deep they are, a worker sorts, nobody waits.

import type { WebGLRenderer } from "three";

import type { SplatLayer } from "../draw/splats";
import { DepthOrder } from "./depth_order";
import type { SortJob } from "./worker";
import SortWorker from "./worker?worker&inline";

const POLL_MS = 2;

/** Reads depths back and sorts, one job at a time. */
export class Sorter {
  private readonly gl: WebGL2RenderingContext;
  private readonly pixels: WebGLBuffer;
  private readonly worker = new SortWorker();
  private depths: Uint32Array<ArrayBuffer>;
  private spare: Uint32Array<ArrayBuffer>;
  private shown: Uint32Array<ArrayBuffer>;
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private isAlive = true;
  isBusy = false;

  /** `onOrder` takes a new order, how many of it are visible, and how long sorting took. */
  constructor(
    renderer: WebGLRenderer,
    private readonly layer: SplatLayer,
    count: number,
    private readonly onOrder: (order: Uint32Array<ArrayBuffer>, count: number, sortMs: number) => void,
  ) {
    this.gl = renderer.getContext() as WebGL2RenderingContext;
    this.pixels = this.gl.createBuffer()!;
    const [width, height] = layer.depthsSize;
    this.depths = new Uint32Array(4 * width * height);
    this.spare = new Uint32Array(count);
    this.shown = new Uint32Array(count);
    this.withPixels(() => this.gl.bufferData(this.gl.PIXEL_PACK_BUFFER, this.depths.byteLength, this.gl.STREAM_READ));
    this.worker.onmessage = ({ data }: MessageEvent<SortJob>) => this.finish(data);
  }

  /** Begins to sort what was projected last; not while it is busy. */
  start(): void {
    const { gl } = this;
    this.isBusy = true;
    this.layer.drawDepths();
    const [width, height] = this.layer.depthsSize;
    this.withPixels(() => gl.readPixels(0, 0, width, height, gl.RGBA_INTEGER, gl.UNSIGNED_INT, 0));
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0)!;
    gl.flush();
    this.poll(fence);
  }

  /** The order of what was projected last, at once. */
  sortNow(): { ids: Uint32Array; count: number } {
    const { gl } = this;
    const [width, height] = this.layer.depthsSize;
    const [depths, ids] = [new Uint32Array(4 * width * height), new Uint32Array(this.shown.length)];
    this.layer.drawDepths();
    gl.readPixels(0, 0, width, height, gl.RGBA_INTEGER, gl.UNSIGNED_INT, depths);
    return { ids, count: new DepthOrder().sort(depths, ids) };
  }

  dispose(): void {
    this.isAlive = false;
    for (const timer of this.timers) clearTimeout(timer);
    this.worker.terminate();
    this.gl.deleteBuffer(this.pixels);
  }

  private poll(fence: WebGLSync): void {
    const { gl } = this;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      const state = gl.clientWaitSync(fence, 0, 0);
      if (state === gl.TIMEOUT_EXPIRED) return this.poll(fence);
      gl.deleteSync(fence);
      this.withPixels(() => gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, this.depths));
      const job: SortJob = { depths: this.depths, order: this.spare, count: 0, sortMs: 0 };
      this.worker.postMessage(job, [job.depths.buffer, job.order.buffer]);
    }, POLL_MS);
    this.timers.add(timer);
  }

  private finish(job: SortJob): void {
    if (!this.isAlive) return;
    this.depths = job.depths;
    this.spare = this.shown;
    this.shown = job.order;
    this.isBusy = false;
    this.onOrder(job.order, job.count, job.sortMs);
  }

  private withPixels(use: () => void): void {
    this.gl.bindBuffer(this.gl.PIXEL_PACK_BUFFER, this.pixels);
    use();
    this.gl.bindBuffer(this.gl.PIXEL_PACK_BUFFER, null);
  }
}
