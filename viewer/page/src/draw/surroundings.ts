// What is around the person: a grid on the floor, and the skeleton drawn over all.

import {
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  Matrix4,
  Mesh,
  NormalBlending,
  PlaneGeometry,
  Vector2,
  Vector3,
} from "three";

import { moved, type Skeleton } from "../pose/kinematics";
import { clipFromWorld, type View } from "../view";
import { disposeMesh } from "./splats";
import { shader } from "./table";

const FLOOR_VERTEX = /* glsl */ `
in vec3 position;
uniform mat4 clip_from_world;
uniform vec3 center;
out vec2 ground;
void main() {
  ground = position.xy * 6.0 + center.xy;
  gl_Position = clip_from_world * vec4(ground, 0, 1);
}`;

const FLOOR_FRAGMENT = /* glsl */ `
in vec2 ground;
uniform vec3 center, ink;
uniform float strength;
out vec4 color;
float lines(float spacing) {
  vec2 place = ground / spacing, width = fwidth(place) * 1.2;
  vec2 near = abs(fract(place - 0.5) - 0.5) / width;
  return (1.0 - min(1.0, min(near.x, near.y))) * (1.0 - smoothstep(0.2, 0.6, max(width.x, width.y)));
}
void main() {
  float fade = 1.0 - smoothstep(1.0, 5.5, distance(ground, center.xy));
  color = vec4(ink, strength * fade * max(0.35 * lines(1.0), 0.14 * lines(0.25)));
}`;

/** The floor, where the world's z is zero, a metre from line to line. */
export class Floor {
  private readonly uniforms = {
    clip_from_world: { value: new Matrix4() },
    center: { value: new Vector3() },
    ink: { value: new Vector3() },
    strength: { value: 1 },
  };
  private readonly mesh = new Mesh(
    new PlaneGeometry(2, 2),
    shader(FLOOR_VERTEX, FLOOR_FRAGMENT, this.uniforms, { blending: NormalBlending, side: 2 }),
  );

  constructor() {
    this.mesh.frustumCulled = false;
  }

  /** The grid fades away from `center`; its lines stand out from the background. */
  seen(view: View, center: ArrayLike<number>, background: readonly number[]): Mesh {
    this.uniforms.clip_from_world.value.copy(clipFromWorld(view));
    this.uniforms.center.value.set(center[0], center[1], 0);
    const isDark = 0.3 * background[0] + 0.59 * background[1] + 0.11 * background[2] < 0.5;
    this.uniforms.ink.value.setScalar(isDark ? 1 : 0);
    const height = new Vector3().setFromMatrixPosition(view.cameraFromWorld.clone().invert()).z;
    this.uniforms.strength.value = Math.min(1, Math.max(0, 4 * height));
    return this.mesh;
  }

  dispose(): void {
    disposeMesh(this.mesh);
  }
}

const BONE_VERTEX = /* glsl */ `
in vec3 position, head, tail;
in float radius;
uniform mat4 clip_from_world;
uniform vec2 size;
uniform float scale;
out vec2 pixel;
flat out vec4 ends;
flat out float thickness;
void main() {
  vec4 a = clip_from_world * vec4(head, 1), b = clip_from_world * vec4(tail, 1);
  ends = (0.5 + 0.5 * vec4(a.xy / a.w, b.xy / b.w)) * size.xyxy;
  thickness = radius * scale;
  vec2 along = ends.zw - ends.xy;
  along = dot(along, along) > 1e-6 ? normalize(along) : vec2(1, 0);
  pixel = (position.x < 0.0 ? ends.xy : ends.zw) + (thickness + 2.0) * (position.x * along + position.y * vec2(-along.y, along.x));
  bool is_behind = min(a.w, b.w) < 0.02;
  gl_Position = is_behind ? vec4(2, 2, 2, 1) : vec4(2.0 * pixel / size - 1.0, 0, 1);
}`;

const BONE_FRAGMENT = /* glsl */ `
in vec2 pixel;
flat in vec4 ends;
flat in float thickness;
out vec4 color;
void main() {
  vec2 along = ends.zw - ends.xy, from = pixel - ends.xy;
  float t = clamp(dot(from, along) / max(dot(along, along), 1e-6), 0.0, 1.0);
  float outside = distance(from, t * along) - thickness;
  float rim = smoothstep(-1.5, -0.5, outside);
  color = vec4(mix(vec3(1.0, 0.65, 0.15), vec3(0.1), rim), 0.9 * (1.0 - smoothstep(0.0, 1.0, outside)));
}`;

/** Joints as dots, bones as lines, over everything. */
export class SkeletonLayer {
  private readonly geometry = new InstancedBufferGeometry();
  private readonly uniforms = {
    clip_from_world: { value: new Matrix4() },
    size: { value: new Vector2() },
    scale: { value: 1 },
  };
  private readonly mesh: Mesh;

  constructor(private readonly parents: readonly number[]) {
    const count = parents.length;
    const radii = Float32Array.from({ length: 2 * count }, (_, k) => (k < count ? 1.6 : 3.6));
    this.geometry.setAttribute("position", new PlaneGeometry(2, 2).getAttribute("position"));
    this.geometry.setIndex(new PlaneGeometry(2, 2).getIndex());
    this.geometry.setAttribute("head", new InstancedBufferAttribute(new Float32Array(6 * count), 3));
    this.geometry.setAttribute("tail", new InstancedBufferAttribute(new Float32Array(6 * count), 3));
    this.geometry.setAttribute("radius", new InstancedBufferAttribute(radii, 1));
    this.geometry.instanceCount = 2 * count;
    const material = shader(BONE_VERTEX, BONE_FRAGMENT, this.uniforms, { side: 2 });
    this.mesh = new Mesh(this.geometry, material);
    this.mesh.frustumCulled = false;
  }

  pose(skeleton: Skeleton, rows: Float64Array): void {
    const places = this.parents.map((_, joint) => moved(rows, joint, skeleton.jointsRest, joint));
    const [heads, tails] = ["head", "tail"].map((name) => this.geometry.getAttribute(name) as InstancedBufferAttribute);
    this.parents.forEach((parent, joint) => {
      heads.set(places[Math.max(0, parent)], 3 * joint);
      tails.set(places[joint], 3 * joint);
      for (const ends of [heads, tails]) ends.set(places[joint], 3 * (this.parents.length + joint));
    });
    heads.needsUpdate = tails.needsUpdate = true;
  }

  /** `scale`: pixels of the picture to a pixel of the page. */
  seen(view: View, scale: number): Mesh {
    this.uniforms.clip_from_world.value.copy(clipFromWorld(view));
    this.uniforms.size.value.set(view.width, view.height);
    this.uniforms.scale.value = scale;
    return this.mesh;
  }

  dispose(): void {
    disposeMesh(this.mesh);
  }
}
