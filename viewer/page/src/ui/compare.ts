// The avatar against the pictures it was fitted to, through their cameras.

import type { CaptureCamera, CaptureInfo } from "../data/source";
import { el } from "./dom";
import { compared, errorColor, errorPicture, WORST_ERROR, type Comparison } from "./errors";
import type { Session } from "./session";

/** Not at all, live through the camera, or one of three ways to see both pictures. */
export type How = "off" | "live" | "wipe" | "side" | "error";

interface Pair extends Comparison {
  readonly ours: ImageData;
  readonly truth: ImageData;
  readonly box: Box;
  readonly facts: string;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export class Compare {
  how: How = "off";
  split: string;
  cameraId: number;
  frame: number;
  isCropped = true;
  readonly element = el("div", { class: "compare", hidden: true, role: "group", "aria-label": "Comparison" });
  /** Which camera is looked through live. */
  readonly chip = el("p", { class: "chip", hidden: true });
  private wipe = 50;
  private pair: Pair | null = null;
  private isDrawing = false;
  private isStale = false;
  private readonly listeners: (() => void)[] = [];

  constructor(
    private readonly session: Session,
    readonly capture: CaptureInfo,
  ) {
    const splits = Object.keys(capture.splits);
    this.split = splits.find((name) => name === session.run.split) ?? splits[0];
    this.cameraId = this.cameraIds[0];
    this.frame = this.frameIds[0];
    session.on("time", () => this.followPlayer());
    session.on("playing", () => session.player.isPlaying && this.isOfPictures && this.setHow("live"));
    session.on("recording", () => this.isOfPictures && this.setHow("live"));
    session.on("look", () => this.refresh());
    session.on("scene", () => this.refresh());
    session.on("shape", () => this.refresh());
  }

  get cameraIds(): readonly number[] {
    return this.capture.splits[this.split].cameraIds;
  }

  get frameIds(): readonly number[] {
    return this.capture.splits[this.split].frameIds;
  }

  get camera(): CaptureCamera {
    return this.capture.cameras[this.cameraId];
  }

  get isOfPictures(): boolean {
    return this.how === "wipe" || this.how === "side" || this.how === "error";
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  setHow(how: How): void {
    this.how = how;
    this.frame = this.playedFrame ?? this.frame;
    this.element.hidden = !this.isOfPictures;
    this.chip.hidden = how !== "live";
    this.chip.textContent = `Through ${this.camera.name}`;
    if (this.isOfPictures && this.session.player.isPlaying) this.session.setPlaying(false);
    if (!this.isOfPictures) this.session.hold(null);
    this.session.lookThrough(how === "off" ? null : this.camera);
    this.draw();
    if (this.isOfPictures) this.setFrame(this.frame);
    else this.tell();
  }

  /** A camera by its name, in a split that has it and, if there is one, the frame too. */
  choose(name: string | null, frame: number | null): void {
    const { cameras, splits } = this.capture;
    const id = cameras.findIndex((camera) => camera.name === name);
    const hasFrame = (split: string): boolean => frame !== null && splits[split].frameIds.includes(frame);
    const known = [this.split, ...Object.keys(splits)].filter((split) => splits[split].cameraIds.includes(id));
    const split = known.find(hasFrame) ?? known[0];
    if (!split) return;
    [this.split, this.cameraId] = [split, id];
    this.frame = frame !== null && hasFrame(split) ? frame : this.frameIds[0];
  }

  setSplit(split: string): void {
    this.split = split;
    if (!this.cameraIds.includes(this.cameraId)) this.cameraId = this.cameraIds[0];
    if (!this.frameIds.includes(this.frame)) this.frame = this.frameIds[0];
    this.setHow(this.how);
  }

  setCamera(cameraId: number): void {
    this.cameraId = cameraId;
    this.setHow(this.how === "off" ? "live" : this.how);
  }

  /** The one so many places on in the split, around its end. */
  stepCamera(by: number): void {
    const at = this.cameraIds.indexOf(this.cameraId) + by + this.cameraIds.length;
    this.setCamera(this.cameraIds[at % this.cameraIds.length]);
  }

  setFrame(frame: number): void {
    this.frame = frame;
    const { player } = this.session;
    const row = player.motion?.isOwn ? player.motion.frameIds.indexOf(frame) : -1;
    if (row >= 0 && row !== player.row) {
      player.seekRow(row);
      this.session.showPose();
    }
    this.refresh();
    this.tell();
  }

  setCropped(isCropped: boolean): void {
    this.isCropped = isCropped;
    this.refresh();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  /** The bar below the stage moves through the captured frames, too. */
  private followPlayer(): void {
    const frame = this.playedFrame;
    if (this.isOfPictures && frame !== null && frame !== this.frame) this.setFrame(frame);
  }

  /** Where the player is, if that is a frame of the split. */
  private get playedFrame(): number | null {
    const { motion, row } = this.session.player;
    const frame = motion?.isOwn ? motion.frameIds[row] : null;
    return frame !== null && this.frameIds.includes(frame) ? frame : null;
  }

  /** Draws both pictures anew; what is asked for meanwhile comes after, once. */
  private refresh(): void {
    if (!this.isOfPictures) return;
    this.isStale = true;
    if (!this.isDrawing) void this.refreshed();
  }

  private async refreshed(): Promise<void> {
    this.isDrawing = true;
    this.element.setAttribute("aria-busy", "true");
    while (this.isStale && this.isOfPictures) {
      this.isStale = false;
      try {
        this.pair = await this.taken();
        this.draw();
      } catch (error) {
        this.pair = null;
        this.element.replaceChildren(el("p", { class: "message" }, (error as Error).message));
      }
    }
    this.isDrawing = false;
    this.element.removeAttribute("aria-busy");
  }

  private async taken(): Promise<Pair> {
    const { session, camera, frame, capture } = this;
    const pose = await session.capturedPose(frame);
    if (!pose) throw new Error(`This run has no pose of frame ${frame} of ${capture.name}`);
    const bitmap = await session.source.picture(session.run.name, camera.name, frame);
    const { truth, mask } = onBackground(bitmap, session.look.background);
    if (!this.isOfPictures) throw new Error("The comparison was closed");
    session.hold(pose);
    const ours = await session.withoutOverlays(() => session.stage.picture(camera, truth.width, truth.height));
    const whole = { x: 0, y: 0, width: truth.width, height: truth.height };
    const found = compared(ours, truth, mask);
    const person = found.mask === null ? "no person in view" : `person ${found.mask.toFixed(2)} dB`;
    const facts = `PSNR ${person} · whole ${found.whole.toFixed(2)} dB · ${camera.name} · frame ${frame}`;
    return { ours, truth, box: this.isCropped ? around(mask, whole) : whole, facts, ...found };
  }

  private draw(): void {
    if (!this.isOfPictures) return;
    if (!this.pair) {
      this.element.replaceChildren(el("p", { class: "message" }, "Draws…"));
      return;
    }
    const { ours, truth, box, errors, facts } = this.pair;
    const pictures = {
      wipe: () => [this.wiped(cut(ours, box), cut(truth, box))],
      side: () => [captioned("Avatar", cut(ours, box)), captioned("Capture", cut(truth, box))],
      error: () => [captioned("Error", cut(errorPicture(errors, ours.width, ours.height), box)), colorBar()],
    }[this.how as "wipe" | "side" | "error"]();
    const frame = el("div", { class: `pictures ${this.how}` }, ...pictures);
    frame.style.setProperty("--ratio", String(box.width / box.height));
    this.element.replaceChildren(el("div", { class: "room" }, frame), el("p", { class: "facts" }, facts));
  }

  private wiped(ours: HTMLCanvasElement, truth: HTMLCanvasElement): HTMLElement {
    const stack = el("div", { class: "stack" }, ours, truth);
    const show = (): void => stack.style.setProperty("--wipe", `${this.wipe}%`);
    const handle = el("input", { type: "range", class: "wipe", min: 0, max: 100, step: 0.5, value: this.wipe });
    handle.setAttribute("aria-label", "Where the avatar ends and the capture begins");
    handle.addEventListener("input", () => {
      this.wipe = Number(handle.value);
      show();
    });
    stack.append(el("span", { class: "chip left" }, "Avatar"), el("span", { class: "chip right" }, "Capture"));
    stack.append(el("div", { class: "edge" }), handle);
    show();
    return stack;
  }
}

function onBackground(bitmap: ImageBitmap, color: readonly number[]): { truth: ImageData; mask: Uint8Array } {
  const context = canvasOf(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const mask = new Uint8Array(data.length / 4).map((_, i) => data[4 * i + 3]);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = `rgb(${color.map((value) => Math.round(255 * value)).join(" ")})`;
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  return { truth: context.getImageData(0, 0, bitmap.width, bitmap.height), mask };
}

/** The box around the mask with some room. */
function around(mask: Uint8Array, whole: Box): Box {
  let [left, right, top, bottom] = [whole.width, -1, whole.height, -1];
  mask.forEach((value, i) => {
    if (value < 128) return;
    const [x, y] = [i % whole.width, Math.floor(i / whole.width)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  });
  if (right < 0) return whole;
  const room = Math.round(0.06 * Math.max(right - left, bottom - top)) + 4;
  const [x, y] = [Math.max(0, left - room), Math.max(0, top - room)];
  return {
    x,
    y,
    width: Math.min(whole.width, right + room + 1) - x,
    height: Math.min(whole.height, bottom + room + 1) - y,
  };
}

function canvasOf(width: number, height: number): HTMLCanvasElement {
  return el("canvas", { width, height });
}

function cut(picture: ImageData, box: Box): HTMLCanvasElement {
  const canvas = canvasOf(box.width, box.height);
  canvas.getContext("2d")!.putImageData(picture, -box.x, -box.y);
  return canvas;
}

function captioned(caption: string, canvas: HTMLCanvasElement): HTMLElement {
  return el("figure", {}, canvas, el("figcaption", { class: "chip left" }, caption));
}

function colorBar(): HTMLElement {
  const stops = Array.from(
    { length: 11 },
    (_, i) =>
      `rgb(${errorColor((WORST_ERROR * i) / 10)
        .map(Math.round)
        .join(" ")})`,
  );
  const ramp = el("div", { class: "ramp" });
  ramp.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const ticks = [0, 0.5, 1].map((share) =>
    el("span", {}, `${share === 1 ? "≥ " : ""}${(255 * WORST_ERROR * share).toFixed(0)}`),
  );
  const title = el("p", {}, "Mean difference of the colours, of 255");
  return el("div", { class: "color-bar" }, title, ramp, el("div", { class: "ticks" }, ...ticks));
}
