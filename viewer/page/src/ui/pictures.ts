// Pictures for files: on nothing, and from all around.

import type { Pose, Scene } from "../data/scene";
import type { CaptureCamera } from "../data/source";
import { matrixOf } from "../pose/kinematics";
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
const ROOM = 1.25; // around the joints: hands, hair, and some air
const HEIGHT_OF_EYE = 0.12; // of the distance

/** A camera on a circle around the person, at a share of a turn from where it looks. */
export function orbitCamera(scene: Scene, pose: Pose, turn: number, width: number, height: number): CaptureCamera {
  const { center, radius } = aroundPerson(scene, pose);
  const shorter = Math.min(1, width / height);
  const distance = (radius * ROOM) / Math.tan(FIELD_OF_VIEW / 2) / shorter;
  const root = matrixOf(pose.localQuats);
  const angle = 2 * Math.PI * turn + Math.atan2(-root[4], -root[1]); // bodies at rest face -Y
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

function aroundPerson(scene: Scene, pose: Pose): { center: Point; radius: number } {
  const rest = scene.jointsRest;
  const zs = rest.filter((_, i) => i % 3 === 2);
  const [low, high] = [Math.min(...zs), Math.max(...zs)];
  const [x, y, z] = pose.rootPosition;
  return { center: [x, y, z + (low + high) / 2 - rest[2]], radius: (high - low) / 2 };
}

const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const unit = (a: Point): Point => a.map((value) => value / Math.hypot(...a)) as unknown as Point;
function cross(a: Point, b: Point): Point {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
