// The stage: a canvas with an avatar on it. It draws; what to draw is decided by the page around it.

import type { Pose, Scene } from "./data/scene";
import type { CaptureCamera } from "./data/source";

export type Mode = "splats" | "mesh" | "normals" | "coverage";
export type Skinning = "learned" | "lbs" | "dqs";

export interface StageStats {
  /** Work of the main thread in the last frame without sorting, milliseconds. */
  readonly frameMs: number;
  /** Sorting in the worker, milliseconds. */
  readonly sortMs: number;
  readonly framesPerSecond: number;
}

/** What the user interface may ask of the stage. */
export interface StageApi {
  readonly canvas: HTMLCanvasElement;
  readonly scene: Scene | null;
  /** Takes the place of another scene, as when a running fit has a newer one; the camera stays unless `frame` is called. */
  setScene(scene: Scene): void;
  setPose(pose: Pose): void;
  /** Values in the order of `scene.shape`. */
  setShape(values: readonly number[]): void;
  setMode(mode: Mode): void;
  setSkinning(skinning: Skinning): void;
  setSkeletonVisible(isVisible: boolean): void;
  setFloorVisible(isVisible: boolean): void;
  /** sRGB, 0 to 1. */
  setBackground(color: readonly [number, number, number]): void;
  /** Of every vertex of the surface, 0 to 1. */
  setCoverage(values: Float32Array | null): void;
  /** Looks through a camera of the capture until `null` gives the view back to the user. */
  lookThrough(camera: CaptureCamera | null): void;
  /** Turns the user's camera so that the whole person is in view, from the front. */
  frame(): void;
  /** Draws one picture of any size after sorting by its exact depths: sRGB, rows from the top, RGBA. */
  picture(camera: CaptureCamera | null, width: number, height: number): Promise<ImageData>;
  onStats(callback: (stats: StageStats) => void): void;
  dispose(): void;
}
