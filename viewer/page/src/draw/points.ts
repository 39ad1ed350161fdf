// Points that follow the body, as tables for the GPU, and the GLSL that carries them to the world.

import type { DataTexture } from "three";

import type { BoundPoints, Scene } from "../data/scene";
import { lightGlsl } from "./light";
import { bitTable, type FloatTable, floatTable, TABLE_GLSL } from "./table";

const JOINTS = 8; // that move a point at most, as in the file
const NODES = 8;

/** Tables of points: what never changes, and where they are at rest with their fraction of dual-quaternion skinning. */
export interface PointTables {
  readonly fixed: DataTexture;
  readonly rest: FloatTable;
}

interface Ellipsoids {
  readonly quats?: Float32Array;
  readonly scales?: Float32Array;
  readonly opacities?: Float32Array;
}

function texelsOf(points: BoundPoints): number {
  return 6 + (points.controlIds ? 1 : 0) + (points.nodeIds ? 3 : 0) + points.harmonics;
}

/** Packs points and, for Gaussians, their shapes. Ids of joints take a byte, those of control points and nodes two. */
export function packPoints(points: BoundPoints & Ellipsoids): PointTables {
  const texels = texelsOf(points);
  const words = new Uint32Array(4 * texels * points.count);
  const floats = new Float32Array(words.buffer);
  const { jointsPerPoint: joints, nodesPerPoint: nodes, harmonics } = points;
  for (let point = 0; point < points.count; point++) {
    let place = 4 * texels * point;
    const put = (values: Float32Array | null | undefined, from: number, count: number, room: number) => {
      if (values) for (let k = 0; k < count; k++) floats[place + k] = values[from + k];
      place += room;
    };
    put(points.normals, 3 * point, 3, 3);
    put(points.opacities, point, 1, 1);
    put(points.quats, 4 * point, 4, 4);
    put(points.scales, 3 * point, 3, 4);
    for (let k = 0; k < joints; k++) words[place + (k >> 2)] |= points.jointIds[joints * point + k] << (8 * (k & 3));
    if (points.controlIds) {
      for (let k = 0; k < 4; k++) words[place + 2 + (k >> 1)] |= points.controlIds[4 * point + k] << (16 * (k & 1));
    }
    place += 4;
    put(points.jointWeights, joints * point, joints, JOINTS);
    if (points.controlWeights) put(points.controlWeights, 4 * point, 4, 4);
    if (points.nodeIds) {
      for (let k = 0; k < nodes; k++) words[place + (k >> 1)] |= points.nodeIds[nodes * point + k] << (16 * (k & 1));
      place += 4;
      put(points.nodeWeights, nodes * point, nodes, NODES);
    }
    for (let k = 0; k < harmonics; k++) put(points.sh, 3 * (harmonics * point + k), 3, 4);
  }
  return { fixed: bitTable(words), rest: floatTable(points.count) };
}

/** Writes where points are at rest. `fraction` of dual-quaternion skinning in place of their own, where there is one. */
export function placePoints(tables: PointTables, points: BoundPoints, means: Float32Array, fraction: number | null): void {
  const { texture, values } = tables.rest;
  for (let point = 0; point < points.count; point++) {
    for (let k = 0; k < 3; k++) values[4 * point + k] = means[3 * point + k];
    values[4 * point + 3] = fraction ?? points.dqsFractions[point];
  }
  texture.needsUpdate = true;
}

/** Where things are in the table of the pose, in texels: after four for each joint two for each control point, three a node. */
export function poseLayout(scene: Scene) {
  const controls = scene.tensors.get("correctives.modes")?.shape[1] ?? 0;
  const nodes = scene.tensors.get("graph.nodes")?.shape[0] ?? 0;
  const controlStart = 4 * scene.parents.length;
  const nodeStart = controlStart + 2 * controls;
  return { controls, controlStart, nodeStart, texels: nodeStart + 3 * nodes };
}

/**
 * GLSL: `Posed pose_point(int)`, `vec3 color_of(int, Posed, vec3 from_camera)`, `vec4 fixed_floats(int, int)`.
 *
 * The same equations as `avatar.engine.skin` and `relight`. Uniforms: `fixed_points`, `rest_points`, `pose` and those
 * of the light.
 */
