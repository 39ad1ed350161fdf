// How the light multiplies colours: `avatar.deform.NormalLight` and `LightField`.

import { type IUniform, Vector3 } from "three";

import type { Scene } from "../data/scene";
import { floatTable } from "./table";

/** GLSL: `vec3 light_gain(vec3 normal, vec3 place)`. */
export function lightGlsl(scene: Scene): string {
  switch (scene.light) {
    case "none":
      return "vec3 light_gain(vec3 normal, vec3 place) { return vec3(1); }";
    case "normal":
      return /* glsl */ `
uniform vec3 light[8];
vec3 light_gain(vec3 n, vec3 place) {
  return 1.0 + light[0] * n.x + light[1] * n.y + light[2] * n.z + light[3] * (n.x * n.y) + light[4] * (n.y * n.z)
    + light[5] * (n.x * n.z) + light[6] * (3.0 * n.z * n.z - 1.0) + light[7] * (n.x * n.x - n.y * n.y);
}`;
    case "field":
      return fieldGlsl(scene);
  }
}

function fieldGlsl(scene: Scene): string {
  const hidden = scene.tensors.get("light.residual.0.bias")!.shape[0];
  const quads = Math.ceil(hidden / 4);
  return /* glsl */ `
uniform vec3 light[8];
uniform vec3 light_bias, light_center, light_shift;
uniform mat3 light_from_world;
uniform float light_reach;
uniform sampler2D light_net;
vec3 light_gain(vec3 normal, vec3 place) {
  vec3 n = light_from_world * normal, x = light_from_world * ((place + light_shift - light_center) / light_reach);
  vec4 first[${quads}];
  int texel = 0;
  for (int k = 0; k < ${quads}; k++) {
    for (int lane = 0; lane < 4; lane++, texel += 2) {
      vec4 a = texelFetch(light_net, at(texel), 0), b = texelFetch(light_net, at(texel + 1), 0);
      first[k][lane] = max(0.0, dot(a.xyz, n) + dot(b.xyz, x) + a.w);
    }
  }
  vec3 gain = light_bias;
  for (int unit = 0; unit < ${hidden}; unit++) {
    vec4 out_of = texelFetch(light_net, at(texel++), 0);
    float sum = out_of.w;
    for (int k = 0; k < ${quads}; k++) sum += dot(first[k], texelFetch(light_net, at(texel++), 0));
    gain += max(0.0, sum) * out_of.xyz;
  }
  gain += light[0] * n.y + light[1] * n.z + light[2] * n.x + light[3] * (n.x * n.y) + light[4] * (n.y * n.z)
    + light[5] * (2.0 * n.z * n.z - n.x * n.x - n.y * n.y) + light[6] * (n.x * n.z) + light[7] * (n.x * n.x - n.y * n.y);
  return mix(exp(min(gain, 0.0)), 1.0 + gain, greaterThan(gain, vec3(0)));
}`;
}

// Factors of the harmonics of degree 1 and 2, in the order of `avatar.geometry.sh_basis`.
const C1 = 0.4886025119029199;
const C2 = 1.0925484305920792;
const FACTORS = [-C1, C1, -C1, C2, -C2, 0.31539156525252005, -C2, C2 / 2];

/** Uniforms of `lightGlsl`, and what to do when the root of the body moves. */
export interface LightUniforms {
  readonly uniforms: Record<string, IUniform>;
  stand(root: ArrayLike<number>): void;
}

export function lightUniforms(scene: Scene): LightUniforms {
  const values = (name: string) => scene.tensors.get(`light.${name}`)!.values;
  if (scene.light === "none") return { uniforms: {}, stand: () => {} };
  const rows = vectorsOf(values("coefficients"));
  if (scene.light === "normal") return { uniforms: { light: { value: rows } }, stand: () => {} };
  const [center, roots] = [values("center_world"), values("roots_world")];
  const shift = new Vector3();
  const uniforms = {
    light: { value: rows.map((row, k) => row.multiplyScalar(FACTORS[k])) },
    light_bias: { value: vectorsOf(values("residual.2.bias"))[0] },
    light_center: { value: vectorsOf(center)[0] },
    light_shift: { value: shift },
    light_from_world: { value: transposed(values("light_from_world")) },
    light_reach: { value: 1 + Math.max(...Array.from(roots, (root, k) => Math.abs(root - center[k % 3]))) },
    light_net: { value: networkTable(values) },
  };
  const stand = (root: ArrayLike<number>) => {
    const moved = [0, 1, 2].map((k) => Math.min(roots[3 + k], Math.max(roots[k], root[k])) - root[k]);
    shift.fromArray(moved);
  };
  return { uniforms, stand };
}

/** First layer: two texels a unit; second: one texel of what goes out and the bias, then the weights, for each unit. */
function networkTable(values: (name: string) => ArrayLike<number>) {
  const [w1, b1] = [values("residual.0.weight"), values("residual.0.bias")];
  const [w2, b2] = [values("residual.1.weight"), values("residual.1.bias")];
  const w3 = values("residual.2.weight");
  const hidden = b1.length;
  const wide = 4 * Math.ceil(hidden / 4);
  const table = floatTable(2 * wide + hidden * (1 + wide / 4));
  const data = table.values;
  for (let unit = 0; unit < hidden; unit++) {
    for (let k = 0; k < 3; k++) {
      data[8 * unit + k] = w1[6 * unit + k];
      data[8 * unit + 4 + k] = w1[6 * unit + 3 + k];
    }
    data[8 * unit + 3] = b1[unit];
    const place = 8 * wide + unit * (4 + wide);
    for (let k = 0; k < 3; k++) data[place + k] = w3[k * hidden + unit];
    data[place + 3] = b2[unit];
    for (let k = 0; k < hidden; k++) data[place + 4 + k] = w2[unit * hidden + k];
  }
  return table.texture;
}

function vectorsOf(values: ArrayLike<number>): Vector3[] {
  return Array.from({ length: values.length / 3 }, (_, k) => new Vector3(values[3 * k], values[3 * k + 1], values[3 * k + 2]));
}

/** GLSL takes matrices column by column. */
function transposed(matrix: ArrayLike<number>): number[] {
  return Array.from({ length: 9 }, (_, k) => matrix[3 * (k % 3) + Math.floor(k / 3)]);
}
