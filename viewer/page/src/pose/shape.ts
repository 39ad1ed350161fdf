// What moving the shape parameters does to points and joints: linear on each side of the person's own value.

import type { BoundPoints, Scene } from "../data/scene";

/** How far each parameter is on its way to an end: the tensor's rows and their weights. */
interface Step {
  readonly end: "low" | "high";
  readonly row: number;
  readonly fraction: number;
}

function stepsTo(scene: Scene, values: readonly number[]): Step[] {
  return scene.shape.flatMap(({ value, low, high }, row): Step[] => {
    const there = Math.min(high, Math.max(low, values[row] ?? value));
    if (there === value) return [];
    const end = there < value ? "low" : "high";
    return [{ end, row, fraction: (there - value) / ((end === "low" ? low : high) - value) }];
  });
}

function sumOf(scene: Scene, steps: Step[], suffix: string, size: number): Float32Array {
  const sum = new Float32Array(size);
  for (const { end, row, fraction } of steps) {
    const rows = scene.tensors.get(`shape.${end}${suffix}`)!.values;
    for (let k = 0, at = row * size; k < size; k++, at++) sum[k] += fraction * rows[at];
  }
  return sum;
}

/** A person of another shape. */
export interface Shaped {
  /** `j 3`, metres. */
  readonly jointsRest: Float32Array;
  /** How much higher the root has to stand for the feet to stay on the ground, metres. */
  readonly rise: number;
  /** What the shape adds to every vertex of the template, `v 3`; null for the person's own shape. */
  readonly vertices: Float32Array | null;
}

export function shapedTo(scene: Scene, values: readonly number[]): Shaped {
  const steps = stepsTo(scene, values);
  if (steps.length === 0) return { jointsRest: scene.jointsRest, rise: 0, vertices: null };
  const joints = sumOf(scene, steps, "_joints", scene.jointsRest.length).map((shift, k) => shift + scene.jointsRest[k]);
  const numVertices = scene.tensors.get("shape.low")!.shape[1];
  return {
    jointsRest: joints,
    rise: legLength(joints) - legLength(scene.jointsRest),
    vertices: sumOf(scene, steps, "", 3 * numVertices),
  };
}

function legLength(joints: Float32Array): number {
  let lowest = Infinity;
  for (let k = 2; k < joints.length; k += 3) lowest = Math.min(lowest, joints[k]);
  return joints[2] - lowest;
}

/** Where points are at rest, `n 3` metres. */
export function restMeans(points: BoundPoints, vertices: Float32Array | null): Float32Array {
  if (!vertices) return points.means;
  const means = points.means.slice();
  for (let corner = 0; corner < points.cornerIds.length; corner++) {
    const [point, vertex] = [3 * Math.floor(corner / 3), 3 * points.cornerIds[corner]];
    const weight = points.cornerWeights[corner];
    for (let axis = 0; axis < 3; axis++) means[point + axis] += weight * vertices[vertex + axis];
  }
  return means;
}
