// A scene on the GPU: its layers, and the pose and shape that they show.

import type { WebGLRenderer } from "three";

import { type LightUniforms, lightUniforms } from "./draw/light";
import { placePoints, poseLayout } from "./draw/points";
import { SplatLayer } from "./draw/splats";
import { SurfaceLayer } from "./draw/surface";
import { SkeletonLayer } from "./draw/surroundings";
import { floatTable } from "./draw/table";
import type { Pose, Scene } from "./data/scene";
import { coefficientsOf, timesMatrix } from "./pose/correctives";
import { nodeMotions } from "./pose/graph";
import { jointRows, moved } from "./pose/kinematics";
import type { SortPoints } from "./sort/posed_depths";
import { type Order, Sorter } from "./sort/sorter";
import { restMeans, type Shaped, shapedTo } from "./pose/shape";

export type Skinning = "learned" | "lbs" | "dqs";

const FRACTIONS = { learned: null, lbs: 0, dqs: 1 } as const;
const SAMPLE = 7; // every so many vertices tell how large a person is

/** Everything that belongs to one scene; `dispose` frees it. */
export class Person {
  readonly splats: SplatLayer;
  readonly surface: SurfaceLayer;
  readonly skeleton: SkeletonLayer;
  private readonly light: LightUniforms;
  private readonly sorter: Sorter;
  private order: Order | null = null;
  private readonly poseTable;
  private readonly field: Float64Array;
  private shaped: Shaped;
  private rows: Float64Array = new Float64Array(0);
  private root = [0, 0, 0];

  constructor(
    renderer: WebGLRenderer,
    readonly scene: Scene,
    onOrder: (sortMs: number) => void,
  ) {
    const layout = poseLayout(scene);
    this.field = new Float64Array(6 * layout.controls);
    this.poseTable = floatTable(layout.texels);
    this.light = lightUniforms(scene);
    const uniforms = { ...this.light.uniforms, pose: { value: this.poseTable.texture } };
    this.splats = new SplatLayer(renderer, scene, uniforms);
    this.surface = new SurfaceLayer(scene, uniforms);
    this.skeleton = new SkeletonLayer(scene.parents);
    this.shaped = shapedTo(scene, []);
    this.sorter = new Sorter(sortPoints(scene), this.splats.tables.rest.values, this.poseTable.values, (order, sortMs) => {
      this.order = order;
      this.splats.setOrder(order);
      onOrder(sortMs);
    });
  }

  /** Works the order out along `row` of `camera_from_world`: at once the first time, later by the worker. False if that is busy. */
  sort(row: readonly number[]): boolean {
    if (this.sorter.isBusy) return false;
    if (this.order) {
      this.sorter.start(row);
    } else {
      this.order = this.sorter.sortNow(row);
      this.splats.setOrder(this.order);
    }
    return true;
  }

  /** Calls `draw` while the order is that along `row`, exactly. */
  whileSorted(row: readonly number[], draw: () => void): void {
    this.splats.setOrder(this.sorter.sortNow(row));
    draw();
    if (this.order) this.splats.setOrder(this.order);
  }

  /** The pose before anybody sets one. */
  restPose(): Pose {
    const localQuats = Float32Array.from({ length: 4 * this.scene.parents.length }, (_, k) => (k % 4 === 0 ? 1 : 0));
    return { localQuats, rootPosition: this.scene.jointsRest.slice(0, 3), coefficients: null };
  }

  /** Writes where all points are at rest, and how they are skinned; `setPose` has to follow. */
  setShape(values: readonly number[], skinning: Skinning): void {
    this.shaped = shapedTo(this.scene, values);
    for (const [layer, points] of [[this.splats, this.scene.splats], [this.surface, this.scene.surface]] as const) {
      placePoints(layer.tables, points, restMeans(points, this.shaped.vertices), FRACTIONS[skinning]);
    }
    this.sorter.changeRest();
  }

  /** All that a pose means to the GPU: matrices of the joints, what the control points add, what the nodes do. */
  setPose(pose: Pose): void {
    const { scene, shaped } = this;
    const skeleton = { parents: scene.parents, jointsRest: shaped.jointsRest };
    const [x, y, z] = pose.rootPosition;
    this.root = [x, y, z + shaped.rise];
    this.rows = jointRows(skeleton, pose.localQuats, this.root);
    const { texture, values } = this.poseTable;
    values.set(this.rows);
    const coefficients = pose.coefficients ?? coefficientsOf(scene, pose.localQuats);
    if (coefficients) {
      const { controlStart, nodeStart } = poseLayout(scene);
      this.putControls(coefficients, values.subarray(4 * controlStart));
      const motions = nodeMotions(scene, coefficients);
      if (motions) putNodes(motions, values.subarray(4 * nodeStart));
    }
    texture.needsUpdate = true;
    this.light.stand(this.root);
    this.skeleton.pose(skeleton, this.rows);
  }

  /** Where the root stands, metres. */
  get rootPlace(): readonly number[] {
    return this.root;
  }

  /** Where the person looks, horizontally: bodies at rest face -Y. */
  get facing(): [number, number] {
    const [x, y] = [-this.rows[1], -this.rows[5]];
    const length = Math.hypot(x, y);
    return length > 0.1 ? [x / length, y / length] : [0, -1];
  }

  /** Some points of the person in the world, to know how large a picture they need: moved by their strongest joints. */
  *outline(): Generator<number[]> {
    const { count, jointIds, jointsPerPoint } = this.scene.surface;
    const { values } = this.surface.tables.rest;
    for (let point = 0; point < count; point += SAMPLE) {
      yield moved(this.rows, jointIds[jointsPerPoint * point], values.subarray(4 * point), 0);
    }
  }

  dispose(): void {
    this.sorter.dispose();
    for (const layer of [this.splats, this.surface, this.skeleton, this.poseTable.texture]) layer.dispose();
    this.light.uniforms.light_net?.value.dispose();
  }

  private putControls(coefficients: ArrayLike<number>, to: Float32Array): void {
    const modes = this.scene.tensors.get("correctives.modes")!.values;
    const field = timesMatrix(coefficients, modes, this.field.length, this.field);
    for (let from = 0, place = 0; from < field.length; from += 6, place += 8) {
      for (let k = 0; k < 3; k++) {
        to[place + k] = field[from + k];
        to[place + 4 + k] = field[from + 3 + k];
      }
    }
  }
}

/** What the worker needs of the points, and no more: all of it is copied. */
function sortPoints(scene: Scene): SortPoints {
  const { count, jointIds, jointWeights, jointsPerPoint, controlIds, controlWeights } = scene.splats;
  const { nodeIds, nodeWeights, nodesPerPoint } = scene.splats;
  const { controlStart, nodeStart } = poseLayout(scene);
  return {
    ...{ count, jointIds, jointWeights, jointsPerPoint, controlIds, controlWeights, controlStart },
    ...{ nodeIds, nodeWeights, nodesPerPoint, nodeStart },
  };
}

/** Three rows of a 3 x 4 matrix each. */
function putNodes(motions: Float64Array, to: Float32Array): void {
  for (let node = 0; node < motions.length; node += 12) {
    for (let r = 0; r < 3; r++) {
      for (let c = 0; c < 3; c++) to[node + 4 * r + c] = motions[node + 3 * r + c];
      to[node + 4 * r + 3] = motions[node + 9 + r];
    }
  }
}
