// Pictures, videos and the page itself, to keep.

import type { Motion, Pose } from "../../data/scene";
import { button, choice, download, el, section, select, toggle } from "../dom";
import { orbitCamera, orbitOf, pngOf, sizeOf, stillPicture } from "../pictures";
import { poseOfRow } from "../player";
import type { Session } from "../session";
import { encodeMp4, type Clip } from "../video";

const FRAMES_PER_SECOND = 30;
const ORBIT_S = 6;
const MOST_POSES = 100; // to know how much room a motion takes
const HEIGHTS = [480, 720, 1080];
type Shot = "motion" | "orbit" | "both";

export function savePanel(session: Session): HTMLElement {
  return section("Save", false, ...picture(session), ...video(session), page(session));
}

function picture(session: Session): Node[] {
  let [scale, isClear] = [1, false];
  const size = choice(
    "Size",
    [
      ["1", "1×"],
      ["2", "2×"],
    ] as const,
    "1",
    (value) => (scale = Number(value)),
  );
  const clear = toggle("Only the person", false, (value) => (isClear = value));
  const save = button("Save a picture (PNG)", () => {
    void session.attempt(async () => {
      const lines = scale * (session.camera?.height ?? session.stage.canvas.clientHeight);
      const still = await stillPicture(session, lines, isClear);
      download(`${session.scene.name}.png`, await pngOf(still));
      session.say(`Saved a picture of ${still.width} × ${still.height}`);
    });
  });
  save.className = "wide";
  return [el("h3", {}, "Picture"), size.element, clear.element, save];
}

function video(session: Session): Node[] {
  let [shot, lines]: [Shot, number] = ["motion", 720];
  const shots = [
    ["motion", "Motion"],
    ["orbit", "Orbit"],
    ["both", "Both"],
  ] as const;
  const what = choice("What", shots, shot, (value) => (shot = value));
  const size = select("Lines", (value) => (lines = Number(value)));
  size.options(HEIGHTS.map((height) => [String(height), `${height}p`] as const));
  size.show(String(lines));
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Video" });
  const count = el("span", { class: "hint" });
  let stop = new AbortController();
  const cancel = button("Cancel", () => stop.abort());
  const progress = el("div", { class: "progress", hidden: true }, bar, count, cancel);
  const record = async (): Promise<void> => {
    stop = new AbortController();
    session.tell("recording");
    [save.hidden, progress.hidden] = [true, false];
    cancel.focus();
    try {
      await recorded(session, clipOf(session, shot, lines), stop.signal, (done, all) => {
        bar.value = done / all;
        count.textContent = `${done} of ${all}`;
      });
    } finally {
      [save.hidden, progress.hidden] = [false, true];
    }
  };
  const save = button("Save a video (MP4)", () => void session.attempt(record), { class: "wide" });
  return [el("h3", {}, "Video"), what.element, size.element, save, progress];
}

async function recorded(
  session: Session,
  clip: Clip,
  signal: AbortSignal,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  const { player } = session;
  const [wasPlaying, timeS] = [player.isPlaying, player.timeS];
  session.setPlaying(false);
  session.stage.setPaused(true);
  try {
    onProgress(0, clip.numFrames);
    const file = await encodeMp4(clip, (done) => onProgress(done, clip.numFrames), signal);
    download(`${session.scene.name}.mp4`, file);
    session.say(`Saved a video of ${clip.numFrames} frames`);
  } catch (error) {
    if (!signal.aborted) throw error;
    session.say("The video was cancelled");
  } finally {
    session.stage.setPaused(false);
    session.seek(timeS);
    session.setPlaying(wasPlaying);
  }
}

function clipOf(session: Session, shot: Shot, lines: number): Clip {
  const { stage, player } = session;
  const isMoving = shot !== "orbit" && player.durationS > 0;
  const durationS = isMoving ? player.durationS / player.speed : ORBIT_S;
  const { width, height } = sizeOf(session, lines);
  const numFrames = Math.max(1, Math.round(durationS * FRAMES_PER_SECOND));
  const poses = isMoving ? someOf(player.motion!) : [player.pose()].filter((pose) => pose !== null);
  const orbit = shot !== "motion" && poses.length > 0 ? orbitOf(session.scene, poses) : null;
  return {
    width,
    height,
    framesPerSecond: FRAMES_PER_SECOND,
    numFrames,
    picture: (index) => {
      if (isMoving) session.seek((index * player.speed) / FRAMES_PER_SECOND);
      const root = player.pose()?.rootPosition;
      const turning = orbit && root && orbitCamera(orbit, root, index / numFrames, width, height);
      return stage.picture(turning ?? session.camera, width, height);
    },
  };
}

/** Poses of a motion at even distances. */
function someOf(motion: Motion): Pose[] {
  const every = Math.ceil(motion.timesS.length / MOST_POSES);
  const count = Math.ceil(motion.timesS.length / every);
  return Array.from({ length: count }, (_, i) => poseOfRow(motion, i * every));
}

function page(session: Session): HTMLElement | null {
  const href = session.source.exportUrl(session.run.name);
  if (!href) return null;
  const link = el("a", { href, download: `${session.run.name}.html`, class: "button wide" }, "Save the page (HTML)");
  const hint = el("p", { class: "hint" }, "One file with the avatar and its motions; plays offline by a double click.");
  return el("div", { class: "stack-of" }, el("h3", {}, "Page"), link, hint);
}
