// What the page is given: an avatar, its motions, and the pictures it was fitted to. Names as in avatar/export/web_scene.py.

import { readTensors, type Tensor, type TensorFile } from "./tensors";

export interface ShapeRange {
  readonly name: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Points that follow the body: the Gaussians, or the vertices of the mesh. */
export interface BoundPoints {
  readonly count: number;
  readonly means: Float32Array;
  readonly normals: Float32Array;
  readonly jointIds: Uint8Array;
  readonly jointWeights: Float32Array;
  readonly jointsPerPoint: number;
  readonly cornerIds: Int32Array;
  readonly cornerWeights: Float32Array;
  readonly controlIds: Int32Array | null;
  readonly controlWeights: Float32Array | null;
  readonly nodeIds: Int32Array | null;
  readonly nodeWeights: Float32Array | null;
  readonly nodesPerPoint: number;
  readonly dqsFractions: Float32Array;
  readonly sh: Float32Array;
  readonly harmonics: number;
}

/** An avatar in its canonical pose, and all that moves it. */
export interface Scene {
  readonly name: string;
  readonly rig: string;
  readonly jointNames: readonly string[];
  readonly parents: readonly number[];
  readonly jointsRest: Float32Array;
  readonly covariance: "rotation" | "jacobian";
  readonly light: "none" | "normal" | "field";
  readonly featureLimit: number;
  readonly featureReach: number;
  readonly shape: readonly ShapeRange[];
  readonly splats: BoundPoints & { quats: Float32Array; scales: Float32Array; opacities: Float32Array };
  readonly surface: BoundPoints & { faces: Int32Array };
  /** Everything else, by the names of the file: `correctives.modes`, `pose.*`, `graph.*`, `light.*`, `shape.*`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Poses over time; `coefficients` of the correctives where the avatar has them. */
export interface Motion {
  readonly name: string;
  readonly frameRateHz: number;
  readonly isOwn: boolean;
  readonly frameIds: readonly number[];
  readonly notes: readonly string[];
  readonly numJoints: number;
  /** `f j 4`, unit `wxyz`, each against its parent. */
  readonly localQuats: Float32Array;
  /** `f 3`, metres. */
  readonly rootPositions: Float32Array;
  readonly timesS: Float32Array;
  readonly coefficients: Float32Array | null;
}

/** One pose; without `coefficients` they are worked out from it. */
export interface Pose {
  readonly localQuats: Float32Array;
  readonly rootPosition: Float32Array;
  readonly coefficients: Float32Array | null;
}

const FORMAT = "avatar web 1";

function opened(buffer: ArrayBuffer): TensorFile {
  const file = readTensors(buffer);
  if (file.description.format !== FORMAT) {
    throw new Error(`expected ${FORMAT}, got ${String(file.description.format)}: export the avatar again`);
  }
  return file;
}

function pointsOf(file: TensorFile, prefix: string): BoundPoints {
  const get = (name: string) => file.tensors.get(`${prefix}.${name}`);
  const floats = (name: string) => (get(name)?.values ?? null) as Float32Array | null;
  const need = (name: string): Tensor => {
    const tensor = get(name);
    if (!tensor) throw new Error(`not a scene: ${prefix}.${name} is missing`);
    return tensor;
  };
  return {
    count: need("means").shape[0],
    means: need("means").values as Float32Array,
    normals: need("normals").values as Float32Array,
    jointIds: need("joint_ids").values as Uint8Array,
    jointWeights: need("joint_weights").values as Float32Array,
    jointsPerPoint: need("joint_ids").shape[1],
    cornerIds: need("corner_ids").values as Int32Array,
    cornerWeights: need("corner_weights").values as Float32Array,
    controlIds: (get("control_ids")?.values ?? null) as Int32Array | null,
    controlWeights: floats("control_weights"),
    nodeIds: (get("node_ids")?.values ?? null) as Int32Array | null,
    nodeWeights: floats("node_weights"),
    nodesPerPoint: get("node_ids")?.shape[1] ?? 0,
    dqsFractions: need("dqs_fractions").values as Float32Array,
    sh: need("sh").values as Float32Array,
    harmonics: need("sh").shape[1],
  };
}

/** Reads what `web_scene` wrote. */
export function readScene(buffer: ArrayBuffer): Scene {
  const file = opened(buffer);
  const about = file.description;
  const floats = (name: string) => file.tensors.get(name)!.values as Float32Array;
  return {
    name: about.name as string,
    rig: about.rig as string,
    jointNames: about.joint_names as string[],
    parents: about.parents as number[],
    jointsRest: floats("joints_rest"),
    covariance: about.covariance as Scene["covariance"],
    light: about.light as Scene["light"],
    featureLimit: about.feature_limit as number,
    featureReach: about.feature_reach as number,
    shape: about.shape as ShapeRange[],
    splats: {
      ...pointsOf(file, "splats"),
      quats: floats("splats.quats"),
      scales: floats("splats.scales"),
      opacities: floats("splats.opacities"),
    },
    surface: { ...pointsOf(file, "surface"), faces: file.tensors.get("surface.faces")!.values as Int32Array },
    tensors: file.tensors,
  };
}

/** Reads what `web_motion` wrote. */
export function readMotion(buffer: ArrayBuffer): Motion {
  const file = opened(buffer);
  const quats = file.tensors.get("local_quats")!;
  return {
    name: file.description.name as string,
    frameRateHz: file.description.frame_rate_hz as number,
    isOwn: file.description.is_own as boolean,
    frameIds: file.description.frame_ids as number[],
    notes: file.description.notes as string[],
    numJoints: quats.shape[1],
    localQuats: quats.values as Float32Array,
    rootPositions: file.tensors.get("root_position_world")!.values as Float32Array,
    timesS: file.tensors.get("times_s")!.values as Float32Array,
    coefficients: (file.tensors.get("coefficients")?.values ?? null) as Float32Array | null,
  };
}