export function pointsGlsl(scene: Scene, points: BoundPoints): string {
  const [hasControls, hasNodes] = [points.controlIds !== null, points.nodeIds !== null];
  const { controlStart, nodeStart } = poseLayout(scene);
  const nodeTexel = hasControls ? 7 : 6;
  return /* glsl */ `
${TABLE_GLSL}
#define TEXELS ${texelsOf(points)}
uniform usampler2D fixed_points;
uniform sampler2D rest_points, pose;
uvec4 fixed_bits(int point, int k) { return texelFetch(fixed_points, at(point * TEXELS + k), 0); }
vec4 fixed_floats(int point, int k) { return uintBitsToFloat(fixed_bits(point, k)); }
vec4 pose_texel(int k) { return texelFetch(pose, at(k), 0); }

vec4 multiply(vec4 p, vec4 q) {
  return vec4(p.x * q.x - dot(p.yzw, q.yzw), p.x * q.yzw + q.x * p.yzw + cross(p.yzw, q.yzw));
}
vec3 turn(vec4 q, vec3 p) {
  vec3 twice = 2.0 * cross(q.yzw, p);
  return p + q.x * twice + cross(q.yzw, twice);
}
mat3 matrix_of(vec4 q) { return mat3(turn(q, vec3(1, 0, 0)), turn(q, vec3(0, 1, 0)), turn(q, vec3(0, 0, 1))); }

struct Posed { vec3 place; vec3 normal; mat3 linear; vec3 added; };

Posed pose_point(int point) {
  vec4 rest = texelFetch(rest_points, at(point), 0);
  uvec4 ids = fixed_bits(point, 3);
  Posed posed = Posed(rest.xyz, vec3(0), mat3(1), vec3(0));
  ${hasNodes ? nodesGlsl(nodeTexel, nodeStart) : ""}
  ${hasControls ? controlsGlsl(controlStart) : ""}
  vec4 rows[3] = vec4[3](vec4(0), vec4(0), vec4(0)), real = vec4(0), twice_dual = vec4(0);
  for (int k = 0; k < ${JOINTS}; k++) {
    float weight = fixed_floats(point, 4 + k / 4)[k % 4];
    if (weight == 0.0) break;
    int joint = 4 * int((ids[k / 4] >> uint(8 * (k % 4))) & 255u);
    vec4 r0 = pose_texel(joint), r1 = pose_texel(joint + 1), r2 = pose_texel(joint + 2), q = pose_texel(joint + 3);
    rows[0] += weight * r0, rows[1] += weight * r1, rows[2] += weight * r2;
    real += weight * q;
    twice_dual += weight * multiply(vec4(0, r0.w, r1.w, r2.w), q);
  }
  float size = max(length(real), 1e-12);
  real /= size, twice_dual /= size;
  vec4 place = vec4(posed.place, 1);
  vec3 by_matrices = vec3(dot(rows[0], place), dot(rows[1], place), dot(rows[2], place));
  vec3 by_dual_quats = turn(real, place.xyz) + multiply(twice_dual, vec4(real.x, -real.yzw)).yzw;
  posed.place = mix(by_matrices, by_dual_quats, rest.w);
  posed.normal = turn(real, fixed_floats(point, 0).xyz);
  mat3 derivative = matrix_of(real);
  ${scene.covariance === "jacobian" ? `
  mat3 mean = transpose(mat3(rows[0].xyz, rows[1].xyz, rows[2].xyz));
  derivative = mean * (1.0 - rest.w) + derivative * rest.w;` : ""}
  posed.linear = derivative * posed.linear;
  return posed;
}

${lightGlsl(scene)}

// sRGB toward a unit direction from the camera on, not below zero.
vec3 color_of(int point, Posed posed, vec3 from_camera) {
  ${harmonicsGlsl(points)}
  return max(light_gain(posed.normal, posed.place) * (color + posed.added), 0.0);
}
`;
}

function nodesGlsl(texel: number, start: number): string {
  return /* glsl */ `
  {
    uvec4 node_ids = fixed_bits(point, ${texel});
    vec4 motion[3] = vec4[3](vec4(0), vec4(0), vec4(0));
    for (int k = 0; k < ${NODES}; k++) {
      float weight = fixed_floats(point, ${texel + 1} + k / 4)[k % 4];
      int node = ${start} + 3 * int((node_ids[k / 2] >> uint(16 * (k % 2))) & 65535u);
      for (int r = 0; r < 3; r++) motion[r] += weight * pose_texel(node + r);
    }
    vec4 place = vec4(posed.place, 1);
    posed.place = vec3(dot(motion[0], place), dot(motion[1], place), dot(motion[2], place));
    posed.linear = transpose(mat3(motion[0].xyz, motion[1].xyz, motion[2].xyz));
  }`;
}

function controlsGlsl(start: number): string {
  return /* glsl */ `
  vec4 control_weights = fixed_floats(point, 6);
  for (int k = 0; k < 4; k++) {
    int control = ${start} + 2 * int((ids[2 + k / 2] >> uint(16 * (k % 2))) & 65535u);
    posed.place += control_weights[k] * pose_texel(control).xyz;
    posed.added += control_weights[k] * pose_texel(control + 1).xyz;
  }`;
}

// Real spherical harmonics in the order and with the signs of 3D Gaussian splatting: `avatar.geometry.sh_basis`.
const HARMONICS = [
  "0.28209479177387814",
  "-0.4886025119029199 * y",
  "0.4886025119029199 * z",
  "-0.4886025119029199 * x",
  "1.0925484305920792 * x * y",
  "-1.0925484305920792 * y * z",
  "0.31539156525252005 * (2.0 * z * z - x * x - y * y)",
  "-1.0925484305920792 * x * z",
  "0.5462742152960396 * (x * x - y * y)",
  "-0.5900435899266435 * y * (3.0 * x * x - y * y)",
  "2.890611442640554 * x * y * z",
  "-0.4570457994644658 * y * (4.0 * z * z - x * x - y * y)",
  "0.3731763325901154 * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y)",
  "-0.4570457994644658 * x * (4.0 * z * z - x * x - y * y)",
  "1.445305721320277 * z * (x * x - y * y)",
  "-0.5900435899266435 * x * (x * x - 3.0 * y * y)",
];

function harmonicsGlsl(points: BoundPoints): string {
  const first = texelsOf(points) - points.harmonics;
  const terms = HARMONICS.slice(0, points.harmonics).map((basis, k) => `
  color += (${basis}) * fixed_floats(point, ${first + k}).xyz;`);
  return `float x = from_camera.x, y = from_camera.y, z = from_camera.z;
  vec3 color = vec3(0.5);${terms.join("")}`;
}
