// The viewer around one open run: the stage, the bars, the panel, the keys.

import { readPlace, writePlace } from "./address";
import { Compare, type How } from "./compare";
import { el, iconButton } from "./dom";
import { helpDialog, listen, type Shortcut } from "./keyboard";
import { comparePanel } from "./panels/compare_panel";
import { lookPanel, modesOf } from "./panels/look_panel";
import { metricsPanel } from "./panels/metrics_panel";
import { acceptDrops, motionPanel } from "./panels/motion_panel";
import { posePanel } from "./panels/pose_panel";
import { savePanel } from "./panels/save_panel";
import { shapePanel } from "./panels/shape_panel";
import { trainingPanel } from "./panels/training_panel";
import type { Session } from "./session";
import { switchTheme } from "./theme";
import { transport } from "./transport";

export interface Frame {
  readonly root: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  makeSession(say: Session["say"]): Session;
  /** Where there is more than one run. */
  readonly toRuns: (() => void) | null;
}

const LINE_MS = 5000;
const LONGEST_STEP_S = 0.25;
const FAR = 10; // frames
const HOWS: readonly How[] = ["live", "wipe", "side", "error"];

/** Shows it until the returned function is called. */
export function showViewer({ root, canvas, makeSession, toRuns }: Frame): () => void {
  const over = new AbortController();
  const { status, say } = statusLine();
  const session = makeSession(say);
  const { capture } = session;
  const compare = capture && Object.keys(capture.splits).length > 0 ? new Compare(session, capture) : null;
  const panel = panelOf(session, compare);
  const togglePanel = (): void => {
    panelButton.setAttribute("aria-expanded", String(!document.body.classList.toggle("without-panel")));
  };
  const keys = shortcuts(session, compare, togglePanel, () => help.showModal());
  const help = helpDialog(keys);
  const panelButton = iconButton("panel", "Panel", togglePanel, "P");
  panelButton.setAttribute("aria-expanded", String(!document.body.classList.contains("without-panel")));
  const actions = [
    iconButton("frame", "Frame the person", () => session.stage.frame(), "F"),
    iconButton("theme", "Dark or light", switchTheme, "T"),
    iconButton("help", "Keys and gestures", () => help.showModal(), "H"),
    panelButton,
  ];
  const stage = el("main", { class: "stage-area" }, canvas, compare?.chip ?? null, compare?.element ?? null, status);
  root.replaceChildren(topBar(session, toRuns, actions), stage, transport(session), panel, help);

  canvas.addEventListener("mousedown", leaveControls);
  acceptDrops(session, over.signal);
  listen(keys, over.signal);
  play(session, over.signal);
  remember(session, compare, over.signal);
  session.setLook({ mode: modesOf(session.source).find(([mode]) => mode === readPlace().mode)?.[0] ?? "splats" });
  session.stage.onProblem((message) => (message === null ? say("") : say(message, true)));
  const unfollow = session.follow();
  void session.attempt(() => begin(session, compare));
  return () => {
    over.abort();
    unfollow();
    session.stage.dispose();
  };
}

