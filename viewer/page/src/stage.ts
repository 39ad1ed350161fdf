// The stage: a canvas with an avatar on it. It draws; what to draw is decided by the page around it.

import { Color, Group, LinearSRGBColorSpace, WebGLRenderer, WebGLRenderTarget } from "three";

import type { Pose, Scene } from "./data/scene";
import type { CaptureCamera } from "./data/source";
import { Floor } from "./draw/surroundings";
import { draw } from "./draw/table";
import { Navigation } from "./navigation";
import { Person, type Skinning } from "./person";
import { FrameStats, type StageStats } from "./stats";
import { captureView, depthRow, letterbox, userView, type View } from "./view";

export type Mode = "splats" | "mesh" | "normals" | "coverage";

export type { Skinning, StageStats };

/** What the user interface may ask of the stage. */
export interface StageApi {
  readonly canvas: HTMLCanvasElement;
  readonly scene: Scene | null;
  /** Takes the place of another scene, as when a running fit has a newer one; the camera stays unless `frame` is called. */
  setScene(scene: Scene): void;
  setPose(pose: Pose): void;
  /** Values in the order of `scene.shape`. */
  setShape(values: readonly number[]): void;
  setMode(mode: Mode): void;
  setSkinning(skinning: Skinning): void;
  setSkeletonVisible(isVisible: boolean): void;
  setFloorVisible(isVisible: boolean): void;
  /** sRGB, 0 to 1. */
  setBackground(color: readonly [number, number, number]): void;
  /** Of every vertex of the surface, 0 to 1. */
  setCoverage(values: Float32Array | null): void;
  /** Looks through a camera of the capture until `null` gives the view back to the user. */
  lookThrough(camera: CaptureCamera | null): void;
  /** Turns the user's camera so that the whole person is in view, from the front. */
  frame(): void;
  /** Draws one picture of any size after sorting by its exact depths: sRGB, rows from the top, RGBA. */
  picture(camera: CaptureCamera | null, width: number, height: number): Promise<ImageData>;
  /** Leaves the canvas as it is meanwhile: pictures are wanted, and it would cost as much as they do. */
  setPaused(isPaused: boolean): void;
  onStats(callback: (stats: StageStats) => void): void;
  /** What the user should know, such as that the GPU was lost; null once it is over. */
  onProblem(callback: (message: string | null) => void): void;
  /** Frees all of it. What arrives later is ignored, and there are no more pictures. */
  dispose(): void;
}

const MOST_PIXELS_RATIO = 2; // of the screen's pixels to those of the page: more cost much and show little
const LOST = "The graphics card was taken away; waiting for it to come back. If it does not, reload the page.";

/** A stage on `canvas`, which draws when there is something new. Throws an Error for the user where there is no WebGL 2. */
export function createStage(canvas: HTMLCanvasElement): StageApi {
  return new Stage(canvas);
}

class Stage implements StageApi {
  private readonly renderer: WebGLRenderer;
  private readonly navigation: Navigation;
  private readonly floor: Floor;
  private readonly resizes: ResizeObserver;
  private person: Person | null = null;
  private retired: Person | null = null; // kept until another is drawn, which then need not compile the same shaders
  private pose: Pose | null = null;
  private shape: readonly number[] = [];
  private coverage: Float32Array | null = null;
  private mode: Mode = "splats";
  private skinning: Skinning = "learned";
  private background: readonly [number, number, number] = [0, 0, 0];
  private isSkeletonVisible = false;
  private isFloorVisible = true;
  private captureCamera: CaptureCamera | null = null;
  private hasNewShape = false;
  private hasNewPose = false;
  private hasNewView = false;
  private needsOrder = false;
  private pendingFrame = 0;
  private isPaused = false;
  private isOver = false;
  private readonly stats = new FrameStats();
  private tellProblem: (message: string | null) => void = (message) => message && console.error(message);

