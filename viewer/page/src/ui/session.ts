// One run that is open: what is shown of it and how. Panels read it, change it, and hear of each other's changes.

import type { Motion, Pose, Scene } from "../data/scene";
import type { CaptureCamera, CaptureInfo, LiveMessage, Metrics, MotionInfo, RunInfo, Source } from "../data/source";
import { product } from "../pose/kinematics";
import type { Mode, Skinning, StageApi } from "../stage";
import { Player, poseOfRow } from "./player";
import { fromAngles, quatAt, type Angles } from "./rotations";

export type Change =
  | "time"
  | "playing"
  | "recording"
  | "motion"
  | "motions"
  | "look"
  | "angles"
  | "shape"
  | "scene"
  | "events"
  | "fitting";
export type Color = readonly [number, number, number];
export type Event = Readonly<Record<string, number | string>>;

export interface Look {
  readonly mode: Mode;
  readonly skinning: Skinning;
  readonly hasSkeleton: boolean;
  readonly hasFloor: boolean;
  readonly background: Color;
}

/** All that is known of a run when it opens. */
export interface Opened {
  readonly run: RunInfo;
  readonly scene: Scene;
  readonly motions: readonly MotionInfo[];
  readonly capture: CaptureInfo | null;
  readonly metrics: readonly Metrics[];
  readonly events: readonly Event[];
  /** What is not shown because the source failed to give it. */
  readonly problems: readonly string[];
}

const SILENCE_MS = 40_000;
export const FIRST_LOOK: Look = {
  mode: "splats",
  skinning: "learned",
  hasSkeleton: false,
  hasFloor: true,
  background: [0, 0, 0],
};

export class Session {
  readonly player = new Player();
  readonly capture: CaptureInfo | null;
  readonly metrics: readonly Metrics[];
  readonly events: Event[];
  readonly problems: readonly string[];
  /** Degrees about three axes, by joint, on top of the motion. */
  readonly angles = new Map<number, Angles>();
  run: RunInfo;
  scene: Scene;
  motions: MotionInfo[];
  motionId: string | null = null;
  shape: number[];
  look: Look = FIRST_LOOK;
  /** The camera of the capture that is looked through. */
  camera: CaptureCamera | null = null;
  /** A pose that is shown whatever plays: of the captured frame that is compared. */
  private held: Pose | null = null;
  private readonly loaded = new Map<string, Promise<Motion>>();
  private readonly listeners = new Map<Change, (() => void)[]>();
  private silence = 0;
  private coverage: Promise<Float32Array | null> | null = null;
  private wantedMotion: string | null = null;
  private hearing: Promise<void> = Promise.resolve();

  constructor(
    readonly stage: StageApi,
    readonly source: Source,
    opened: Opened,
    /** Shows a line to the user. */
    readonly say: (line: string, isError?: boolean) => void,
  ) {
    this.run = opened.run;
    this.scene = opened.scene;
    this.motions = [...opened.motions];
    this.capture = opened.capture;
    this.metrics = opened.metrics;
    this.events = [...opened.events];
    this.shape = opened.scene.shape.map(({ value }) => value);
    this.problems = opened.problems;
  }

  /** Draws the avatar, once the stage has its place on the page. */
  show(): void {
    this.stage.setScene(this.scene);
    this.showPose();
    this.stage.frame();
  }

  on(change: Change, listener: () => void): void {
    this.listeners.set(change, [...(this.listeners.get(change) ?? []), listener]);
  }

  tell(change: Change): void {
    for (const listener of this.listeners.get(change) ?? []) listener();
  }

  /** Runs what may fail, and shows why it did. */
  async attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  motion(id: string): Promise<Motion> {
    const found = this.loaded.get(id) ?? this.source.motion(this.run.name, id);
    this.loaded.set(id, found);
    found.catch(() => this.loaded.delete(id));
    return found;
  }

  /** Loads and starts it, unless another one was chosen meanwhile. */
  async chooseMotion(id: string): Promise<void> {
    this.wantedMotion = id;
    const motion = await this.motion(id);
    if (this.wantedMotion !== id) return;
    this.player.start(motion);
    this.motionId = id;
    this.tell("motion");
    this.showPose();
  }

  /** A file of the user, as one more motion, which plays at once. */
  async addMotion(file: File): Promise<void> {
    const motion = await this.source.retarget(this.run.name, file);
    const id = `dropped:${this.motions.length}:${file.name}`;
    this.loaded.set(id, Promise.resolve(motion));
    const { timesS, frameRateHz } = motion;
    this.motions.push({ id, name: motion.name || file.name, numFrames: timesS.length, frameRateHz });
    this.tell("motions");
    await this.chooseMotion(id);
    this.setPlaying(true);
  }

  setPlaying(isPlaying: boolean): void {
    this.player.isPlaying = isPlaying && this.player.durationS > 0;
    if (isPlaying && this.player.repeat === "once" && this.player.timeS >= this.player.durationS) this.player.seek(0);
    this.tell("playing");
  }

  seek(timeS: number): void {
    this.player.seek(timeS);
    this.showPose();
  }

