// How much work a frame is.

export interface StageStats {
  /** Work of the main thread for a frame without sorting, milliseconds: the mean since the last time. */
  readonly frameMs: number;
  /** Sorting in the worker, the last time, milliseconds. */
  readonly sortMs: number;
  readonly framesPerSecond: number;
}

const TELL_EVERY_MS = 500;

/** Counts frames, and tells now and then. */
export class FrameStats {
  tell: (stats: StageStats) => void = () => {};
  sortMs = 0;
  private since = performance.now();
  private frames = 0;
  private workMs = 0;

  count(frameMs: number): void {
    this.frames++;
    this.workMs += frameMs;
    const elapsed = performance.now() - this.since;
    if (elapsed < TELL_EVERY_MS) return;
    this.tell({ frameMs: this.workMs / this.frames, sortMs: this.sortMs, framesPerSecond: (1000 * this.frames) / elapsed });
    this.since += elapsed;
    this.frames = 0;
    this.workMs = 0;
  }
}
