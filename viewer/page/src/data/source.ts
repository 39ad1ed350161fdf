// Where the page gets what it shows: the server of `avatar view`, or the page itself when it is one exported file.

import type { Motion, Scene } from "./scene";

export interface RunInfo {
  readonly name: string;
  /** Radiance fields cannot be shown; `problem` says what to do. */
  readonly kind: "hybrid" | "field";
  readonly problem: string | null;
  readonly numGaussians: number;
  readonly recipe: string | null;
  readonly capture: string | null;
  readonly split: string | null;
  readonly step: number;
  /** Whether a fit has written to it in the last half minute. */
  readonly isFitting: boolean;
}

/** A camera of the capture: OpenCV axes, pixel centres at .5. */
export interface CaptureCamera {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Row by row, 3 x 3. */
  readonly intrinsicsPx: readonly number[];
  /** Row by row, 4 x 4. */
  readonly cameraFromWorld: readonly number[];
}

export interface CaptureInfo {
  readonly name: string;
  readonly cameras: readonly CaptureCamera[];
  readonly numFrames: number;
  readonly splits: Readonly<Record<string, { cameraIds: readonly number[]; frameIds: readonly number[] }>>;
}

export interface MotionInfo {
  readonly id: string;
  readonly name: string;
  readonly numFrames: number;
  readonly frameRateHz: number;
}

/** What a running fit has written since the last time. */
export interface LiveMessage {
  readonly kind: "events" | "checkpoint";
  readonly step: number;
  readonly events: readonly Readonly<Record<string, number | string>>[];
}

export type Progress = (loadedBytes: number, totalBytes: number) => void;

/** Every method throws an Error whose message is meant for the user. `null` where the source has nothing of the kind. */
export interface Source {
  /** Whether motion files can be retargeted, and captures and metrics asked for. */
  readonly isLive: boolean;
  runs(): Promise<RunInfo[]>;
  scene(run: string, onProgress?: Progress): Promise<Scene>;
  motions(run: string): Promise<MotionInfo[]>;
  motion(run: string, id: string, onProgress?: Progress): Promise<Motion>;
  /** A file that the user dropped, retargeted to the avatar. */
  retarget(run: string, file: File): Promise<Motion>;
  capture(run: string): Promise<CaptureInfo | null>;
  /** The picture as RGBA, alpha being the mask. */
  picture(run: string, camera: string, frame: number): Promise<ImageBitmap>;
  /** Of every vertex of the surface: the share of cameras that see it, 0 to 1. */
  coverage(run: string): Promise<Float32Array | null>;
  metrics(run: string): Promise<Metrics[]>;
  events(run: string): Promise<readonly Readonly<Record<string, number | string>>[]>;
  /** Calls back until the returned function is called. */
  follow(run: string, onMessage: (message: LiveMessage) => void): () => void;
  /** Where the one-file page of the run can be downloaded; null where the page is that file. */
  exportUrl(run: string): string | null;
}

export interface Metrics {
  readonly split: string;
  readonly subject: string;
  readonly numImages: number;
  /** By name of the metric; null where it was not computed. */
  readonly means: Readonly<Record<string, number | null>>;
}