  constructor(readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "high-performance" });
    if (!context) {
      throw new Error("This browser shows no WebGL 2: switch on hardware acceleration, or use another browser.");
    }
    this.renderer = new WebGLRenderer({ canvas, context });
    this.renderer.outputColorSpace = LinearSRGBColorSpace; // colours are sRGB already, and blended as such
    this.renderer.autoClear = false;
    this.renderer.sortObjects = false; // layers lie in the order in which they were added
    this.floor = new Floor();
    this.navigation = new Navigation(canvas, () => this.changeView());
    canvas.addEventListener("webglcontextlost", this.onLost);
    canvas.addEventListener("webglcontextrestored", this.onRestored);
    this.resizes = new ResizeObserver(() => this.changeView());
    this.resizes.observe(canvas);
    this.changeView();
  }

  get scene(): Scene | null {
    return this.person?.scene ?? null;
  }

  setScene(scene: Scene): void {
    if (this.isOver) return;
    const isFirst = this.person === null;
    this.retirePerson();
    const person = new Person(this.renderer, scene, (sortMs) => {
      this.stats.sortMs = sortMs;
      this.invalidate();
    });
    this.person = person;
    if (this.pose?.localQuats.length !== 4 * scene.parents.length) this.pose = person.restPose();
    if (scene.shape.length !== this.shape.length) this.shape = [];
    this.hasNewShape = this.hasNewPose = true;
    person.surface.setCoverage(this.coverage);
    if (isFirst) this.frame();
    this.changeView();
  }

  setPose(pose: Pose): void {
    this.pose = pose;
    this.hasNewPose = true;
    this.changeView();
  }

  setShape(values: readonly number[]): void {
    this.shape = values;
    this.hasNewShape = this.hasNewPose = true;
    this.changeView();
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    this.changeView();
  }

  setSkinning(skinning: Skinning): void {
    this.skinning = skinning;
    this.hasNewShape = true;
    this.changeView();
  }

  setSkeletonVisible(isVisible: boolean): void {
    this.isSkeletonVisible = isVisible;
    this.invalidate();
  }

  setFloorVisible(isVisible: boolean): void {
    this.isFloorVisible = isVisible;
    this.invalidate();
  }

  setBackground(color: readonly [number, number, number]): void {
    this.background = color;
    this.invalidate();
  }

  setCoverage(values: Float32Array | null): void {
    this.coverage = values;
    this.person?.surface.setCoverage(values);
    this.invalidate();
  }

  lookThrough(camera: CaptureCamera | null): void {
    this.captureCamera = camera;
    this.navigation.isEnabled = camera === null;
    this.changeView();
  }

  frame(): void {
    if (!this.person) return;
    this.poseNow();
    const { clientWidth, clientHeight } = this.canvas;
    this.navigation.frame(this.person.outline(), this.person.facing, clientWidth / Math.max(1, clientHeight));
  }

  picture(camera: CaptureCamera | null, width: number, height: number): Promise<ImageData> {
    return new Promise((resolve) => resolve(this.pictureNow(camera, width, height)));
  }

  setPaused(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.changeView();
  }

  onStats(callback: (stats: StageStats) => void): void {
    this.stats.tell = callback;
  }

  onProblem(callback: (message: string | null) => void): void {
    this.tellProblem = callback;
  }

  dispose(): void {
    this.isOver = true;
    cancelAnimationFrame(this.pendingFrame);
    this.canvas.removeEventListener("webglcontextlost", this.onLost);
    this.canvas.removeEventListener("webglcontextrestored", this.onRestored);
    this.resizes.disconnect();
    this.navigation.dispose();
    this.retirePerson();
    this.disposeRetired();
    this.floor.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss(); // browsers give a page only a few
  }

  private retirePerson(): void {
    if (this.retired) this.person?.dispose(); // it was never drawn: pages in the background draw nothing
    else this.retired = this.person;
    this.person = null;
  }

  private disposeRetired(): void {
    this.retired?.dispose();
    this.retired = null;
  }

  /** Something moved: what is in the picture has to be worked out again. */
  private changeView(): void {
    this.hasNewView = true;
    this.invalidate();
  }

  private invalidate(): void {
    if (!this.isOver && !this.isPaused) this.pendingFrame ||= requestAnimationFrame(this.drawFrame);
  }

  private poseNow(): void {
    if (!this.person || !this.pose) return;
    if (this.hasNewShape) this.person.setShape(this.shape, this.skinning);
    if (this.hasNewPose) this.person.setPose(this.pose);
    this.hasNewShape = this.hasNewPose = false;
  }

  private readonly drawFrame = (): void => {
    this.pendingFrame = 0;
    if (this.isPaused || this.renderer.getContext().isContextLost()) return;
    const start = performance.now();
    this.navigation.update();
    this.fitCanvas();
    this.poseNow();
    const { width, height } = this.canvas;
    const box = this.captureCamera ? letterbox(this.captureCamera, width, height) : { x: 0, y: 0, width, height };
    if (box.width > 0 && box.height > 0) this.drawView(this.viewOf(this.captureCamera, box.width, box.height), box);
    this.disposeRetired();
    this.stats.count(performance.now() - start);
  };

  private drawView(view: View, box: { x: number; y: number }): void {
    const { person } = this;
    if (person && this.mode === "splats") {
      if (this.hasNewView) {
        person.splats.project(view);
        this.needsOrder = true;
      }
      this.hasNewView = false;
      if (this.needsOrder && person.sort(depthRow(view))) this.needsOrder = false;
      person.splats.blend(view);
    }
    this.renderer.setRenderTarget(null);
    this.renderer.setViewport(box.x, box.y, view.width, view.height);
    this.drawLayers(view, [box.x, box.y], this.pixelRatio);
  }

  private drawLayers(view: View, corner: [number, number], scale: number): void {
    const [red, green, blue] = this.background;
    this.renderer.setClearColor(new Color(red, green, blue), 1);
    this.renderer.clear();
    const { person, mode } = this;
    const layers = new Group();
    if (this.isFloorVisible) layers.add(this.floor.seen(view, person?.rootPlace ?? [0, 0, 0], this.background));
    if (person) layers.add(mode === "splats" ? person.splats.seen(corner) : person.surface.seen(view, mode));
    if (person && this.isSkeletonVisible) layers.add(person.skeleton.seen(view, scale));
    draw(this.renderer, layers);
  }

  private pictureNow(camera: CaptureCamera | null, width: number, height: number): ImageData {
    const { person } = this;
    if (this.isOver) throw new Error("The run was closed.");
    const most = this.renderer.capabilities.maxTextureSize;
    if (Math.max(width, height) > most) throw new Error(`A picture can have ${most} pixels a side here, not more.`);
    if (this.renderer.getContext().isContextLost()) throw new Error(LOST);
    this.poseNow();
    const view = this.viewOf(camera, width, height);
    if (person && this.mode === "splats") {
      person.splats.project(view);
      person.whileSorted(depthRow(view), () => person.splats.blend(view));
    }
    const target = new WebGLRenderTarget(width, height, { samples: this.mode === "splats" ? 0 : 4 });
    this.renderer.setRenderTarget(target);
    this.drawLayers(view, [0, 0], Math.max(1, width / Math.max(1, this.canvas.clientWidth)));
    const rows = new Uint8Array(4 * width * height);
    this.renderer.readRenderTargetPixels(target, 0, 0, width, height, rows);
    target.dispose();
    this.changeView(); // the view on the canvas has to be worked out again
    return new ImageData(upsideDown(rows, 4 * width), width, height);
  }

  private viewOf(camera: CaptureCamera | null, width: number, height: number): View {
    if (camera) return captureView(camera, width, height);
    return userView(this.navigation.camera, width, height);
  }

  private get pixelRatio(): number {
    return Math.min(MOST_PIXELS_RATIO, window.devicePixelRatio || 1);
  }

  private fitCanvas(): void {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((size) =>
      Math.max(1, Math.round(size * this.pixelRatio)),
    );
    if (width !== this.canvas.width || height !== this.canvas.height) this.renderer.setSize(width, height, false);
  }

  private readonly onLost = (event: Event): void => {
    event.preventDefault();
    this.tellProblem(LOST);
  };

  private readonly onRestored = (): void => {
    this.tellProblem(null);
    const { scene } = this;
    if (scene) this.setScene(scene);
    this.changeView();
  };
}

/** OpenGL's rows begin at the bottom. */
function upsideDown(rows: Uint8Array, stride: number): Uint8ClampedArray<ArrayBuffer> {
  const flipped = new Uint8ClampedArray(rows.length);
  for (let start = 0; start < rows.length; start += stride) {
    flipped.set(rows.subarray(start, start + stride), rows.length - stride - start);
  }
  return flipped;
}
