// What the nodes of the control graph do: `avatar.deform.ControlGraph`.

import type { Scene } from "../data/scene";
import { timesMatrix } from "./correctives";
import { matrixOf } from "./kinematics";

/** Of every node the linear map row by row and the shift: `A x + b`, twelve numbers. Null without a graph. */
export function nodeMotions(scene: Scene, coefficients: ArrayLike<number>): Float64Array | null {
  const nodes = scene.tensors.get("graph.nodes")?.values;
  const modes = scene.tensors.get("graph.modes")?.values;
  if (!nodes || !modes) return null;
  const field = timesMatrix(coefficients, modes, nodes.length * 4);
  const motions = new Float64Array(field.length);
  for (let node = 0; node < nodes.length / 3; node++) {
    const linear = linearOf(field.subarray(12 * node + 3, 12 * node + 12));
    motions.set(linear, 12 * node);
    for (let r = 0; r < 3; r++) {
      let shift = nodes[3 * node + r] + field[12 * node + r];
      for (let c = 0; c < 3; c++) shift -= linear[3 * r + c] * nodes[3 * node + c];
      motions[12 * node + 9 + r] = shift;
    }
  }
  return motions;
}

/** `R (1 + E)` of a rotation vector and a strain `xx yy zz xy xz yz`. */
function linearOf(turnAndStrain: Float64Array): number[] {
  const [ax, ay, az, x, y, z, xy, xz, yz] = turnAndStrain;
  const angle = Math.hypot(ax, ay, az);
  const ratio = angle < 1e-9 ? 0.5 : Math.sin(angle / 2) / angle;
  const turn = matrixOf([Math.cos(angle / 2), ratio * ax, ratio * ay, ratio * az]);
  const stretch = [1 + x, xy, xz, xy, 1 + y, yz, xz, yz, 1 + z];
  return turn.map((_, k) => {
    const [r, c] = [3 * Math.floor(k / 3), k % 3];
    return turn[r] * stretch[c] + turn[r + 1] * stretch[3 + c] + turn[r + 2] * stretch[6 + c];
  });
}