/** Keys mean the page again when the picture is clicked; Tab gives them to the picture. */
function leaveControls(event: MouseEvent): void {
  event.preventDefault();
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

/** The motion, frame and comparison that the address names; otherwise the first motion, playing. */
async function begin(session: Session, compare: Compare | null): Promise<void> {
  const place = readPlace();
  const id = session.motions.find((motion) => motion.id === place.motion)?.id ?? session.motions[0]?.id;
  if (id !== undefined) await session.attempt(() => session.chooseMotion(id));
  const row = session.player.motion?.frameIds.indexOf(place.frame ?? -1) ?? -1;
  if (row >= 0) session.player.seekRow(row);
  session.show();
  if (session.problems.length) session.say(session.problems.join(" · "), true);
  const how = HOWS.find((known) => known === place.compare);
  if (compare && how) {
    compare.choose(place.camera, place.frame);
    compare.setHow(how);
  } else {
    session.setPlaying(row < 0 && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  }
}

function topBar(session: Session, toRuns: (() => void) | null, actions: readonly HTMLElement[]): HTMLElement {
  const facts = el("span", { class: "facts" });
  const badge = el("span", { class: "badge" }, "fitting");
  const show = (): void => {
    const { run } = session;
    const gaussians = `${session.scene.splats.count.toLocaleString("en")} Gaussians`;
    facts.textContent = [gaussians, run.capture, run.step ? `step ${run.step.toLocaleString("en")}` : null]
      .filter(Boolean)
      .join(" · ");
    badge.hidden = !run.isFitting;
  };
  session.on("scene", show);
  session.on("fitting", show);
  show();
  const back = toRuns && iconButton("back", "All runs", toRuns);
  const title = el("h1", {}, session.run.name);
  return el("header", { class: "top" }, back, title, badge, facts, el("span", { class: "gap" }), ...actions);
}

function panelOf(session: Session, compare: Compare | null): HTMLElement {
  const sections = [
    motionPanel(session),
    lookPanel(session),
    comparePanel(session, compare),
    posePanel(session),
    shapePanel(session),
    trainingPanel(session),
    metricsPanel(session),
    savePanel(session),
  ].filter((part) => part !== null);
  return el("aside", { class: "panel", id: "panel", "aria-label": "Controls" }, ...sections);
}

function statusLine(): { status: HTMLElement; say: Session["say"] } {
  const status = el("p", { class: "status", role: "status", "aria-live": "polite" });
  let timer = 0;
  const say = (line: string, isError = false): void => {
    status.textContent = line;
    status.classList.toggle("problem", isError);
    clearTimeout(timer);
    timer = window.setTimeout(() => status.replaceChildren(), isError ? 2 * LINE_MS : LINE_MS);
  };
  return { status, say };
}

function play(session: Session, signal: AbortSignal): void {
  let before = performance.now();
  const tick = (now: number): void => {
    if (signal.aborted) return;
    session.advance(Math.min(LONGEST_STEP_S, Math.max(0, now - before) / 1000));
    before = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function remember(session: Session, compare: Compare | null, signal: AbortSignal): void {
  const write = (): void => {
    if (signal.aborted) return;
    const { player, motionId } = session;
    const isKept = motionId !== null && !motionId.startsWith("dropped:");
    const isComparing = compare !== null && compare.how !== "off";
    const played = player.isPlaying ? null : (player.motion?.frameIds[player.row] ?? null);
    writePlace({
      run: session.run.name,
      motion: isKept ? motionId : null,
      frame: compare?.isOfPictures ? compare.frame : played,
      mode: session.look.mode === "splats" ? null : session.look.mode,
      compare: isComparing ? compare.how : null,
      camera: isComparing ? compare.camera.name : null,
    });
  };
  let timer = 0;
  const soon = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(write, 300);
  };
  for (const change of ["motion", "playing", "look"] as const) session.on(change, soon);
  session.on("time", () => session.player.isPlaying || soon());
  compare?.onChange(soon);
}

function shortcuts(session: Session, compare: Compare | null, togglePanel: () => void, help: () => void): Shortcut[] {
  const turn = ({ key }: KeyboardEvent): void => {
    if (compare?.how !== "off") compare?.stepCamera(key === "ArrowUp" ? -1 : 1);
  };
  const nextHow = (): void => {
    if (!compare) session.say("The capture of this run is not here, so there is nothing to compare with", true);
    else compare.setHow(([...HOWS, "off"] as const)[(HOWS.indexOf(compare.how) + 1) % 5]);
  };
  const step = ({ key, shiftKey }: KeyboardEvent): void =>
    session.step((key === "ArrowLeft" ? -1 : 1) * (shiftKey ? FAR : 1));
  const mode = ({ key }: KeyboardEvent): void => {
    const [name] = modesOf(session.source)[Number(key) - 1] ?? [];
    if (name) session.setLook({ mode: name });
  };
  return [
    { keys: [" "], does: "play or pause", run: () => session.setPlaying(!session.player.isPlaying) },
    { keys: ["arrowleft", "arrowright"], does: "a frame back or on; with Shift ten", run: step },
    { keys: ["arrowup", "arrowdown"], does: "the camera before or after, when comparing", run: turn },
    { keys: ["1", "2", "3", "4"], does: "Gaussians, mesh, normals, coverage", run: mode },
    { keys: ["s"], does: "skeleton", run: () => session.setLook({ hasSkeleton: !session.look.hasSkeleton }) },
    { keys: ["g"], does: "floor", run: () => session.setLook({ hasFloor: !session.look.hasFloor }) },
    { keys: ["f"], does: "frame the person", run: () => session.stage.frame() },
    { keys: ["c"], does: "compare: live, wipe, side by side, error, off", run: nextHow },
    { keys: ["p"], does: "panel", run: togglePanel },
    { keys: ["t"], does: "dark or light", run: switchTheme },
    { keys: ["h", "?"], does: "this list", run: help },
    { keys: ["escape"], does: "leave what is open", run: () => compare?.setHow("off") },
  ];
}
