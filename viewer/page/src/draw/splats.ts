// Gaussians: projected once for all by a pass over points, drawn as quads from back to front, laid over the picture.
//
// The semantics are those of `avatar.engine.rasterize_reference` (EWA splatting, Zwicker et al. 2001).

import {
  AddEquation,
  CustomBlending,
  DoubleSide,
  HalfFloatType,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  BufferAttribute,
  type IUniform,
  Matrix4,
  Mesh,
  NearestFilter,
  OneFactor,
  OneMinusSrcAlphaFactor,
  RGBAFormat,
  RGBAIntegerFormat,
  UnsignedByteType,
  UnsignedIntType,
  Vector2,
  Vector4,
  type WebGLRenderer,
  WebGLRenderTarget,
} from "three";

import type { Scene } from "../data/scene";
import type { Order } from "../sort/sorter";
import type { View } from "../view";
import { type PointTables, packPoints, pointsGlsl } from "./points";
import { draw, screenPass, shader, TABLE_GLSL, TABLE_WIDTH, tableHeight } from "./table";

const OVER = {
  blending: CustomBlending,
  blendEquation: AddEquation,
  blendSrc: OneFactor,
  blendDst: OneMinusSrcAlphaFactor,
} as const;

// A record of two texels a Gaussian: centre and first axis in pixels (one standard deviation); then the length of the
// second axis, red and green and then blue as halves, and the opacity, which is zero for what is not in the picture.
const projectGlsl = (scene: Scene) => /* glsl */ `
${pointsGlsl(scene, scene.splats)}
uniform mat4 camera_from_world;
uniform vec4 pinhole; // fx fy cx cy
uniform vec2 size;
uniform int count;
layout(location = 0) out uvec4 place_record;
layout(location = 1) out uvec4 paint_record;
void main() {
  int point = int(gl_FragCoord.y) * ${TABLE_WIDTH} + int(gl_FragCoord.x);
  place_record = uvec4(0u), paint_record = uvec4(0u);
  if (point >= count) return;
  float opacity = fixed_floats(point, 0).w;
  Posed posed = pose_point(point);
  vec3 center = (camera_from_world * vec4(posed.place, 1)).xyz;
  if (!(opacity >= 1.0 / 255.0) || !(center.z >= 0.01)) return;
  vec2 slope = center.xy / center.z, margin = 0.15 * size / pinhole.xy;
  vec2 held = clamp(slope, -pinhole.zw / pinhole.xy - margin, (size - pinhole.zw) / pinhole.xy + margin);
  vec2 jacobian = pinhole.xy / center.z;
  vec3 scales = fixed_floats(point, 2).xyz;
  mat3 axes = mat3(camera_from_world) * posed.linear * matrix_of(fixed_floats(point, 1));
  vec3 a = vec3(jacobian.x, 0, -jacobian.x * held.x) * axes * scales;
  vec3 b = vec3(0, jacobian.y, -jacobian.y * held.y) * axes * scales;
  float xx = dot(a, a) + 0.3, xy = dot(a, b), yy = dot(b, b) + 0.3;
  float half_difference = 0.5 * (xx - yy), radius = length(vec2(half_difference, xy));
  float longer = 0.5 * (xx + yy) + radius, shorter = max((xx * yy - xy * xy) / longer, 0.3);
  vec2 axis = half_difference >= 0.0 ? vec2(radius + half_difference, xy) : vec2(xy, radius - half_difference);
  axis = radius > 0.0 ? normalize(axis) : vec2(1, 0);
  vec2 middle = pinhole.xy * slope + pinhole.zw;
  vec2 reach = sqrt(2.0 * log(255.0 * opacity)) * sqrt(vec2(xx, yy));
  if (any(lessThan(middle + reach, vec2(0))) || any(greaterThan(middle - reach, size)) || !(longer < 1e12)) return;
  vec3 world_of_camera = -transpose(mat3(camera_from_world)) * camera_from_world[3].xyz;
  vec3 color = color_of(point, posed, normalize(posed.place - world_of_camera));
  place_record = floatBitsToUint(vec4(middle, axis * sqrt(longer)));
  paint_record = uvec4(floatBitsToUint(sqrt(shorter)), packHalf2x16(color.rg), packHalf2x16(vec2(color.b, 0)),
    floatBitsToUint(opacity));
}`;

const QUAD_GLSL = /* glsl */ `
${TABLE_GLSL}
in vec3 position;
in uint order;
uniform usampler2D place_records, paint_records;
uniform vec2 size;
out vec2 sigmas;
flat out vec4 paint;
void main() {
  uvec4 bits = texelFetch(paint_records, at(int(order)), 0);
  vec4 place = uintBitsToFloat(texelFetch(place_records, at(int(order)), 0));
  paint = vec4(unpackHalf2x16(bits.y), unpackHalf2x16(bits.z).x, uintBitsToFloat(bits.w));
  sigmas = position.xy * sqrt(max(0.0, 2.0 * log(255.0 * paint.w)) * 1.0002);
  vec2 across = place.zw, along = normalize(vec2(-place.w, place.z)) * uintBitsToFloat(bits.x);
  vec2 pixel = place.xy + sigmas.x * across + sigmas.y * along;
  gl_Position = bits.w == 0u ? vec4(2, 2, 2, 1)
    : vec4((2.0 * pixel / size - 1.0) * vec2(1, -1), 0, 1);
}`;

