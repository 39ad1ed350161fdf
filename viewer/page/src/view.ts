// A camera as the renderer takes it: OpenCV axes, a pinhole, a rectangle of pixels.

import { Matrix4, type PerspectiveCamera } from "three";

import type { CaptureCamera } from "./data/source";

const NEAREST_M = 0.02;
const FARTHEST_M = 200;

export interface View {
  readonly width: number;
  readonly height: number;
  readonly fx: number;
  readonly fy: number;
  readonly cx: number;
  readonly cy: number;
  readonly cameraFromWorld: Matrix4;
}

/** What the user's camera sees in a picture of this size. */
export function userView(camera: PerspectiveCamera, width: number, height: number): View {
  camera.updateMatrixWorld();
  const focal = (0.5 * height) / Math.tan((camera.fov * Math.PI) / 360);
  const cameraFromWorld = new Matrix4().makeScale(1, -1, -1).multiply(camera.matrixWorldInverse);
  return { width, height, fx: focal, fy: focal, cx: width / 2, cy: height / 2, cameraFromWorld };
}

/** What a camera of the capture sees, its picture scaled to this size. */
export function captureView(camera: CaptureCamera, width: number, height: number): View {
  const [fx, , cx, , fy, cy] = camera.intrinsicsPx;
  const [x, y] = [width / camera.width, height / camera.height];
  const cameraFromWorld = new Matrix4().fromArray(camera.cameraFromWorld).transpose();
  return { width, height, fx: fx * x, fy: fy * y, cx: cx * x, cy: cy * y, cameraFromWorld };
}

/** The largest rectangle of a picture's proportions in the middle of another, pixels from its lower left corner. */
export function letterbox(picture: { width: number; height: number }, width: number, height: number) {
  const scale = Math.min(width / picture.width, height / picture.height);
  const [w, h] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
  return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), width: w, height: h };
}

/** World to clip space. */
export function clipFromWorld(view: View): Matrix4 {
  const { width: w, height: h, fx, fy, cx, cy } = view;
  const [a, b] = [
    (FARTHEST_M + NEAREST_M) / (FARTHEST_M - NEAREST_M),
    (-2 * FARTHEST_M * NEAREST_M) / (FARTHEST_M - NEAREST_M),
  ];
  // prettier-ignore
  const clipFromCamera = new Matrix4().set(
    (2 * fx) / w, 0, (2 * cx) / w - 1, 0,
    0, (-2 * fy) / h, 1 - (2 * cy) / h, 0,
    0, 0, a, b,
    0, 0, 1, 0,
  );
  return clipFromCamera.multiply(view.cameraFromWorld);
}

/** The row of `camera_from_world` that says how far away a point is. */
export function depthRow({ cameraFromWorld: { elements } }: View): number[] {
  return [elements[2], elements[6], elements[10], elements[14]];
}
