// How much work a frame is.

export interface StageStats {
  /** Work of the main thread in the last frame without sorting, milliseconds. */
  readonly frameMs: number;
  /** Sorting in the worker, milliseconds. */
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

  count(frameMs: number): void {
    this.frames++;
    const elapsed = performance.now() - this.since;
    if (elapsed < TELL_EVERY_MS) return;
    this.tell({ frameMs, sortMs: this.sortMs, framesPerSecond: (1000 * this.frames) / elapsed });
    this.since += elapsed;
    this.frames = 0;
  }
}
