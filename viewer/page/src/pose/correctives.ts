// Coefficients of the correctives for a pose, and what they add: `avatar.deform`'s PoseFeatures, FrameRegression, Correctives.

import type { Scene } from "../data/scene";
import type { Tensor } from "../data/tensors";
import { product } from "./kinematics";

/** How much of each mode a pose calls for: what training poses near it took, their mean far from all; null without modes. */
export function coefficientsOf(scene: Scene, localQuats: ArrayLike<number>): Float32Array | null {
  if (!scene.tensors.has("correctives.modes")) return null;
  const tensor = (name: string) => scene.tensors.get(`pose.${name}`) as Tensor<Float32Array>;
  const [known, inverse, pivots] = [tensor("known_features"), tensor("inverse"), tensor("pivots")];
  const features = featuresOf(scene, localQuats);
  const [frames, size] = known.shape;
  const common = Float64Array.from({ length: frames }, (_, frame) => {
    let squared = 0;
    for (let k = 0; k < size; k++) squared += (features[k] - known.values[frame * size + k]) ** 2;
    return Math.exp(-squared / (2 * scene.featureReach ** 2));
  });
  const weights = timesMatrix(common, inverse.values, frames);
  const missing = (1 - weights.reduce((sum, weight) => sum + weight, 0)) / frames;
  return Float32Array.from(timesMatrix(weights.map((weight) => weight + missing), pivots.values, pivots.shape[1]));
}

function featuresOf(scene: Scene, localQuats: ArrayLike<number>): Float64Array {
  const values = (name: string) => scene.tensors.get(`pose.${name}`)!.values;
  const [meanQuats, mean, directions] = [values("mean_quats"), values("mean"), values("directions")];
  const angles = new Float64Array(mean.length);
  for (let joint = 0; joint < mean.length / 3; joint++) {
    const at = 4 * joint;
    const back = [meanQuats[at], -meanQuats[at + 1], -meanQuats[at + 2], -meanQuats[at + 3]];
    const quat = [0, 1, 2, 3].map((k) => localQuats[at + 4 + k]);
    axisAngleOf(product(back, quat)).forEach((angle, k) => (angles[3 * joint + k] = angle - mean[3 * joint + k]));
  }
  return Float64Array.from({ length: directions.length / mean.length }, (_, row) => {
    let sum = 0;
    for (let k = 0; k < mean.length; k++) sum += angles[k] * directions[row * mean.length + k];
    return Math.min(scene.featureLimit, Math.max(-scene.featureLimit, sum));
  });
}

function axisAngleOf(quat: number[]): number[] {
  const sign = quat[0] < 0 ? -1 : 1;
  const sine = Math.hypot(quat[1], quat[2], quat[3]);
  const ratio = sine < 1e-12 ? 2 : (2 * Math.atan2(sine, sign * quat[0])) / sine;
  return [1, 2, 3].map((k) => sign * ratio * quat[k]);
}

/** `sum_k row[k] matrix[k]`, `columns` of them, in `out` where there is one to fill again. */
export function timesMatrix(
  row: ArrayLike<number>,
  matrix: ArrayLike<number>,
  columns: number,
  out: Float64Array = new Float64Array(columns),
): Float64Array {
  out.fill(0);
  for (let k = 0; k < row.length; k++) {
    const weight = row[k];
    for (let column = 0, at = k * columns; column < columns; column++, at++) out[column] += weight * matrix[at];
  }
  return out;
}
