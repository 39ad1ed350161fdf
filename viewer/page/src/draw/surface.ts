// The clothed mesh, carried by the same equations as the Gaussians.

import { BufferAttribute, BufferGeometry, DoubleSide, type IUniform, Matrix4, Mesh, Vector3 } from "three";

import type { Scene } from "../data/scene";
import { clipFromWorld, type View } from "../view";
import { type PointTables, packPoints, pointsGlsl } from "./points";
import { disposeMesh } from "./splats";
import { shader } from "./table";

const SURFACES = ["mesh", "normals", "coverage"] as const;
export type SurfaceMode = (typeof SURFACES)[number];

const VERTEX_GLSL = (scene: Scene) => /* glsl */ `
${pointsGlsl(scene, scene.surface)}
in float coverage;
uniform mat4 clip_from_world;
uniform vec3 camera_place;
out vec3 normal_world, ray, paint;
out float seen;
void main() {
  Posed posed = pose_point(gl_VertexID);
  normal_world = posed.linear * fixed_floats(gl_VertexID, 2).xyz, ray = posed.place - camera_place, seen = coverage;
  paint = color_of(gl_VertexID, posed, normalize(ray));
  gl_Position = clip_from_world * vec4(posed.place, 1);
}`;

// Normals as colours: red to the right, green up, blue towards the camera, as in `avatar.render.normal_map`.
const FRAGMENT_GLSL = /* glsl */ `
in vec3 normal_world, ray, paint;
in float seen;
uniform int mode;
uniform mat4 camera_from_world;
uniform bool has_coverage;
out vec4 color;
// Dark blue, green, yellow: told apart by lightness alone too.
vec3 ramp(float t) {
  vec3 low = mix(vec3(0.23, 0.12, 0.36), vec3(0.13, 0.55, 0.55), min(1.0, 2.0 * t));
  return mix(low, vec3(0.98, 0.90, 0.20), max(0.0, 2.0 * t - 1.0));
}
void main() {
  vec3 n = normalize(normal_world);
  float facing = abs(dot(n, normalize(ray)));
  vec3 shown = mode == 0 ? paint * (0.6 + 0.4 * facing)
    : mode == 1 ? 0.5 + 0.5 * vec3(1, -1, -1) * (mat3(camera_from_world) * n)
    : (has_coverage ? ramp(clamp(seen, 0.0, 1.0)) : vec3(0.6)) * (0.45 + 0.55 * facing);
  color = vec4(shown, 1);
}`;

/** The mesh of a scene. */
export class SurfaceLayer {
  readonly tables: PointTables;
  private readonly mesh: Mesh<BufferGeometry>;
  private readonly uniforms = {
    clip_from_world: { value: new Matrix4() },
    camera_from_world: { value: new Matrix4() },
    camera_place: { value: new Vector3() },
    mode: { value: 0 },
    has_coverage: { value: false },
  };

  constructor(scene: Scene, uniforms: Record<string, IUniform>) {
    this.tables = packPoints({ ...scene.surface, scales: vertexNormals(scene.surface) });
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(scene.surface.means, 3));
    geometry.setAttribute("coverage", new BufferAttribute(new Float32Array(scene.surface.count), 1));
    geometry.setIndex(new BufferAttribute(new Uint32Array(scene.surface.faces), 1));
    const all = {
      ...uniforms,
      ...this.uniforms,
      fixed_points: { value: this.tables.fixed },
      rest_points: { value: this.tables.rest.texture },
    };
    const depth = { depthTest: true, depthWrite: true, side: DoubleSide };
    this.mesh = new Mesh(geometry, shader(VERTEX_GLSL(scene), FRAGMENT_GLSL, all, depth));
    this.mesh.frustumCulled = false;
  }

  /** Of every vertex, 0 to 1. */
  setCoverage(values: Float32Array | null): void {
    const attribute = this.mesh.geometry.getAttribute("coverage") as BufferAttribute;
    this.uniforms.has_coverage.value = values !== null && values.length === attribute.count;
    if (!this.uniforms.has_coverage.value) return;
    attribute.copyArray(values!);
    attribute.needsUpdate = true;
  }

  seen(view: View, mode: SurfaceMode): Mesh {
    this.uniforms.clip_from_world.value.copy(clipFromWorld(view));
    this.uniforms.camera_from_world.value.copy(view.cameraFromWorld);
    this.uniforms.camera_place.value.setFromMatrixPosition(view.cameraFromWorld.clone().invert());
    this.uniforms.mode.value = SURFACES.indexOf(mode);
    return this.mesh;
  }

  dispose(): void {
    disposeMesh(this.mesh);
    this.tables.fixed.dispose();
    this.tables.rest.texture.dispose();
  }
}

/** Means of the normals of the triangles around each vertex, weighted by area; those of the clothes, not of the body. */
function vertexNormals({ means, faces }: Scene["surface"]): Float32Array {
  const normals = new Float32Array(means.length);
  const edge = (from: number, to: number) => [0, 1, 2].map((k) => means[3 * to + k] - means[3 * from + k]);
  for (let face = 0; face < faces.length; face += 3) {
    const [a, b] = [edge(faces[face], faces[face + 1]), edge(faces[face], faces[face + 2])];
    for (let corner = face; corner < face + 3; corner++) {
      for (let k = 0; k < 3; k++) {
        const [i, j] = [(k + 1) % 3, (k + 2) % 3];
        normals[3 * faces[corner] + k] += a[i] * b[j] - a[j] * b[i];
      }
    }
  }
  for (let k = 0; k < normals.length; k += 3) {
    const length = Math.hypot(normals[k], normals[k + 1], normals[k + 2]) || 1;
    for (let axis = k; axis < k + 3; axis++) normals[axis] /= length;
  }
  return normals;
}
