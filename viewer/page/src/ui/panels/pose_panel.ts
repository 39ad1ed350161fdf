// Turning single joints.

import { button, el, section, slider, type Control } from "../dom";
import type { Angles } from "../rotations";
import type { Session } from "../session";

const REACH_DEG = 120;
const AXES = ["x", "y", "z"] as const;
const UNTURNED: Angles = [0, 0, 0];
/** Parts of the body by what joints are called in the rigs that we read; the first that fits has the joint. */
const PARTS: readonly (readonly [string, RegExp])[] = [
  ["Left hand", /^(?=.*(left|_l\b|\.l\b|^l))(?=.*(hand|finger|thumb|wrist|metacarpal|index|middle|ring|pinky))/i],
  ["Right hand", /^(?=.*(right|_r\b|\.r\b|^r))(?=.*(hand|finger|thumb|wrist|metacarpal|index|middle|ring|pinky))/i],
  ["Left arm", /^(?=.*(left|_l\b|\.l\b|^l))(?=.*(arm|shoulder|clavicle|collar|elbow))/i],
  ["Right arm", /^(?=.*(right|_r\b|\.r\b|^r))(?=.*(arm|shoulder|clavicle|collar|elbow))/i],
  ["Left leg", /^(?=.*(left|_l\b|\.l\b|^l))(?=.*(leg|hip|knee|ankle|foot|toe))/i],
  ["Right leg", /^(?=.*(right|_r\b|\.r\b|^r))(?=.*(leg|hip|knee|ankle|foot|toe))/i],
  ["Head and neck", /head|neck|jaw|eye|tongue|mouth|oris|orbicular|levator|risorius|temporalis|brow|lip/i],
  ["Torso", /./],
];

export function partOf(joint: string): string {
  return PARTS.find(([, pattern]) => pattern.test(joint))![0];
}

interface JointRow {
  readonly name: string;
  readonly element: HTMLElement;
  readonly sliders: readonly Control<number>[];
}

export function posePanel(session: Session): HTMLElement {
  const rows = session.scene.jointNames.map((name, joint) => jointRow(session, name, joint));
  const groups = new Map<string, JointRow[]>();
  for (const row of rows) groups.set(partOf(row.name), [...(groups.get(partOf(row.name)) ?? []), row]);
  const order = [...PARTS.map(([part]) => part)].reverse().filter((part) => groups.has(part));
  const folds = order.map((part) => group(part, groups.get(part)!));

  const search = el("input", { type: "search", placeholder: "Find a joint", "aria-label": "Find a joint" });
  search.addEventListener("input", () => {
    const words = search.value.trim().toLowerCase();
    for (const row of rows) row.element.hidden = !row.name.toLowerCase().includes(words);
    for (const fold of folds) {
      const isEmpty = [...fold.querySelectorAll<HTMLElement>(".joint")].every(({ hidden }) => hidden);
      fold.hidden = isEmpty;
      if (words) fold.open = !isEmpty;
    }
  });
  const reset = button("Reset the pose", () => session.resetAngles(), { class: "wide", disabled: true });
  session.on("angles", () => {
    reset.disabled = session.angles.size === 0;
    rows.forEach(({ element, sliders }, joint) => {
      const angles = session.angles.get(joint) ?? UNTURNED;
      sliders.forEach((control, axis) => control.show(angles[axis]));
      element.classList.toggle("changed", session.angles.has(joint));
    });
  });
  const hint = el("p", { class: "hint" }, "Degrees on top of the motion. A double click on a slider takes it back.");
  return section("Pose", false, search, ...folds, reset, hint);
}

function group(part: string, rows: readonly JointRow[]): HTMLDetailsElement {
  const title = el("summary", {}, part, el("small", {}, String(rows.length)));
  return el("details", { class: "group" }, title, ...rows.map(({ element }) => element));
}

function jointRow(session: Session, name: string, joint: number): JointRow {
  const range = { low: -REACH_DEG, high: REACH_DEG, step: 1, value: 0, text: (value: number) => `${value}°` };
  const sliders = AXES.map((axis, i) =>
    slider(axis, range, (value) => {
      const angles = [...(session.angles.get(joint) ?? UNTURNED)];
      angles[i] = value;
      session.setAngles(joint, angles as unknown as Angles);
    }),
  );
  sliders.forEach(({ element }, i) => element.querySelector("input")!.setAttribute("aria-label", `${name} ${AXES[i]}`));
  const legend = el("legend", {}, name);
  return {
    name,
    sliders,
    element: el("fieldset", { class: "joint" }, legend, ...sliders.map(({ element }) => element)),
  };
}
