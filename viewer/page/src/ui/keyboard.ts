// What the keys do, and the list of it.

import { button, el } from "./dom";

export interface Shortcut {
  /** As `KeyboardEvent.key`, letters in lower case; the first ones are shown. */
  readonly keys: readonly string[];
  readonly does: string;
  run(event: KeyboardEvent): void;
}

const NAMES: Record<string, string> = {
  " ": "Space",
  arrowleft: "←",
  arrowright: "→",
  arrowup: "↑",
  arrowdown: "↓",
  escape: "Esc",
};
const GESTURES = [
  ["Arrows, + and −", "turn and zoom, when the picture has the focus"],
  ["Drag", "turn around the person"],
  ["Right drag, two fingers", "move"],
  ["Wheel, pinch", "come closer or go away"],
  ["Drop a file", "play its motion"],
];
const KEYS_OF_SLIDERS = ["arrowleft", "arrowright", "arrowup", "arrowdown", "home", "end"];

/** Whether the focused control wants the key for itself. */
function isTaken(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement && (target.type === "range" || target.type === "radio")) {
    return KEYS_OF_SLIDERS.includes(key);
  }
  if (target instanceof HTMLInputElement && target.type === "checkbox") return key === " ";
  if (target.matches("input, textarea, select")) return key !== "escape";
  return key === " " && target.matches("button, summary, a");
}

/** Listens until the signal. */
export function listen(shortcuts: readonly Shortcut[], signal: AbortSignal): void {
  const pressed = (event: KeyboardEvent): void => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target, key)) return;
    const found = document.querySelector("dialog[open]") ? undefined : shortcuts.find(({ keys }) => keys.includes(key));
    if (!found) return;
    event.preventDefault();
    found.run(event);
  };
  document.addEventListener("keydown", pressed, { signal });
}

export function helpDialog(shortcuts: readonly Shortcut[]): HTMLDialogElement {
  const caps = (keys: readonly string[]) => keys.map((key) => el("kbd", {}, NAMES[key] ?? key.toUpperCase()));
  const rows = shortcuts.map(({ keys, does }) => el("div", {}, el("dt", {}, ...caps(keys)), el("dd", {}, does)));
  const gestures = GESTURES.map(([how, does]) => el("div", {}, el("dt", {}, how), el("dd", {}, does)));
  const dialog = el(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    el("h2", { id: "help-title" }, "Keys and gestures"),
    el("dl", {}, ...rows, ...gestures),
    button("Close", () => dialog.close(), { class: "primary", autofocus: true }),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