  step(rows: number): void {
    if (this.player.isPlaying) this.setPlaying(false);
    this.player.seekRow(this.player.row + rows);
    this.showPose();
  }

  /** Time has passed. */
  advance(seconds: number): void {
    if (!this.player.isPlaying || this.held) return;
    this.player.advance(seconds);
    this.showPose();
    if (!this.player.isPlaying) this.tell("playing");
  }

  setLook(changes: Partial<Look>): void {
    this.look = { ...this.look, ...changes };
    const { stage, look } = this;
    if (look.mode === "coverage") void this.attempt(() => this.needCoverage());
    stage.setMode(look.mode);
    stage.setSkinning(look.skinning);
    stage.setSkeletonVisible(look.hasSkeleton);
    stage.setFloorVisible(look.hasFloor);
    stage.setBackground(look.background);
    this.tell("look");
  }

  /** Pictures of the person alone. */
  async withoutOverlays<T>(action: () => Promise<T>): Promise<T> {
    this.stage.setSkeletonVisible(false);
    this.stage.setFloorVisible(false);
    try {
      return await action();
    } finally {
      this.stage.setSkeletonVisible(this.look.hasSkeleton);
      this.stage.setFloorVisible(this.look.hasFloor);
    }
  }

  private async needCoverage(): Promise<void> {
    this.coverage ??= this.source.coverage(this.run.name);
    const values = await this.coverage.catch((error: unknown) => {
      this.coverage = null; // another try may go better
      throw error;
    });
    this.stage.setCoverage(values);
    if (!values) this.say("This run has no capture beside it, so it is not known which cameras see what", true);
  }

  setAngles(joint: number, angles: Angles): void {
    if (angles.every((angle) => angle === 0)) this.angles.delete(joint);
    else this.angles.set(joint, angles);
    this.showPose();
    this.tell("angles");
  }

  resetAngles(): void {
    this.angles.clear();
    this.showPose();
    this.tell("angles");
  }

  setShape(values: readonly number[]): void {
    this.shape = [...values];
    this.stage.setShape(values);
    this.tell("shape");
  }

  /** The pose of a captured frame as the fit knows it, or null where no motion of the run has the frame. */
  async capturedPose(frame: number): Promise<Pose | null> {
    for (const { id } of this.motions.filter(({ id }) => !id.startsWith("dropped:"))) {
      const motion = await this.motion(id);
      const row = motion.isOwn ? motion.frameIds.indexOf(frame) : -1;
      if (row >= 0) return poseOfRow(motion, row);
    }
    return null;
  }

  lookThrough(camera: CaptureCamera | null): void {
    this.camera = camera;
    this.stage.lookThrough(camera);
  }

  hold(pose: Pose | null): void {
    this.held = pose;
    this.showPose();
  }

  showPose(): void {
    const pose = this.held ?? this.turned(this.player.pose());
    if (pose) this.stage.setPose(pose);
    this.tell("time");
  }

  private turned(pose: Pose | null): Pose | null {
    if (!pose || this.angles.size === 0) return pose;
    const localQuats = pose.localQuats.slice();
    for (const [joint, angles] of this.angles) {
      localQuats.set(product(quatAt(localQuats, joint), fromAngles(angles)), 4 * joint);
    }
    return { ...pose, localQuats, coefficients: null };
  }

  /** Hears of a running fit until the returned function is called. */
  follow(): () => void {
    this.setFitting(this.run.isFitting);
    const unfollow = this.source.follow(this.run.name, (message) => {
      this.hearing = this.hearing.then(() => this.attempt(() => this.heard(message))); // one after the other
    });
    return () => {
      unfollow();
      clearTimeout(this.silence);
    };
  }

  private async heard(message: LiveMessage): Promise<void> {
    if (message.kind === "events") {
      this.events.push(...message.events);
      this.setFitting(true);
      this.tell("events");
    }
    if (message.kind !== "checkpoint" || message.step === this.run.step) return;
    const scene = await this.source.scene(this.run.name);
    this.loaded.forEach((_, id) => id.startsWith("dropped:") || this.loaded.delete(id));
    this.run = { ...this.run, step: message.step, numGaussians: scene.splats.count };
    this.scene = scene;
    this.stage.setScene(scene);
    this.stage.setShape(this.shape);
    await this.refreshMotion();
    this.tell("scene");
    this.say(`Shows the checkpoint of step ${message.step.toLocaleString("en")}`);
  }

  /** A fit of which nothing was heard for a while has ended. */
  setFitting(isFitting: boolean): void {
    clearTimeout(this.silence);
    if (isFitting) this.silence = window.setTimeout(() => this.setFitting(false), SILENCE_MS);
    if (isFitting === this.run.isFitting) return;
    this.run = { ...this.run, isFitting };
    this.tell("fitting");
  }

  private async refreshMotion(): Promise<void> {
    const id = this.motionId;
    const motion = id && (await this.motion(id));
    if (motion && id === this.motionId) this.player.motion = motion;
    this.showPose();
  }
}
