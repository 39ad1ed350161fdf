// The bar below the stage: play, scrub, repeat, speed.

import { choice, el, icon, iconButton, select, type Icon } from "./dom";
import type { Repeat } from "./player";
import type { Session } from "./session";

const REPEATS: readonly (readonly [Repeat, Icon, string])[] = [
  ["loop", "loop", "Loop"],
  ["sway", "sway", "To and fro"],
  ["once", "once", "Once"],
];
const SPEEDS = [0.25, 0.5, 1, 2, 4];

export function transport(session: Session): HTMLElement {
  const { player } = session;
  const play = iconButton("play", "Play", () => session.setPlaying(!player.isPlaying), "Space");
  play.classList.add("play");
  const back = iconButton("previous", "Step back", () => session.step(-1), "←");
  const forth = iconButton("next", "Step forward", () => session.step(1), "→");
  const scrub = el("input", { type: "range", class: "scrub", min: 0, step: "any", "aria-label": "Time", value: 0 });
  scrub.addEventListener("input", () => session.seek(Number(scrub.value)));
  const [clock, frame] = [el("span"), el("span", { class: "frame" })];

  const repeat = choice(
    "Repeat",
    REPEATS.map(([value, , label]) => [value, label] as const),
    player.repeat,
    (value) => player.setRepeat(value),
  );
  repeat.element.querySelectorAll("label").forEach((label, i) => {
    label.title = REPEATS[i][2];
    label.querySelector("span")!.replaceChildren(icon(REPEATS[i][1]), el("span", { class: "unseen" }, REPEATS[i][2]));
  });
  const speed = select("Speed", (value) => (player.speed = Number(value)));
  speed.options(SPEEDS.map((value) => [String(value), `${value}×`] as const));
  speed.show(String(player.speed));

  session.on("playing", () => {
    play.replaceChildren(icon(player.isPlaying ? "pause" : "play"));
    play.setAttribute("aria-label", player.isPlaying ? "Pause" : "Play");
  });
  session.on("motion", () => (scrub.max = String(player.durationS)));
  session.on("time", () => {
    if (!player.motion) return;
    const { frameIds } = player.motion;
    scrub.value = String(player.timeS);
    clock.textContent = `${player.timeS.toFixed(2)} / ${player.durationS.toFixed(2)} s`;
    frame.textContent = ` · frame ${frameIds[player.row]}`;
    scrub.setAttribute("aria-valuetext", `${clock.textContent}${frame.textContent}`);
  });
  const bar = el("div", { class: "transport", role: "group", "aria-label": "Playback" });
  bar.append(play, back, forth, scrub, el("div", { class: "clock" }, clock, frame), repeat.element, speed.element);
  return bar;
}
