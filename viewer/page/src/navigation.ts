// The user's camera: orbit, pan and zoom by mouse, touch and keyboard around the person, z up.

import { PerspectiveCamera, Spherical, Vector3 } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

const FOV_DEGREES = 28; // a portrait lens
const MARGIN = 1.12; // of the picture's size that the person takes
const RAISED_RAD = 0.1; // of the camera above the middle of the person
const KEY_TURN_RAD = 0.12;
const KEY_ZOOM = 1.1;

/** Turns with what the user does to the canvas; `onChange` says that there is something to draw. */
export class Navigation {
  readonly camera = new PerspectiveCamera(FOV_DEGREES, 1);
  private readonly controls: OrbitControls;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly onChange: () => void,
  ) {
    this.camera.up.set(0, 0, 1);
    this.camera.position.set(0, -4, 1);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.target.set(0, 0, 0.9);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.15;
    this.controls.minDistance = 0.2;
    this.controls.maxDistance = 40;
    this.controls.addEventListener("change", onChange);
    this.controls.update();
    if (canvas.tabIndex < 0) canvas.tabIndex = 0;
    canvas.addEventListener("keydown", this.onKey);
  }

  /** Whether the user may move it. */
  set isEnabled(isEnabled: boolean) {
    this.controls.enabled = isEnabled;
  }

  /** Moves on while it swings; call it once a frame. */
  update(): void {
    this.controls.update();
  }

  /** Looks along `from` (horizontal, from the points to the camera) so that all points are in a picture of this shape. */
  frame(points: Iterable<ArrayLike<number>>, from: readonly [number, number], aspect: number): void {
    const [low, high] = [new Vector3(Infinity, Infinity, Infinity), new Vector3(-Infinity, -Infinity, -Infinity)];
    for (const point of points) {
      const place = new Vector3(point[0], point[1], point[2]);
      low.min(place);
      high.max(place);
    }
    if (low.x > high.x) return;
    const target = low.clone().add(high).multiplyScalar(0.5);
    const size = high.clone().sub(low);
    const across = Math.abs(size.x * from[1]) + Math.abs(size.y * from[0]);
    const deep = Math.abs(size.x * from[0]) + Math.abs(size.y * from[1]);
    const tangent = Math.tan((FOV_DEGREES * Math.PI) / 360);
    const distance = (MARGIN * Math.max(size.z, across / aspect)) / 2 / tangent + deep / 2;
    const level = Math.cos(RAISED_RAD) * distance;
    this.controls.target.copy(target);
    this.camera.position.set(
      target.x + from[0] * level,
      target.y + from[1] * level,
      target.z + Math.sin(RAISED_RAD) * distance,
    );
    this.controls.update();
    this.onChange();
  }

  dispose(): void {
    this.canvas.removeEventListener("keydown", this.onKey);
    this.controls.dispose();
  }

  /** Arrows turn, plus and minus zoom, where the canvas has the focus. */
  private readonly onKey = (event: KeyboardEvent): void => {
    if (!this.controls.enabled || event.ctrlKey || event.metaKey || event.altKey) return;
    const turns: Record<string, [number, number, number]> = {
      ArrowLeft: [-KEY_TURN_RAD, 0, 1],
      ArrowRight: [KEY_TURN_RAD, 0, 1],
      ArrowUp: [0, -KEY_TURN_RAD, 1],
      ArrowDown: [0, KEY_TURN_RAD, 1],
      "+": [0, 0, 1 / KEY_ZOOM],
      "=": [0, 0, 1 / KEY_ZOOM],
      "-": [0, 0, KEY_ZOOM],
    };
    if (!(event.key in turns)) return;
    event.preventDefault();
    event.stopPropagation();
    this.turn(...turns[event.key]);
  };

  private turn(azimuth: number, polar: number, zoom: number): void {
    const { target, minDistance, maxDistance } = this.controls;
    const offset = this.camera.position.clone().sub(target);
    const { radius, phi, theta } = new Spherical().setFromCartesianCoords(offset.x, offset.z, -offset.y);
    const turned = new Spherical(
      Math.min(maxDistance, Math.max(minDistance, radius * zoom)),
      phi + polar,
      theta + azimuth,
    ).makeSafe();
    const { x, y, z } = new Vector3().setFromSpherical(turned);
    this.camera.position.set(target.x + x, target.y - z, target.z + y);
    this.controls.update();
    this.onChange();
  }
}
