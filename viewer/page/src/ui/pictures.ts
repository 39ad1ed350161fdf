// Pictures for files: on nothing, and from all around.

import type { Pose, Scene } from "../data/scene";
import type { CaptureCamera } from "../data/source";
import { jointRows, matrixOf, moved } from "../pose/kinematics";
import type { Color, Session } from "./session";

/** How large a picture of what is seen is, of so many lines: as wide as the stage, or as the capture's camera. */
export function sizeOf(session: Session, lines: number): { width: number; height: number } {
  const { clientWidth, clientHeight } = session.stage.canvas;
  const { width, height } = session.camera ?? { width: clientWidth, height: clientHeight };
  return { width: 2 * Math.round((lines * width) / height / 2), height: lines };
}

/** The stage as it is seen; or the person on nothing, worked out from a picture on black and one on white. */
export async function stillPicture(session: Session, lines: number, isClear: boolean): Promise<ImageData> {
  const { stage, look, camera } = session;
  const { width, height } = sizeOf(session, lines);
  if (!isClear) return stage.picture(camera, width, height);
  const on = (color: Color): Promise<ImageData> => {
    stage.setBackground(color);
    return stage.picture(camera, width, height);
  };
  stage.setFloorVisible(false);
  try {
    return unmatted(await on([0, 0, 0]), await on([1, 1, 1]));
  } finally {
    stage.setFloorVisible(look.hasFloor);
    stage.setBackground(look.background);
  }
}

/** What covers a black and a white background as these pictures show: `c = a f`, and `c + 1 - a` on white. */
export function unmatted(onBlack: ImageData, onWhite: ImageData): ImageData {
  const picture = new ImageData(onBlack.width, onBlack.height);
  const [black, white, out] = [onBlack.data, onWhite.data, picture.data];
  for (let at = 0; at < out.length; at += 4) {
    const shine = (white[at] - black[at] + white[at + 1] - black[at + 1] + white[at + 2] - black[at + 2]) / 3;
    const alpha = Math.max(0, Math.min(1, 1 - shine / 255));
    for (let channel = 0; channel < 3; channel++) out[at + channel] = alpha ? black[at + channel] / alpha : 0;
    out[at + 3] = Math.round(255 * alpha);
  }
  return picture;
}

export async function pngOf(picture: ImageData): Promise<Blob> {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d")!.putImageData(picture, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

type Point = readonly [number, number, number];
const FIELD_OF_VIEW = (30 * Math.PI) / 180;
const ROOM = 1.1;
const FLESH_M = 0.15; // around the joints: hands, feet, hair
const HEIGHT_OF_EYE = 0.12; // of the distance

/** What a camera goes around: `radius` has the person in all poses wherever the camera is; `angle` is their front. */
export interface Orbit {
  readonly radius: number;
  /** Of the middle of the person, metres. */
  readonly height: number;
  readonly angle: number;
}

/** The orbit of some poses, from the front of the first. */
export function orbitOf({ parents, jointsRest }: Scene, poses: readonly Pose[]): Orbit {
  const places = poses.flatMap(({ localQuats, rootPosition }) => {
    const rows = jointRows({ parents, jointsRest }, localQuats, [0, 0, rootPosition[2]]);
    return parents.map((_, joint) => moved(rows, joint, jointsRest, joint));
  });
  const zs = places.map(([, , z]) => z);
  const height = (Math.min(...zs) + Math.max(...zs)) / 2;
  const root = matrixOf(poses[0].localQuats);
  return {
    radius: Math.max(...places.map(([x, y, z]) => Math.hypot(x, y, z - height))) + FLESH_M,
    height,
    angle: Math.atan2(-root[4], -root[1]), // bodies at rest face -Y
  };
}

/** A camera on the orbit around a root, which it follows over the floor, at a share of a turn from the front. */
export function orbitCamera(
  orbit: Orbit,
  root: ArrayLike<number>,
  turn: number,
  width: number,
  height: number,
): CaptureCamera {
  const center: Point = [root[0], root[1], orbit.height];
  const shorter = Math.min(1, width / height);
  const distance = (orbit.radius * ROOM) / Math.sin(FIELD_OF_VIEW / 2) / shorter;
  const angle = 2 * Math.PI * turn + orbit.angle;
  const away: Point = [Math.cos(angle), Math.sin(angle), HEIGHT_OF_EYE];
  const eye = center.map((value, axis) => value + distance * away[axis]) as unknown as Point;
  const forward = unit(center.map((value, axis) => value - eye[axis]) as unknown as Point);
  const right = unit(cross(forward, [0, 0, 1]));
  const down = cross(forward, right);
  const rows = [right, down, forward].map((axis) => [...axis, -dot(axis, eye)]);
  const focal = height / 2 / Math.tan(FIELD_OF_VIEW / 2);
  return {
    name: "orbit",
    width,
    height,
    intrinsicsPx: [focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1],
    cameraFromWorld: [...rows.flat(), 0, 0, 0, 1],
  };
}

const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const unit = (a: Point): Point => a.map((value) => value / Math.hypot(...a)) as unknown as Point;
function cross(a: Point, b: Point): Point {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