const GAUSSIAN_GLSL = /* glsl */ `
in vec2 sigmas;
flat in vec4 paint;
out vec4 color;
void main() {
  float alpha = min(0.999, paint.w * exp(-0.5 * dot(sigmas, sigmas)));
  if (alpha < 1.0 / 255.0) discard;
  color = vec4(paint.rgb * alpha, alpha);
}`;

const COMPOSITE_GLSL = /* glsl */ `
uniform sampler2D layer;
uniform vec2 corner;
out vec4 color;
void main() { color = texelFetch(layer, ivec2(gl_FragCoord.xy - corner), 0); }`;

/** The Gaussians of a scene. */
export class SplatLayer {
  readonly tables: PointTables;
  private readonly camera = {
    camera_from_world: { value: new Matrix4() },
    pinhole: { value: new Vector4() },
    size: { value: new Vector2() },
  };
  private readonly records: WebGLRenderTarget;
  private readonly projection: Mesh;
  private readonly quads: Mesh<InstancedBufferGeometry>;
  private readonly composite;
  private layer: WebGLRenderTarget | null = null;

  constructor(
    private readonly renderer: WebGLRenderer,
    scene: Scene,
    uniforms: Record<string, IUniform>,
  ) {
    this.tables = packPoints(scene.splats);
    const { count } = scene.splats;
    this.records = bits(count, 2);
    const [places, paints] = this.records.textures;
    this.projection = screenPass(projectGlsl(scene), {
      ...uniforms,
      ...this.camera,
      fixed_points: { value: this.tables.fixed },
      rest_points: { value: this.tables.rest.texture },
      count: { value: count },
    });
    const records = { place_records: { value: places }, paint_records: { value: paints }, size: this.camera.size };
    const material = shader(QUAD_GLSL, GAUSSIAN_GLSL, records, { ...OVER, side: DoubleSide });
    this.quads = new Mesh(quadGeometry(count), material);
    this.quads.frustumCulled = false;
    this.composite = screenPass(COMPOSITE_GLSL, { layer: { value: null }, corner: { value: new Vector2() } }, OVER);
  }

  /** Poses and projects; what the other methods take goes with it. */
  project(view: View): void {
    this.camera.camera_from_world.value.copy(view.cameraFromWorld);
    this.camera.pinhole.value.set(view.fx, view.fy, view.cx, view.cy);
    this.camera.size.value.set(view.width, view.height);
    this.renderer.setRenderTarget(this.records);
    draw(this.renderer, this.projection);
  }

  setOrder({ ids, count }: Order): void {
    const attribute = this.quads.geometry.getAttribute("order") as InstancedBufferAttribute;
    attribute.array = ids;
    attribute.needsUpdate = true;
    this.quads.geometry.instanceCount = count;
  }

  /** Blends the Gaussians of the last projection in a layer of their own, in half precision where there is any. */
  blend(view: View): void {
    this.renderer.setRenderTarget(this.layerFor(view));
    this.renderer.setClearColor(0, 0);
    this.renderer.clear(true, false, false);
    draw(this.renderer, this.quads);
  }

  /** What lays them over the picture, whose viewport begins at a corner, pixels. */
  seen([x, y]: readonly [number, number]): Mesh {
    this.composite.material.uniforms.corner.value.set(x, y);
    return this.composite;
  }

  dispose(): void {
    for (const mesh of [this.projection, this.quads, this.composite]) disposeMesh(mesh);
    for (const thing of [this.records, this.layer, this.tables.fixed, this.tables.rest.texture]) thing?.dispose();
  }

  private layerFor({ width, height }: View): WebGLRenderTarget {
    if (this.layer?.width !== width || this.layer.height !== height) {
      this.layer?.dispose();
      const { extensions } = this.renderer;
      const isFine = extensions.has("EXT_color_buffer_float") || extensions.has("EXT_color_buffer_half_float");
      this.layer = new WebGLRenderTarget(width, height, {
        format: RGBAFormat,
        type: isFine ? HalfFloatType : UnsignedByteType,
        minFilter: NearestFilter,
        magFilter: NearestFilter,
        depthBuffer: false,
      });
      this.composite.material.uniforms.layer.value = this.layer.texture;
    }
    return this.layer;
  }
}

export function disposeMesh(mesh: Mesh): void {
  mesh.geometry.dispose();
  for (const material of [mesh.material].flat()) material.dispose();
}

/** A target for texels of bits: WebGL 2 can always draw to them. */
function bits(texels: number, count: number): WebGLRenderTarget {
  const width = Math.min(TABLE_WIDTH, Math.max(1, texels));
  return new WebGLRenderTarget(width, tableHeight(texels), {
    count,
    format: RGBAIntegerFormat,
    type: UnsignedIntType,
    internalFormat: "RGBA32UI",
    minFilter: NearestFilter,
    magFilter: NearestFilter,
    depthBuffer: false,
  });
}

function quadGeometry(count: number): InstancedBufferGeometry {
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array([-1, -1, 0, 1, -1, 0, -1, 1, 0, 1, 1, 0]), 3));
  geometry.setIndex([0, 1, 2, 2, 1, 3]);
  geometry.setAttribute("order", new InstancedBufferAttribute(Uint32Array.from({ length: count }, (_, k) => k), 1));
  geometry.instanceCount = count;
  return geometry;
}
